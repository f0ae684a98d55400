"""PyIceberg says which bucket each row is in; PyArrow and DuckDB write folders of plain Parquet files."""
import datetime
import decimal
import os

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan
from pyiceberg.transforms import BucketTransform

from digest import arrow_values, digest_columns, read_job, write_result
from pyiceberg_write import FLAT, RARE, Writer, moment, null_now_and_then, rows_of

BUCKETS = 8


def splits(writer):
    """Every type that has buckets, with rows deleted."""
    columns = {**FLAT, **RARE}
    table = writer.create("splits", columns)
    for start in (0, 40, 80):
        table.append(rows_of(table, columns, start, start + 40))
    table.delete(And(GreaterThanOrEqual("key", 30), LessThan("key", 50)))
    described = [{"name": field.name, "type": str(field.field_type)} for field in table.schema().fields]
    keys, *cells = arrow_values(table.scan().to_arrow(), described)
    buckets = {}
    for field, values in zip(table.schema().fields[1:], cells):
        if BucketTransform(BUCKETS).can_transform(field.field_type):
            bucket = BucketTransform(BUCKETS).transform(field.field_type)
            buckets[field.name] = {str(key): bucket(value) for key, value in zip(keys, values)}
    return {"folder": table.metadata_location, "buckets": buckets}


LIST_OF = {"type": "list", "element": "long"}
# (Arrow type, Iceberg type, value of a key)
PLAIN = {
    "key": (pa.int64(), "long", lambda key: key),
    "flag": (pa.bool_(), "boolean", FLAT["flag"][1]),
    "small": (pa.int32(), "int", FLAT["small"][1]),
    "single": (pa.float32(), "float", FLAT["single"][1]),
    "double": (pa.float64(), "double", FLAT["double"][1]),
    "day": (pa.date32(), "date", FLAT["day"][1]),
    "instant": (pa.timestamp("us", "UTC"), "timestamptz", FLAT["instant"][1]),
    "local": (pa.timestamp("us"), "timestamp", FLAT["local"][1]),
    "time": (pa.time64("us"), "time", RARE["time"][1]),
    "text": (pa.string(), "string", lambda key: null_now_and_then(key, 10, f"word {key % 9}")),
    "bytes": (pa.binary(), "binary", FLAT["bytes"][1]),
    "fixed": (pa.binary(5), "fixed[5]", RARE["fixed"][1]),
    "dec9": (pa.decimal128(9, 2), "decimal(9, 2)", FLAT["dec9"][1]),
    "dec38": (pa.decimal128(38, 10), "decimal(38, 10)", FLAT["dec38"][1]),
    "numbers": (pa.list_(pa.int64()), LIST_OF, lambda key: null_now_and_then(key, 4, [key, None, -key][: key % 4])),
    "lists": (
        pa.list_(pa.list_(pa.string())),
        {"type": "list", "element": {"type": "list", "element": "string"}},
        lambda key: null_now_and_then(key, 5, [["a", f"{key}"], None, [], [None]][: key % 5]),
    ),
}
# of a file each: how many rows, and how PyArrow writes it
WAYS = [
    (40, {"compression": "zstd", "data_page_version": "2.0", "row_group_size": 7}),
    (100, {"compression": "snappy", "row_group_size": 64, "write_page_index": True}),
    (30, {"compression": "gzip", "use_dictionary": False, "data_page_version": "2.0", "data_page_size": 64}),
    (1, {"compression": "none", "row_group_size": 1}),
    (0, {"compression": "zstd"}),
    (25, {"compression": "lz4", "row_group_size": 10, "use_compliant_nested_type": False}),
    (35, {"compression": "brotli", "dictionary_pagesize_limit": 16, "data_page_size": 32}),
    (
        50,
        {
            "compression": "zstd", "use_dictionary": False, "row_group_size": 20, "store_schema": False,
            "column_encoding": {
                "key": "DELTA_BINARY_PACKED", "small": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY",
                "bytes": "DELTA_LENGTH_BYTE_ARRAY", "single": "BYTE_STREAM_SPLIT", "double": "BYTE_STREAM_SPLIT",
            },
        },
    ),
]


def plain_rows(columns, start, end):
    return pa.table({name: pa.array([value(key) for key in range(start, end)], kind) for name, (kind, _, value) in columns.items()})


def pyarrow_files(folder):
    os.makedirs(f"{folder}/below")
    columns = [{"name": name, "type": kind} for name, (_, kind, _) in PLAIN.items()]
    tables, start = [], 0
    for index, (count, how) in enumerate(WAYS):
        rows = plain_rows(PLAIN, start, start + count)
        # the columns of a file may stand in any order
        written = rows.select(rows.column_names[::-1]) if index == 2 else rows
        pq.write_table(written, f"{folder}/{'below/' if index % 2 else ''}{index}.parquet", **how)
        tables.append(rows)
        start += count
    return {"folder": folder, "columns": columns, "digests": digest_columns(columns, arrow_values(pa.concat_tables(tables), columns))}


