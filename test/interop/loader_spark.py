"""Spark says what the loader must give: buckets of rows, rows between snapshots, where rows lie; and writes plain files."""
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from digest import digest_columns, read_job, write_result
from spark_read import integers, read
from spark_write import MERGE_ON_READ, TYPES, Writer, delete_some, describe

BUCKETS = 8
BUCKETED = [name for name, kind in TYPES.items() if kind not in ("boolean", "float", "double")]
COLUMNS = [{"name": name, "type": kind} for name, kind in TYPES.items()]
FOLDER = "foreign/{}"


def current_id(writer, table):
    return writer.spark.table(f"{table}.history").orderBy("made_current_at").collect()[-1].snapshot_id


def buckets_of(writer, table, columns):
    """By column the bucket of every key, by the function that Spark's partitions are made with."""
    by = ", ".join(f"firn.system.bucket({BUCKETS}, {name}) AS {name}" for name in columns if name != "key")
    by = f", {by}" if by else ""
    rows = writer.spark.sql(f"SELECT key AS k, firn.system.bucket({BUCKETS}, key) AS key {by} FROM {table}").collect()
    return {name: {str(row.k): row[name] for row in rows} for name in columns}


# ten rows a row group
SMALL_GROUPS = ", ".join(f"'write.parquet.{name}' = '{value}'" for name, value in {
    "row-group-size-bytes": 512, "row-group-check-min-record-count": 10, "row-group-check-max-record-count": 10}.items())


# a condition as firn takes it, and as Spark does
FILTERS = [
    ("small between -20 and 5", "small BETWEEN -20 AND 5"),
    ("instant < '1970-01-02T00:00:00Z'", "instant < TIMESTAMP '1970-01-02 00:00:00 UTC'"),
    ("local > '1970-01-20T00:00:00'", "local > TIMESTAMP_NTZ '1970-01-20 00:00:00'"),
    ("text starts with 't-3'", "text LIKE 't-3%'"),
    ("text is null", "text IS NULL"),
    ("text = 'changed'", "text = 'changed'"),
    ("dec9 >= 5.5 or day < '1970-01-10'", "dec9 >= 5.5 OR day < DATE '1970-01-10'"),
    ("not (large > 20000000000)", "NOT (large > 20000000000)"),
    ("double is nan or single is nan", "isnan(double) OR isnan(single)"),
    ("key in (2, 40, 77, 78, 79) and bytes is not null", "key IN (2, 40, 77, 78, 79) AND bytes IS NOT NULL"),
]


def changed_rows(version):
    """Deleted, updated and appended rows without partitions: only values say which bucket a row is in."""

    def write(writer):
        name = f"changed_rows_{version}"
        table = delete_some(writer, writer.create(name, "", f"'format-version' = '{version}', {MERGE_ON_READ}, {SMALL_GROUPS}"))
        places = writer.spark.sql(f"SELECT key, _file, _pos FROM {table}").collect()
        files = [row.file_path for row in writer.spark.sql(f"SELECT file_path FROM {table}.files WHERE content = 0").collect()]
        return {
            "folder": FOLDER.format(name),
            "buckets": buckets_of(writer, table, BUCKETED),
            "places": [[str(row.key), row._file, row._pos] for row in places],
            "files": {file: rows_of_groups(file) for file in files},
            "filters": [[ours, keys_where(writer, table, theirs)] for ours, theirs in FILTERS],
        }

    return write


def keys_where(writer, table, condition):
    return [str(row.key) for row in writer.spark.sql(f"SELECT key FROM {table} WHERE {condition}").collect()]


def rows_of_groups(file):
    metadata = pq.ParquetFile(file.removeprefix("file:")).metadata
    return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]


def by_bucket(writer):
    """Partitions prove the bucket: of the column itself, in a multiple of the split's buckets."""
    table = writer.create("by_bucket", f"bucket({2 * BUCKETS}, text)")
    writer.insert(table, 0, 60)
    rows = writer.spark.sql(f"SELECT key, _partition.text_bucket AS bucket FROM {table}").collect()
    partitions = {str(row.key): row.bucket for row in rows}
    return {"folder": FOLDER.format("by_bucket"), "buckets": buckets_of(writer, table, ["text"]), "partitions": partitions}


def widened(writer):
    """Partitions by values and by buckets of columns whose types were widened since."""
    table = writer.create("widened", "small, dec9, bucket(16, small)")
    writer.insert(table, 0, 25)
    writer.alter(table, "ALTER COLUMN small TYPE BIGINT")
    writer.alter(table, "ALTER COLUMN dec9 TYPE DECIMAL(18, 2)")
    writer.insert(table, 25, 30)
    return {"folder": FOLDER.format("widened"), "buckets": buckets_of(writer, table, ["small", "dec9"])}


