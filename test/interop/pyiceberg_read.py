"""Reads every snapshot of every table of a job with PyIceberg, through the table's folder."""
import datetime
import decimal

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual
from pyiceberg.table import StaticTable
from pyiceberg.types import UUIDType

from digest import arrow_values, digest_columns, digest_texts, read_all, read_job, text_of, write_result

METADATA_TABLES = ("snapshots", "history", "refs", "manifests", "entries", "files", "partitions")


def literal(kind, text):
    if kind in ("int", "long"):
        return int(text)
    if kind == "date":
        return datetime.date.fromisoformat(text)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(text)
    if kind == "timestamptz":
        return datetime.datetime.fromisoformat(text + "+00:00")
    return decimal.Decimal(text) if kind.startswith("decimal") else text


def read(table, columns, **scan):
    arrow = table.scan(**scan).to_arrow()
    found = digest_columns(columns, arrow_values(arrow, columns))
    if any(column["name"] == "word_count" for column in columns):
        found["average_word_count"] = pc.mean(arrow.column("word_count")).as_py()
    return found


def keys_where(table, key, spec):
    predicate = {"=": EqualTo, ">=": GreaterThanOrEqual}[spec["op"]]
    row_filter = predicate(spec["column"], literal(spec["type"], spec["literal"]))
    arrow = table.scan(row_filter=row_filter, selected_fields=(key["name"],)).to_arrow()
    return digest_texts(map(text_of(key["type"]), arrow.column(key["name"]).to_pylist()))


def read_table(job, spec):
    table = StaticTable.from_metadata(spec["folder"], job.get("pyiceberg", {}))
    # PyIceberg 0.12 cannot put bounds of a uuid into a metadata table (nor make an empty table with such a column)
    has_uuid = any(field.field_type == UUIDType() for field in table.schema()._lazy_id_to_field.values())
    names = ("snapshots", "history", "refs", "manifests") if has_uuid else METADATA_TABLES
    metadata_rows = {name: getattr(table.inspect, name)().num_rows for name in names}
    snapshots = {}
    for snapshot in table.snapshots():
        columns = spec["snapshot_columns"].get(str(snapshot.snapshot_id), spec["columns"])
        found = read(table, columns, snapshot_id=snapshot.snapshot_id)
        if "entries" in names:
            found["files"] = table.inspect.entries(snapshot_id=snapshot.snapshot_id).num_rows
        snapshots[str(snapshot.snapshot_id)] = found
    return {
        "current": read(table, spec["columns"]),
        "snapshots": snapshots,
        "refs": {
            ref["name"]: read(table, ref["columns"], snapshot_id=table.snapshot_by_name(ref["name"]).snapshot_id)
            for ref in spec["refs"]
        },
        "filters": [keys_where(table, spec["key"], each) for each in spec["filters"]],
        "metadata_rows": metadata_rows,
    }


def main():
    job = read_job()
    write_result(read_all(job, lambda spec: read_table(job, spec)))


if __name__ == "__main__":
    main()
