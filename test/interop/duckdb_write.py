"""DuckDB writes tables, through a REST catalog as it does not otherwise; digests of every snapshot are the answer."""
import json
import urllib.request

import duckdb
import duckdb_extensions

from digest import arrow_values, digest_columns, read_job, write_result
from duckdb_read import quoted

COLUMNS = """
    key BIGINT, flag BOOLEAN, small INTEGER, large BIGINT, single FLOAT, double DOUBLE, day DATE, time TIME,
    instant TIMESTAMPTZ, local TIMESTAMP, text VARCHAR, bytes BLOB, dec9 DECIMAL(9, 2), dec38 DECIMAL(38, 10), id UUID,
    member STRUCT(a INTEGER, b VARCHAR[], c STRUCT(d DATE)), members STRUCT(x INTEGER, y VARCHAR)[],
    by_name MAP(VARCHAR, INTEGER), lists BIGINT[][]
"""
ROWS = """
    SELECT i, if(i % 7 = 0, NULL, i % 2 = 0), if(i % 5 = 0, NULL, (i - 50)::INTEGER), if(i % 11 = 0, NULL, i * 100000000000007),
        CASE WHEN i % 13 = 0 THEN 'nan'::FLOAT WHEN i % 9 = 0 THEN NULL ELSE i / 4 END,
        CASE WHEN i % 13 = 0 THEN -0.0::DOUBLE WHEN i % 8 = 0 THEN NULL ELSE i / 7 END,
        if(i % 6 = 0, NULL, DATE '1969-12-25' + i::INTEGER), if(i % 4 = 0, NULL, TIME '00:00:01.000001' + to_minutes(i)),
        make_timestamptz(i * 7200000001 - 40 * 3600000000), if(i % 4 = 0, NULL, make_timestamp(i * 86400000000 - 5)),
        if(i % 10 = 0, NULL, 't-' || i || repeat('\U0001F600 long ', (i % 4)::INTEGER)), if(i % 3 = 0, NULL, encode('b' || i)),
        (i - 30)::DECIMAL(9, 2) / 2, if(i % 12 = 0, NULL, (i - 30)::DECIMAL(38, 10)),
        if(i % 6 = 0, NULL, ('00000000-0000-4000-8000-' || lpad(i::VARCHAR, 12, '0'))::UUID),
        if(i % 5 = 0, NULL, {{'a': if(i % 2 = 0, NULL, i::INTEGER), 'b': if(i % 3 = 0, NULL, ['x', NULL]),
            'c': if(i % 4 = 0, NULL, {{'d': DATE '1970-01-01'}})}}),
        if(i % 4 = 0, NULL, [{{'x': i::INTEGER, 'y': NULL}}, NULL]), if(i % 7 = 0, NULL, MAP {{'k' || i: i::INTEGER, 'n': NULL}}),
        if(i % 8 = 0, NULL, [[i, NULL], NULL, []])
    FROM range({start}, {end}) rows(i)
"""


class Writer:
    def __init__(self, uri):
        self.uri = uri
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        for extension in ("avro", "httpfs", "iceberg"):
            duckdb_extensions.import_extension(extension, con=self.connection)
            self.run(f"LOAD {extension}")
        self.run("SET TimeZone = 'UTC'")
        self.run(f"ATTACH '' AS lake (TYPE iceberg, ENDPOINT {quoted(uri)}, AUTHORIZATION_TYPE 'none')")
        self.run("CREATE SCHEMA lake.duck")

    def run(self, statement):
        return self.connection.execute(statement)

    def create(self, name, partition=""):
        by = f"PARTITIONED BY ({partition})" if partition else ""
        self.run(f"CREATE TABLE lake.duck.{name} ({COLUMNS}) {by}")
        return f"lake.duck.{name}"

    def insert(self, table, start, end):
        self.run(f"INSERT INTO {table} {ROWS.format(start=start, end=end)}")


def changed(writer):
    """Deletes over deletes, rows that move by an update, columns that change, data that comes after them."""
    table = writer.create("changed")
    writer.insert(table, 0, 40)
    writer.insert(table, 40, 60)
    writer.run(f"DELETE FROM {table} WHERE key % 5 = 1")
    writer.run(f"UPDATE {table} SET text = 'changed' WHERE key % 7 = 0")
    writer.run(f"ALTER TABLE {table} ADD COLUMN more INTEGER")
    writer.run(f"ALTER TABLE {table} RENAME COLUMN text TO words")
    writer.run(f"ALTER TABLE {table} DROP COLUMN bytes")
    writer.run(f"INSERT INTO {table} SELECT * REPLACE (key + 100 AS key, 1 AS more) FROM {table} WHERE key < 20")
    writer.run(f"DELETE FROM {table} WHERE key BETWEEN 10 AND 110")
    return "changed"


def partitioned(name, partition):
    def write(writer):
        table = writer.create(name, partition)
        writer.insert(table, 0, 25)
        writer.insert(table, 25, 35)
        writer.run(f"DELETE FROM {table} WHERE key % 5 = 1")
        return name

    return write


def describe(writer, name):
    with urllib.request.urlopen(f"{writer.uri}/v1/namespaces/duck/tables/{name}") as response:
        table = json.load(response)
    schemas = {schema["schema-id"]: schema for schema in table["metadata"]["schemas"]}
    place = table["metadata-location"]
    snapshots = []
    for snapshot in table["metadata"]["snapshots"]:
        fields = schemas[snapshot["schema-id"]]["fields"]
        columns = [{"name": field["name"], "type": field["type"]} for field in fields]
        names = ", ".join(f'"{column["name"]}"' for column in columns)
        source = f"iceberg_scan({quoted(place)}, snapshot_from_id = {snapshot['snapshot-id']}::UBIGINT)"
        arrow = writer.run(f"SELECT {names} FROM {source}").arrow().read_all()
        digests = digest_columns(columns, arrow_values(arrow, columns))
        snapshots.append({"id": str(snapshot["snapshot-id"]), "columns": columns, "digests": digests})
    return {"name": name, "folder": place, "snapshots": snapshots}


def main():
    writer = Writer(read_job()["rest"])
    tables = [
        changed,
        partitioned("by_times", "year(day), month(instant), day(local)"),
        partitioned("by_hour", "hour(instant), flag"),
        partitioned("by_buckets", "bucket(4, key), bucket(3, text), bucket(2, day)"),
        partitioned("truncated", "truncate(10, small), truncate(2, text)"),
    ]
    write_result([describe(writer, write(writer)) for write in tables])


if __name__ == "__main__":
    main()
