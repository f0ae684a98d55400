"""Spark writes tables that our reader must understand, or must refuse; digests of every snapshot are the answer."""
from pyspark.sql import SparkSession
from pyspark.sql import types as t

from digest import read_job, write_result
from spark_histories import HISTORIES
from spark_read import read_snapshots

COLUMNS = """
    key BIGINT NOT NULL, flag BOOLEAN, small INT, large BIGINT, single FLOAT, double DOUBLE, day DATE,
    instant TIMESTAMP, local TIMESTAMP_NTZ, text STRING, bytes BINARY, dec9 DECIMAL(9, 2), dec38 DECIMAL(38, 10)
"""
TYPES = {
    "key": "long", "flag": "boolean", "small": "int", "large": "long", "single": "float", "double": "double",
    "day": "date", "instant": "timestamptz", "local": "timestamp", "text": "string", "bytes": "binary",
    "dec9": "decimal(9, 2)", "dec38": "decimal(38, 10)",
}
# `id` runs over the keys; every column is null now and then
ROWS = """
    SELECT id AS key, if(id % 7 = 0, NULL, id % 2 = 0) AS flag, if(id % 5 = 0, NULL, CAST(id - 50 AS INT)) AS small,
        if(id % 11 = 0, NULL, id * 1000000007) AS large,
        CASE WHEN id % 13 = 0 THEN float('NaN') WHEN id % 9 = 0 THEN NULL ELSE CAST(id / 3 AS FLOAT) END AS single,
        CASE WHEN id % 13 = 0 THEN -0.0D WHEN id % 8 = 0 THEN NULL ELSE id / 7 END AS double,
        if(id % 6 = 0, NULL, date_add(DATE '1969-12-25', CAST(id AS INT))) AS day,
        timestamp_micros(id * 7200000001 - 40 * 3600000000) AS instant,
        CAST(if(id % 4 = 0, NULL, timestamp_micros(id * 86400000000 - 5)) AS TIMESTAMP_NTZ) AS local,
        if(id % 10 = 0, NULL, concat('t-', id, repeat('\U0001F600 long ', CAST(id % 4 AS INT)))) AS text,
        if(id % 3 = 0, NULL, encode(CAST(id AS STRING), 'UTF-8')) AS bytes,
        CAST(id - 30 AS DECIMAL(9, 2)) / 2 AS dec9, CAST(id - 30 AS DECIMAL(38, 10)) * 100000000000 AS dec38
    FROM range({start}, {end})
"""


class Writer:
    def __init__(self, spark):
        self.spark = spark

    def create(self, name, partition="", properties="'made-by' = 'spark'"):
        table = f"firn.foreign.{name}"
        by = f"PARTITIONED BY ({partition})" if partition else ""
        self.spark.sql(f"CREATE TABLE {table} ({COLUMNS}) USING iceberg {by} TBLPROPERTIES ({properties})")
        return table

    def insert(self, table, start, end):
        rows = self.spark.sql(ROWS.format(start=start, end=end)).selectExpr(
            *[f"CAST({name} AS DECIMAL(9, 2)) AS {name}" if name == "dec9" else
              f"CAST({name} AS DECIMAL(38, 10)) AS {name}" if name == "dec38" else name for name in TYPES]
        )
        rows.writeTo(table).append()

    def alter(self, table, clause):
        self.spark.sql(f"ALTER TABLE {table} {clause}")


def plain(writer):
    """Several snapshots, partitions of every transform that we can compute, and two that we cannot."""
    table = writer.create("plain", "days(instant), truncate(4, text), bucket(3, key)")
    for start in (0, 40, 80):
        writer.insert(table, start, start + 40)
    return table


def codecs(writer):
    """Each file another codec, metadata compressed."""
    table = writer.create("codecs", "months(instant)", "'write.metadata.compression-codec' = 'gzip'")
    for index, codec in enumerate(("gzip", "snappy", "zstd", "uncompressed")):
        writer.alter(table, f"SET TBLPROPERTIES ('write.parquet.compression-codec' = '{codec}')")
        writer.insert(table, index * 20, index * 20 + 20)
    return table


def version_one(writer):
    table = writer.create("version_one", "flag, day", "'format-version' = '1'")
    writer.insert(table, 0, 60)
    writer.insert(table, 60, 90)
    return table


def evolved(writer):
    """Columns renamed, dropped, added, moved and widened; the partitioning changed."""
    table = writer.create("evolved", "day")
    writer.insert(table, 0, 40)
    writer.alter(table, "ALTER COLUMN small TYPE BIGINT")
    writer.alter(table, "ALTER COLUMN single TYPE DOUBLE")
    writer.alter(table, "ALTER COLUMN dec9 TYPE DECIMAL(18, 2)")
    writer.alter(table, "RENAME COLUMN text TO words")
    writer.alter(table, "DROP COLUMN bytes")
    writer.alter(table, "ADD COLUMN text STRING AFTER key")
    writer.alter(table, "DROP PARTITION FIELD day")
    writer.alter(table, "ADD PARTITION FIELD hours(instant)")
    writer.spark.sql(
        f"INSERT INTO {table} SELECT key + 1000, 'new', flag, small, large, single, double, day, instant, local, words, dec9, dec38 FROM {table}"
    )
    return table


