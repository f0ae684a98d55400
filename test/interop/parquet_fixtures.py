"""Writes test/fixtures/parquet: files of PyArrow and Spark in the shapes that our reader must understand.

Run by hand, with the interop environment's Python, when a shape is added: parquet_fixtures.py <folder>
The values that must come out are in test/table/format/parquet-foreign.test.ts.
"""
import datetime as dt
import decimal
import glob
import os
import shutil
import sys
import tempfile
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

UTC = dt.timezone.utc


def field(name, kind, number, nullable=True):
    return pa.field(name, kind, nullable, metadata={"PARQUET:field_id": str(number)})


def nested():
    point = pa.struct([field("x", pa.int32(), 3, False), field("note", pa.string(), 4)])
    schema = pa.schema([
        field("key", pa.int64(), 1, False),
        field("point", point, 2),
        field("lists", pa.list_(field("element", pa.list_(field("element", pa.string(), 7)), 6)), 5),
        field("map", pa.map_(field("key", pa.string(), 9, False), field("value", point_of(11), 10)), 8),
    ])
    return pa.Table.from_pylist([
        {"key": 1, "point": {"x": 1, "note": "a"}, "lists": [["p", None], [], None],
         "map": [("one", {"v": 1.5}), ("two", None)]},
        {"key": 2, "point": None, "lists": None, "map": None},
        {"key": 3, "point": {"x": 3, "note": None}, "lists": [], "map": []},
        {"key": 4, "point": {"x": 4, "note": "d"}, "lists": [[None], ["q"]], "map": [("three", {"v": None})]},
    ], schema=schema)


def point_of(number):
    return pa.struct([field("v", pa.float64(), number)])


def units():
    instant = dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)
    schema = pa.schema([
        field("millis", pa.timestamp("ms", "UTC"), 1), field("nanos", pa.timestamp("ns"), 2),
        field("time_millis", pa.time32("ms"), 3), field("time_nanos", pa.time64("ns"), 4),
        field("u8", pa.uint8(), 5), field("u32", pa.uint32(), 6), field("small", pa.decimal128(9, 2), 7),
        field("large", pa.decimal128(30, 2), 8), field("day", pa.date32(), 9), field("id", pa.uuid(), 10),
        field("single", pa.float32(), 11), field("whole", pa.int32(), 12), field("fixed", pa.binary(3), 13),
        field("u64", pa.uint64(), 14),
    ])
    row = [instant.replace(tzinfo=UTC), None, dt.time(1, 2, 3, 4000), None, 200, 4_000_000_000,
           decimal.Decimal("-1.25"), decimal.Decimal("-12345678901234567890.12"), dt.date(1969, 12, 31),
           uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7").bytes, 1.5, -7, b"abc", 1]
    columns = [pa.array([value, None], kind.type) if kind.name not in ("nanos", "time_nanos", "id") else None
               for value, kind in zip(row, schema)]
    # one nanosecond before the epoch: rounding toward zero would move it to another day
    columns[1] = pa.array([-1, None], pa.int64()).cast(pa.timestamp("ns"))
    columns[3] = pa.array([3_723_000_004_999, None], pa.int64()).cast(pa.time64("ns"))
    columns[9] = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([row[9], None], pa.binary(16)))
    return pa.Table.from_arrays(columns, schema=schema)


def texts():
    """Long enough for several pages and a dictionary; bounds get cut."""
    schema = pa.schema([field("n", pa.int32(), 1, False), field("text", pa.string(), 2)])
    return pa.Table.from_pylist(
        [{"n": n, "text": None if n % 5 == 0 else f"{'text' * 3}-{n % 7}-{chr(0x1F600 + n % 3)}"} for n in range(200)], schema=schema)


def arrow(folder):
    for version in ("1.0", "2.0"):
        pq.write_table(nested(), f"{folder}/nested-v{version[0]}.parquet", data_page_version=version)
    pq.write_table(units(), f"{folder}/units.parquet", version="2.6", store_decimal_as_integer=True)
    pq.write_table(pa.table({"key": [1, 2], "half": pa.array([0.5, None], pa.float16())}), f"{folder}/half.parquet")
    plain = nested().replace_schema_metadata(None)
    stripped = pa.Table.from_pylist(plain.to_pylist(), schema=without_ids(plain.schema))
    pq.write_table(stripped, f"{folder}/no-ids.parquet")
    for codec in ("snappy", "gzip", "zstd", "lz4", "brotli", "none"):
        for version in ("1.0", "2.0"):
            pq.write_table(texts(), f"{folder}/{codec}-v{version[0]}.parquet", compression=codec,
                           data_page_version=version, data_page_size=256, write_batch_size=16, store_schema=False,
                           write_page_checksum=True)
    pq.write_table(texts(), f"{folder}/delta.parquet", use_dictionary=False, data_page_version="2.0",
                   column_encoding={"n": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY"}, store_schema=False)


def without_ids(schema):
    def bare(kind):
        if pa.types.is_struct(kind):
            return pa.struct([pa.field(child.name, bare(child.type), child.nullable) for child in kind])
        if pa.types.is_list(kind):
            return pa.list_(pa.field("element", bare(kind.value_type)))
        if pa.types.is_map(kind):
            return pa.map_(bare(kind.key_type), bare(kind.item_type))
        return kind
    return pa.schema([pa.field(one.name, bare(one.type), one.nullable) for one in schema])


def spark(folder):
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false") \
        .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1") \
        .config("spark.sql.session.timeZone", "UTC").getOrCreate()
    frame = session.sql("""
        SELECT CAST(1 AS BIGINT) AS key, TIMESTAMP '1969-12-31 23:59:59.999999' AS at,
            array('a', NULL) AS with_nulls, array(1, 2) AS no_nulls, map('k', 1L) AS map,
            named_struct('x', 1, 'note', 'n') AS point, array(named_struct('v', 1.5D)) AS structs,
            CAST('12.34' AS DECIMAL(9, 2)) AS dec
        UNION ALL SELECT 2L, TIMESTAMP '2026-11-21 15:30:00.123456', NULL, NULL, NULL, NULL, NULL, NULL
    """).coalesce(1)
    for name, legacy in (("spark", "false"), ("spark-legacy", "true")):
        session.conf.set("spark.sql.parquet.writeLegacyFormat", legacy)
        session.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
        parts = tempfile.mkdtemp()
        frame.write.mode("overwrite").option("compression", "none").parquet(parts)
        shutil.copy(glob.glob(f"{parts}/*.parquet")[0], f"{folder}/{name}.parquet")
        shutil.rmtree(parts)
    session.stop()


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    arrow(sys.argv[1])
    spark(sys.argv[1])
