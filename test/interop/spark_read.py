"""Reads every snapshot of every table of a job with Spark, by the table's folder and through a Hadoop catalog."""
import decimal
import functools

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from digest import digest_columns, digest_texts, read_job, text_of, write_result

METADATA_TABLES = ("snapshots", "history", "refs", "manifests", "entries", "files", "partitions", "all_entries")


def integers(column):
    """Dates and times as integers, so that no time zone of Python or Java has a say."""
    name, kind = column["name"], column["type"]
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
    found = digest_columns(columns, list(zip(*rows)) if rows else [[] for _ in columns])
    if any(column["name"] == "word_count" for column in columns):
        found["average_word_count"] = frame.agg(f.avg("word_count")).collect()[0][0]
    return found


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


def read_table(spark, spec):
    name, folder, columns = f"firn.{spec['name']}", spec["folder"], spec["columns"]
    by_path = spark.read.format("iceberg")
    metadata_rows = {each: spark.table(f"{name}.{each}").count() for each in METADATA_TABLES}
    snapshots = {}
    for row in spark.table(f"{name}.snapshots").select("snapshot_id").collect():
        snapshot_id = row.snapshot_id
        at = by_path.option("snapshot-id", snapshot_id).load(folder)
        snapshots[str(snapshot_id)] = read(at, columns)
    current = spark.read.format("iceberg").load(folder)
    return {
        "current": read(current, columns),
        "snapshots": snapshots,
        "through_catalog": read(spark.table(name), columns),
        "filters": keys_where(current, spec["key"], spec["filters"]),
        "metadata_rows": metadata_rows,
    }


def main():
    job = read_job()
    session = SparkSession.builder.master("local[1]").appName("firn-interop")
    for key, value in job["spark"].items():
        session = session.config(key, value)
    spark = session.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        write_result({spec["name"]: read_table(spark, spec) for spec in job["tables"]})
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
