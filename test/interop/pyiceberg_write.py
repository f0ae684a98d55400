"""PyIceberg writes tables that our reader must understand; digests of every snapshot are the answer."""
import datetime
import decimal
import json
import os
import uuid

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, LessThan
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from digest import arrow_values, digest_columns, read_job, write_result

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def null_now_and_then(key, every, value):
    return None if key % every == 0 else value


def moment(key):
    return EPOCH + datetime.timedelta(microseconds=key * 7_200_000_001 - 40 * 3_600_000_000)


# (type, value of a key): every column is null now and then, each in a rhythm of its own
FLAT = {
    "flag": (BooleanType(), lambda key: null_now_and_then(key, 7, key % 2 == 0)),
    "small": (IntegerType(), lambda key: null_now_and_then(key, 5, key - 50)),
    "large": (LongType(), lambda key: null_now_and_then(key, 11, key * 100_000_000_000_007)),
    "single": (FloatType(), lambda key: float("nan") if key % 13 == 0 else null_now_and_then(key, 9, key / 4)),
    "double": (DoubleType(), lambda key: -0.0 if key % 13 == 0 else null_now_and_then(key, 8, key / 7)),
    "day": (DateType(), lambda key: null_now_and_then(key, 6, EPOCH.date() + datetime.timedelta(days=key - 30))),
    "instant": (TimestamptzType(), moment),
    "local": (TimestampType(), lambda key: null_now_and_then(key, 4, moment(key * 3).replace(tzinfo=None))),
    "text": (StringType(), lambda key: null_now_and_then(key, 10, f"t-{key} " + "\U0001F600 long " * (key % 4))),
    "bytes": (BinaryType(), lambda key: null_now_and_then(key, 3, str(key).encode() + b"\xff")),
    "dec9": (DecimalType(9, 2), lambda key: decimal.Decimal(key - 30).scaleb(-2)),
    "dec38": (DecimalType(38, 10), lambda key: null_now_and_then(key, 12, decimal.Decimal((key - 30) * 10**30).scaleb(-10))),
}
RARE = {
    "time": (TimeType(), lambda key: null_now_and_then(key, 4, datetime.time(key % 24, key % 60, 59, key))),
    "fixed": (FixedType(5), lambda key: null_now_and_then(key, 5, bytes([key % 256, 0, 255, 1, 2]))),
    "id": (UUIDType(), lambda key: null_now_and_then(key, 6, uuid.UUID(int=key * 0x0123456789ABCDEF0123456789ABCDEF % 2**128).bytes)),
}


def inner(key):
    return null_now_and_then(key, 3, {"x": null_now_and_then(key, 2, key), "at": moment(key), "tags": null_now_and_then(key, 5, ["a", None, f"t{key}"][: key % 4])})


def inner_type(start):
    return StructType(
        NestedField(start, "x", IntegerType()),
        NestedField(start + 1, "at", TimestamptzType()),
        NestedField(start + 2, "tags", ListType(start + 3, StringType(), False)),
    )


NESTED = {
    "member": (inner_type(100), inner),
    "members": (ListType(110, inner_type(111), False), lambda key: null_now_and_then(key, 4, [inner(key + each) for each in range(key % 4)])),
    "by_name": (
        MapType(120, StringType(), 121, inner_type(122), False),
        lambda key: null_now_and_then(key, 5, [(f"k{each}", inner(key + each)) for each in range(key % 3)]),
    ),
    "lists": (ListType(130, ListType(131, DecimalType(9, 2), False), False), lambda key: null_now_and_then(key, 7, [[decimal.Decimal(key).scaleb(-2)], None, []][: key % 4])),
}


class Writer:
    def __init__(self, warehouse, folder):
        self.catalog = SqlCatalog("firn", uri=f"sqlite:///{folder}/catalog.db", warehouse=warehouse)
        self.catalog.create_namespace("pyiceberg")

    def create(self, name, columns, partition=(), **properties):
        fields = [NestedField(1, "key", LongType(), required=True)]
        fields += [NestedField(index + 2, each, kind) for index, (each, (kind, _)) in enumerate(columns.items())]
        schema = Schema(*fields, identifier_field_ids=[1])
        ids = {field.name: field.field_id for field in schema.fields}
        spec = PartitionSpec(
            *[PartitionField(ids[source], 1000 + index, transform, f"{source}_{index}") for index, (source, transform) in enumerate(partition)]
        )
        return self.catalog.create_table(f"pyiceberg.{name}", schema, partition_spec=spec, properties=properties)


def rows_of(table, columns, start, end, renamed=None):
    """Rows for the table's schema as it is now. @param renamed: names as they are now by names as they were."""
    names = renamed or {}
    values = {"key": list(range(start, end))}
    for name, (_, value) in columns.items():
        values[names.get(name, name)] = [value(key) for key in range(start, end)]
    schema = table.schema().as_arrow()
    known = [field for field in schema if field.name in values]
    return pa.Table.from_arrays(
        [pa.array(values[field.name], field.type.storage_type).cast(field.type) if isinstance(field.type, pa.ExtensionType)
         else pa.array(values[field.name], field.type) for field in known],
        schema=pa.schema(known),
    )


def every_type(writer):
    """Null lists of structs and maps to structs PyIceberg 0.12 writes as empty ones, as it reads them."""
    columns = {**FLAT, **RARE, **NESTED}
    table = writer.create("types", columns)
    for start in (0, 40, 80):
        table.append(rows_of(table, columns, start, start + 40))
    return table


