"""Reads every snapshot of every table of a job with Spark, by the table's folder and through a Hadoop catalog."""
import decimal
import functools
import json

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from digest import digest_columns, digest_texts, read_all, read_job, text_of, write_result

METADATA_TABLES = ("snapshots", "history", "refs", "manifests", "entries", "files", "partitions", "all_entries")


def integers(column):
    """Dates and times as integers, so that no time zone of Python or Java has a say."""
    name, kind = column["name"], column["type"]
    if isinstance(kind, dict):
        return f.col(f"`{name}`")
    if kind == "date":
        return f.expr(f"unix_date(`{name}`)")
    if kind.startswith("timestamp"):
        return f.expr(f"unix_micros(CAST(`{name}` AS TIMESTAMP))")
    return f.col(name).cast("double") if kind == "float" else f.col(name)


def literal(kind, text):
    if kind == "date":
        return f.expr(f"DATE '{text}'")
    if kind == "timestamp":
        return f.expr(f"TIMESTAMP_NTZ '{text}'")
    if kind == "timestamptz":
        return f.expr(f"TIMESTAMP '{text} UTC'")
    if kind.startswith("decimal"):
        return f.lit(decimal.Decimal(text)).cast(kind)
    return f.lit(int(text)).cast("int" if kind == "int" else "bigint") if kind in ("int", "long") else f.lit(text)


def read(frame, columns):
    rows = frame.select([integers(column).alias(f"c{index}") for index, column in enumerate(columns)]).collect()
    return {**digests_of(rows, columns), **average_of(frame, columns)}


def digests_of(rows, columns):
    return digest_columns(columns, list(zip(*rows)) if rows else [[] for _ in columns])


def average_of(frame, columns):
    if all(column["name"] != "word_count" for column in columns):
        return {}
    return {"average_word_count": frame.agg(f.avg("word_count")).collect()[0][0]}


def keys_where(frame, key, filters):
    """One scan for each filter, all in one query: starting a query takes longer than these scans."""
    keys, scans = [[] for _ in filters], []
    for index, spec in enumerate(filters):
        column, value = f.col(spec["column"]), literal(spec["type"], spec["literal"])
        passing = frame.where(column == value if spec["op"] == "=" else column >= value)
        scans.append(passing.select(f.lit(index).alias("filter"), f.col(key["name"]).alias("key")))
    for row in functools.reduce(lambda left, right: left.unionAll(right), scans).collect() if scans else []:
        keys[row["filter"]].append(text_of(key["type"])(row["key"]))
    return [digest_texts(each) for each in keys]


def read_ref(by_path, folder, ref):
    """A branch has the table's current columns, a tag those of its snapshot."""
    columns = ref["now_columns" if ref["type"] == "branch" else "columns"]
    return read(by_path().option(ref["type"], ref["name"]).load(folder), columns)


def read_snapshots(by_path, folder, columns_of):
    """Snapshots with the same columns in one query: starting a query takes longer than these scans."""
    groups = {}
    for snapshot_id, columns in columns_of.items():
        groups.setdefault(json.dumps(columns), []).append(snapshot_id)
    found = {}
    for text, ids in groups.items():
        columns = json.loads(text)
        values = [integers(column).alias(f"c{index}") for index, column in enumerate(columns)]
        frames = {each: by_path().option("snapshot-id", each).load(folder) for each in ids}
        scans = [frame.select(f.lit(each).alias("at"), *values) for each, frame in frames.items()]
        rows = {each: [] for each in ids}
        for row in functools.reduce(lambda left, right: left.unionAll(right), scans).collect():
            rows[row["at"]].append(row[1:])
        for each, frame in frames.items():
            found[str(each)] = {**digests_of(rows[each], columns), **average_of(frame, columns)}
    return found


def count_rows(spark, name):
    """Rows of each metadata table, by one query."""
    counts = [spark.table(f"{name}.{each}").agg(f.lit(each).alias("table"), f.count("*").alias("rows")) for each in METADATA_TABLES]
    return {row["table"]: row["rows"] for row in functools.reduce(lambda left, right: left.unionAll(right), counts).collect()}


def read_table(spark, spec):
    name, folder, columns = f"firn.{spec['name']}", spec["folder"], spec["columns"]

    def by_path():
        return spark.read.format("iceberg")

    ids = [row.snapshot_id for row in spark.table(f"{name}.snapshots").select("snapshot_id").collect()]
    columns_of = {each: spec["snapshot_columns"].get(str(each), columns) for each in ids}
    current = by_path().load(folder)
    return {
        "current": read(current, columns),
        "snapshots": read_snapshots(by_path, folder, columns_of),
        "refs": {ref["name"]: read_ref(by_path, folder, ref) for ref in spec["refs"]},
        "through_catalog": read(spark.table(name), columns),
        "filters": keys_where(current, spec["key"], spec["filters"]),
        "metadata_rows": count_rows(spark, name),
    }


def main():
    job = read_job()
    session = SparkSession.builder.master("local[1]").appName("firn-interop")
    for key, value in job["spark"].items():
        session = session.config(key, value)
    spark = session.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        write_result(read_all(job, lambda spec: read_table(spark, spec)))
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