def rewritten(writer):
    """Files replaced by an overwrite and by a copy-on-write delete: DELETED and EXISTING entries."""
    table = writer.create("rewritten", "days(instant)", "'write.delete.mode' = 'copy-on-write'")
    writer.insert(table, 0, 60)
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 5 = 1")
    writer.insert(table, 60, 80)
    writer.spark.sql(f"CALL firn.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))")
    return table


MERGE_ON_READ = "'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read'"


def delete_some(writer, table):
    """Deletes over deletes, rows that move by an update, and data that comes after them."""
    writer.insert(table, 0, 60)
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 5 = 1")
    writer.insert(table, 60, 90)
    writer.spark.sql(f"DELETE FROM {table} WHERE key BETWEEN 50 AND 70 AND key % 2 = 0")
    writer.spark.sql(f"UPDATE {table} SET text = 'changed' WHERE key % 9 = 0")
    return table


def merge_on_read(writer):
    """Position deletes: who ignores them brings deleted rows back."""
    return delete_some(writer, writer.create("merge_on_read", "", MERGE_ON_READ))


def merge_on_read_partitioned(writer):
    """Position deletes of several files in one, and a partitioning that changed between data and deletes."""
    table = writer.create(
        "merge_on_read_partitioned", "flag", f"{MERGE_ON_READ}, 'write.delete.granularity' = 'partition'"
    )
    writer.insert(table, 0, 40)
    writer.insert(table, 40, 60)
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 3 = 1")
    writer.alter(table, "ADD PARTITION FIELD days(instant)")
    writer.insert(table, 60, 80)
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 7 = 2")
    writer.alter(table, "ALTER COLUMN small TYPE BIGINT")
    writer.alter(table, "RENAME COLUMN text TO words")
    writer.spark.sql(f"DELETE FROM {table} WHERE small > 25")
    return table


def deletion_vectors(writer):
    """Format version 3: one deletion vector for each data file."""
    return delete_some(writer, writer.create("deletion_vectors", "flag", f"'format-version' = '3', {MERGE_ON_READ}"))


FLAT = {
    t.BooleanType: "boolean",
    t.IntegerType: "int",
    t.LongType: "long",
    t.FloatType: "float",
    t.DoubleType: "double",
    t.DateType: "date",
    t.TimestampType: "timestamptz",
    t.TimestampNTZType: "timestamp",
    t.StringType: "string",
    t.BinaryType: "binary",
}


def iceberg_type(kind):
    if isinstance(kind, t.StructType):
        return {"type": "struct", "fields": [{"name": each.name, "type": iceberg_type(each.dataType)} for each in kind]}
    if isinstance(kind, t.ArrayType):
        return {"type": "list", "element": iceberg_type(kind.elementType)}
    if isinstance(kind, t.MapType):
        return {"type": "map", "key": iceberg_type(kind.keyType), "value": iceberg_type(kind.valueType)}
    return f"decimal({kind.precision}, {kind.scale})" if isinstance(kind, t.DecimalType) else FLAT[type(kind)]


def describe(spark, warehouse, table):
    """Digests of every snapshot, by the schema that it has."""
    folder = table.replace("firn.", "").replace(".", "/")

    def by_path():
        return spark.read.format("iceberg")

    columns_of = {}
    for row in spark.table(f"{table}.snapshots").orderBy("committed_at").collect():
        schema = by_path().option("snapshot-id", row.snapshot_id).load(f"{warehouse}/{folder}").schema
        columns_of[row.snapshot_id] = [{"name": each.name, "type": iceberg_type(each.dataType)} for each in schema]
    digests = read_snapshots(by_path, f"{warehouse}/{folder}", columns_of)
    snapshots = [
        {"id": str(each), "columns": columns, "digests": digests[str(each)]} for each, columns in columns_of.items()
    ]
    counted = ["record_count", "file_count", "position_delete_record_count", "position_delete_file_count"]
    partitions = spark.table(f"{table}.partitions").selectExpr(*counted).collect()
    files = spark.table(f"{table}.files").select("content", "record_count", "file_size_in_bytes").collect()
    return {
        "name": table.split(".")[-1],
        "folder": folder,
        "snapshots": snapshots,
        "partitions": [",".join(map(str, row)) for row in partitions],
        "files": [",".join(map(str, row)) for row in files],
    }


def main():
    job = read_job()
    session = SparkSession.builder.master("local[1]").appName("firn-interop")
    for key, value in job["spark"].items():
        session = session.config(key, value)
    spark = session.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        writer = Writer(spark)
        tables = [plain, codecs, version_one, evolved, rewritten, merge_on_read, merge_on_read_partitioned, deletion_vectors]
        write_result([describe(spark, job["warehouse"], write(writer)) for write in [*tables, *HISTORIES]])
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