# types that Iceberg has not: read as the one that holds them, or refused by the name of the column
RARE_FILES = {
    "key": (pa.int64(), "long", lambda key: key),
    "tiny": (pa.int8(), "int", lambda key: null_now_and_then(key, 3, key - 100)),
    "byte": (pa.uint8(), "int", lambda key: null_now_and_then(key, 3, 255 - key)),
    "short": (pa.uint16(), "int", lambda key: 65535 - key),
    "count": (pa.uint32(), "long", lambda key: null_now_and_then(key, 4, 2**32 - 1 - key)),
    "long_text": (pa.large_string(), "string", lambda key: f"t{key}"),
    "category": (pa.dictionary(pa.int8(), pa.string()), "string", lambda key: null_now_and_then(key, 6, f"c{key % 3}")),
    "millis": (pa.timestamp("ms", "UTC"), "timestamptz", lambda key: null_now_and_then(key, 5, moment(key).replace(microsecond=5000))),
    "clock": (pa.time32("ms"), "time", lambda key: datetime.time(key % 24, 1, 2, 3000)),
    "pair": (pa.struct({"x": pa.uint16(), "y": pa.list_(pa.string())}), {"type": "struct", "fields": [
        {"name": "x", "type": "int"}, {"name": "y", "type": {"type": "list", "element": "string"}}]},
        lambda key: null_now_and_then(key, 3, {"x": key, "y": null_now_and_then(key, 2, ["a", None])})),
    "by_name": (pa.map_(pa.string(), pa.int32()), {"type": "map", "key": "string", "value": "int"},
        lambda key: null_now_and_then(key, 4, [(f"k{each}", each) for each in range(key % 3)])),
    "dec20": (pa.decimal128(20, 0), "decimal(20, 0)", lambda key: decimal.Decimal(-key) * 10**12),
}
REFUSED = {
    "huge": (pa.uint64(), lambda key: 2**64 - 1 - key),
    "half": (pa.float16(), lambda key: key / 2),
    "halves": (pa.list_(pa.float16()), lambda key: [key / 2]),
}


def rare_files(folder):
    os.makedirs(folder)
    rows = plain_rows(RARE_FILES, 0, 60)
    written = rows
    for name, (kind, value) in REFUSED.items():
        written = written.append_column(name, pa.array([value(key) for key in range(60)], kind))
    pq.write_table(written, f"{folder}/one.parquet", row_group_size=25)
    columns = [{"name": name, "type": kind} for name, (_, kind, _) in RARE_FILES.items()]
    micros = {"timestamptz": pa.timestamp("us", "UTC"), "time": pa.time64("us")}
    for index, (name, (_, kind, _)) in enumerate(RARE_FILES.items()):
        if kind in ("timestamptz", "time"):
            rows = rows.set_column(index, name, rows.column(index).cast(micros[kind]))
    digests = digest_columns(columns, arrow_values(rows, columns))
    return {"folder": folder, "columns": columns, "digests": digests, "refused": list(REFUSED)}


def duckdb_files(folder):
    os.makedirs(folder)
    columns = [
        {"name": "key", "type": "long"}, {"name": "id", "type": "uuid"}, {"name": "day", "type": "date"},
        {"name": "instant", "type": "timestamptz"}, {"name": "local", "type": "timestamp"}, {"name": "time", "type": "time"},
        {"name": "text", "type": "string"}, {"name": "kind", "type": "string"}, {"name": "price", "type": "decimal(9, 2)"},
        {"name": "bytes", "type": "binary"}, {"name": "numbers", "type": LIST_OF},
    ]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE TYPE kind AS ENUM ('a', 'b', 'c')")
    connection.execute("""
        CREATE TABLE rows AS SELECT i AS key, if(i % 6 = 0, NULL, ('00000000-0000-4000-8000-' || lpad(i::VARCHAR, 12, '0'))::UUID) AS id,
            if(i % 6 = 0, NULL, DATE '1969-12-25' + (i % 3000)::INTEGER) AS day, make_timestamptz(i * 7200000001 - 40 * 3600000000) AS instant,
            if(i % 4 = 0, NULL, make_timestamp(i * 86400000 - 5)) AS local, TIME '00:00:01.000001' + to_seconds(i) AS time,
            if(i % 10 = 0, NULL, 't-' || i || repeat('\U0001F600', (i % 4)::INTEGER)) AS text, (['a', 'b', 'c'])[1 + i % 3]::kind AS kind,
            (i - 30)::DECIMAL(9, 2) AS price, if(i % 3 = 0, NULL, encode('b' || i)) AS bytes,
            if(i % 8 = 0, NULL, [i, NULL, -i][: (i % 4)]) AS numbers
        FROM range(0, 5000) rows(i)
    """)
    ways = ["CODEC zstd, ROW_GROUP_SIZE 2048", "CODEC snappy, PARQUET_VERSION v2", "CODEC gzip"]
    for index, way in enumerate(ways):
        connection.execute(f"COPY (FROM rows WHERE key % 3 = {index}) TO '{folder}/{index}.parquet' (FORMAT parquet, {way})")
    rows = connection.execute(f"SELECT * REPLACE (kind::VARCHAR AS kind) FROM read_parquet('{folder}/*.parquet')").arrow().read_all()
    return {"folder": folder, "columns": columns, "digests": digest_columns(columns, arrow_values(rows, columns))}


def main():
    warehouse = read_job()["warehouse"]
    folder = warehouse.removeprefix("file://")
    os.makedirs(folder)
    folders = [pyarrow_files(f"{folder}/plain pyarrow"), rare_files(f"{folder}/rare"), duckdb_files(f"{folder}/duckdb")]
    write_result({"splits": [splits(Writer(warehouse, folder))], "folders": folders})


if __name__ == "__main__":
    main()