def imported(writer, folder):
    """Plain files, without field ids and in folders by a column's value, that were added to a table."""
    source = f"{folder}/{FOLDER.format('imported')}/data/plain"
    table = writer.create("imported", "flag", MERGE_ON_READ)
    rows = writer.spark.sql("SELECT * FROM firn.foreign.widened")
    rows.write.partitionBy("flag").parquet(f"file://{source}")
    writer.alter(table, "ALTER COLUMN small TYPE BIGINT")
    writer.alter(table, "ALTER COLUMN dec9 TYPE DECIMAL(18, 2)")
    # times of 96 bits in files, which Iceberg itself reads
    writer.spark.sql(f"CALL firn.system.add_files(table => '{table}', source_table => '`parquet`.`{source}`')")
    writer.alter(table, "RENAME COLUMN text TO words")
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 7 = 3")
    writer.spark.sql(f"UPDATE {table} SET words = 'changed' WHERE key % 9 = 0")
    return table


def other_formats(writer):
    tables = []
    for kind in ("avro", "orc"):
        tables.append(writer.create(f"in_{kind}", "", f"'write.format.default' = '{kind}'"))
        writer.insert(tables[-1], 0, 5)
    return [FOLDER.format(f"in_{kind}") for kind in ("avro", "orc")]


def grown(writer):
    """Appends, then each kind of commit that rewrites rows."""
    table = writer.create("grown", "", MERGE_ON_READ)
    ids = {}

    def insert(name, start, end):
        writer.insert(table, start, end)
        ids[name] = current_id(writer, table)

    def run(name, statement):
        writer.spark.sql(statement)
        ids[name] = current_id(writer, table)

    insert("first", 0, 30)
    insert("second", 30, 50)
    insert("third", 50, 60)
    run("deleted", f"DELETE FROM {table} WHERE key IN (5, 35, 55)")
    insert("fourth", 60, 70)
    writer.alter(table, "SET TBLPROPERTIES ('write.delete.mode' = 'copy-on-write')")
    run("copied", f"DELETE FROM {table} WHERE key = 12")
    insert("fifth", 70, 80)
    run("rewritten", f"CALL firn.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))")
    insert("sixth", 80, 90)
    run("overwritten", f"INSERT OVERWRITE {table} SELECT * FROM {table} WHERE key > 40")
    insert("seventh", 90, 95)
    # rows that Spark's own incremental read gives; deletes between it does not apply
    ranges = [("first", "second"), ("first", "third"), ("second", "third"), ("deleted", "fourth"), ("rewritten", "sixth"),
              ("overwritten", "seventh"), ("first", "fourth"), ("third", "fourth")]
    hidden = [("fourth", "copied"), ("third", "fifth"), ("fifth", "overwritten"), ("copied", "rewritten"), ("first", "seventh"),
              ("sixth", "overwritten"), ("copied", "seventh")]
    return {
        "folder": FOLDER.format("grown"),
        "ids": {name: str(each) for name, each in ids.items()},
        "ranges": [[after, up_to, range_digests(writer, table, ids[after], ids[up_to])] for after, up_to in ranges],
        "hidden": hidden,
    }


def range_digests(writer, table, after, up_to):
    def source():
        return writer.spark.read.format("iceberg")

    appended = source().option("start-snapshot-id", after).option("end-snapshot-id", up_to).load(table)
    live = source().option("snapshot-id", up_to).load(table).select("key")
    rows = appended.join(live, "key", "left_semi").select([integers(column).alias(column["name"]) for column in COLUMNS])
    return digest_columns(COLUMNS, list(zip(*[tuple(row) for row in rows.collect()])))


def plain_files(writer, folder):
    """As Spark writes Parquet by itself, in several files: times of 96 bits, and times in microseconds."""
    extra = "array(key, NULL, key + 1) AS numbers, array(array(text), NULL, array()) AS words"
    columns = [
        *COLUMNS,
        {"name": "numbers", "type": {"type": "list", "element": "long"}},
        {"name": "words", "type": {"type": "list", "element": {"type": "list", "element": "string"}}},
    ]
    rows = writer.spark.sql(f"SELECT *, {extra} FROM firn.foreign.grown")
    found = []
    for kind in ("INT96", "TIMESTAMP_MICROS"):
        writer.spark.conf.set("spark.sql.parquet.outputTimestampType", kind)
        place = f"{folder}/spark {kind}"
        rows.repartition(3, "key").write.option("parquet.block.size", 4096).parquet(f"file://{place}")
        found.append({"folder": place, "columns": columns, "digests": read(writer.spark.read.parquet(f"file://{place}"), columns)})
    return found


def main():
    job = read_job()
    session = SparkSession.builder.master("local[1]").appName("firn-interop")
    for key, value in job["spark"].items():
        session = session.config(key, value)
    spark = session.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        writer = Writer(spark)
        folder = job["warehouse"].removeprefix("file://")
        splits = [write(writer) for write in (changed_rows(2), changed_rows(3), by_bucket, widened)]
        result = {"splits": splits, "delta": grown(writer), "refused": other_formats(writer)}
        tables = [describe(spark, job["warehouse"], imported(writer, folder))]
        write_result({**result, "tables": tables, "folders": plain_files(writer, folder)})
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
