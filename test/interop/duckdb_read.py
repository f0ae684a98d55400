"""Reads every snapshot of every table of a job with DuckDB's iceberg extension, through the table's folder."""
import duckdb
import duckdb_extensions

from digest import arrow_values, digest_columns, digest_texts, read_all, read_job, text_of, write_result


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def literal(kind, text):
    if kind in ("int", "long"):
        return f"{quoted(text)}::{'INTEGER' if kind == 'int' else 'BIGINT'}"
    if kind == "date":
        return f"DATE {quoted(text)}"
    if kind == "timestamp":
        return f"TIMESTAMP {quoted(text)}"
    if kind == "timestamptz":
        return f"TIMESTAMPTZ {quoted(text + '+00')}"
    return f"{quoted(text)}::{kind.upper()}" if kind.startswith("decimal") else quoted(text)


def read(connection, source, columns):
    names = ", ".join(f'"{column["name"]}"' for column in columns)
    arrow = connection.execute(f"SELECT {names} FROM {source}").arrow().read_all()
    found = digest_columns(columns, arrow_values(arrow, columns))
    if any(column["name"] == "word_count" for column in columns):
        found["average_word_count"] = connection.execute(f"SELECT avg(word_count) FROM {source}").fetchone()[0]
    return found


def keys_where(connection, source, key, spec):
    condition = f'"{spec["column"]}" {spec["op"]} {literal(spec["type"], spec["literal"])}'
    rows = connection.execute(f'SELECT "{key["name"]}" FROM {source} WHERE {condition}').fetchall()
    return digest_texts(text_of(key["type"])(value) for (value,) in rows)


def read_table(connection, spec):
    folder = quoted(spec["folder"])
    current = f"iceberg_scan({folder})"
    ids = [row[0] for row in connection.execute(f"SELECT snapshot_id FROM iceberg_snapshots({folder})").fetchall()]
    snapshots = {}
    for snapshot_id in ids:
        at = f"iceberg_scan({folder}, snapshot_from_id = {snapshot_id}::UBIGINT)"
        columns = spec["snapshot_columns"].get(str(snapshot_id), spec["columns"])
        snapshots[str(snapshot_id)] = read(connection, at, columns)
    entries = connection.execute(f"SELECT count(*) FROM iceberg_metadata({folder})").fetchone()[0]
    return {
        "current": read(connection, current, spec["columns"]),
        "snapshots": snapshots,
        "filters": [keys_where(connection, current, spec["key"], each) for each in spec["filters"]],
        "metadata_rows": {"entries": entries, "snapshots": len(ids)},
    }


def main():
    job = read_job()
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    for extension in ("avro", "httpfs", "iceberg"):
        duckdb_extensions.import_extension(extension, con=connection)
        connection.execute(f"LOAD {extension}")
    connection.execute("SET TimeZone = 'UTC'")
    for statement in job.get("duckdb", []):
        connection.execute(statement)
    write_result(read_all(job, lambda spec: read_table(connection, spec)))


if __name__ == "__main__":
    main()