def rows_changed(writer):
    table = writer.create("rows", FLAT, [("flag", IdentityTransform()), ("day", MonthTransform())])
    table.append(rows_of(table, FLAT, 0, 40))
    table.append(rows_of(table, FLAT, 40, 60))
    table.delete(LessThan("key", 10))
    table.overwrite(rows_of(table, FLAT, 100, 110), overwrite_filter=And(GreaterThanOrEqual("key", 20), LessThan("key", 30)))
    table.delete(EqualTo("flag", True))
    table.append(rows_of(table, FLAT, 200, 230))
    rows = rows_of(table, FLAT, 220, 240)
    table.upsert(rows.set_column(1, rows.schema.field(1), pa.array([None] * 20, rows.schema.field(1).type)), join_cols=["key"])
    table.overwrite(rows_of(table, FLAT, 300, 320))
    return table


TRANSFORMS = {
    "identity": IdentityTransform(),
    "bucket": BucketTransform(5),
    "truncate": TruncateTransform(4),
    "year": YearTransform(),
    "month": MonthTransform(),
    "day": DayTransform(),
    "hour": HourTransform(),
}


def by_transform(name):
    def write(writer):
        # of `void` columns and floating point nobody makes partitions; binary columns PyIceberg cannot name in a path
        sources = [each for each, (kind, _) in FLAT.items() if TRANSFORMS[name].can_transform(kind)]
        sources = [each for each in sources if each not in ("single", "double", "bytes")][:4]
        table = writer.create(f"by_{name}", FLAT, [(each, TRANSFORMS[name]) for each in sources])
        table.append(rows_of(table, FLAT, 0, 15))
        table.append(rows_of(table, FLAT, 20, 30))
        table.delete(And(GreaterThanOrEqual("key", 5), LessThan("key", 23)))
        return table

    return write


def evolved(version):
    def write(writer):
        """Columns and partitions that change between appends."""
        columns = {**FLAT, "member": NESTED["member"]}
        table = writer.create(f"evolved_{version}", columns, [("day", DayTransform())], **{"format-version": version})
        table.append(rows_of(table, columns, 0, 30))
        with table.update_schema() as update:
            update.add_column("more", StringType(), "added later")
            update.rename_column("text", "words")
            update.update_column("small", LongType())
            update.update_column("single", DoubleType())
            update.update_column("dec9", DecimalType(18, 2))
            update.add_column(("member", "note"), StringType())
            update.rename_column("member.x", "y")
        with table.update_spec() as update:
            update.remove_field("day_0")
            # not of the required key: once such a field is void, PyIceberg 0.12 cannot write its null
            update.add_field("large", BucketTransform(3), "large_bucket")
        table.append(rows_of(table, FLAT, 30, 50, {"text": "words"}))
        with table.update_schema(allow_incompatible_changes=True) as update:
            update.delete_column("bytes")
            update.move_first("words")
            update.move_after("key", "flag")
        with table.update_schema() as update:
            update.add_column("bytes", IntegerType())
        without = {name: column for name, column in FLAT.items() if name != "bytes"}
        table.append(rows_of(table, without, 50, 70, {"text": "words"}))
        with table.update_spec() as update:
            update.remove_field("large_bucket")
            update.add_identity("flag")
        table.append(rows_of(table, without, 70, 80, {"text": "words"}))
        table.delete(And(GreaterThanOrEqual("key", 25), LessThan("key", 55)))
        return table

    return write


def codecs(writer):
    table = writer.create("codecs", FLAT, **{"write.metadata.compression-codec": "gzip"})
    for index, codec in enumerate(("gzip", "snappy", "zstd", "lz4", "uncompressed")):
        with table.transaction() as transaction:
            transaction.set_properties({"write.parquet.compression-codec": codec, "write.parquet.row-group-limit": "7"})
        table.append(rows_of(table, FLAT, index * 20, index * 20 + 20))
    return table


def branches(writer):
    table = writer.create("branches", FLAT)
    table.append(rows_of(table, FLAT, 0, 20))
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "first").commit()
    table.manage_snapshots().create_branch(table.current_snapshot().snapshot_id, "side").commit()
    table.append(rows_of(table, FLAT, 20, 30), branch="side")
    table.append(rows_of(table, FLAT, 30, 50))
    table.delete(LessThan("key", 5), branch="side")
    return table


def describe(table):
    """Digests of every snapshot, by the schema that it has."""
    snapshots = []
    for snapshot in table.snapshots():
        schema = table.schemas()[snapshot.schema_id]
        columns = [{"name": field.name, "type": json.loads(field.field_type.model_dump_json())} for field in schema.fields]
        rows = table.scan(snapshot_id=snapshot.snapshot_id).to_arrow()
        digests = digest_columns(columns, arrow_values(rows, columns))
        snapshots.append({"id": str(snapshot.snapshot_id), "columns": columns, "digests": digests})
    return {"name": table.name()[-1], "folder": table.metadata_location, "snapshots": snapshots}


def main():
    job = read_job()
    warehouse = job["warehouse"]
    folder = warehouse.removeprefix("file://")
    os.makedirs(folder)
    writer = Writer(warehouse, folder)
    tables = [every_type, rows_changed, *map(by_transform, TRANSFORMS), evolved("1"), evolved("2"), codecs, branches]
    write_result([describe(write(writer)) for write in tables])


if __name__ == "__main__":
    main()
