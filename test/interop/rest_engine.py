"""
A writer and reader of one REST catalog table that takes its orders line by line: PyIceberg or Spark, started once.
Every order is a line of JSON, every answer too.
"""
import datetime
import json
import sys

from digest import arrow_values, digest_columns

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def moment(micros):
    return None if micros is None else EPOCH + datetime.timedelta(microseconds=micros)


def day(days):
    return None if days is None else EPOCH.date() + datetime.timedelta(days=days)


class PyIceberg:
    def __init__(self, job):
        from pyiceberg.catalog import load_catalog

        self.columns = job["columns"]
        self.name = job["table"]
        self.catalog = load_catalog("rest", type="rest", uri=job["uri"])
        self.conflicts = 0

    def arrow(self, rows):
        import pyarrow as pa

        kinds = {
            "string": pa.string(),
            "timestamptz": pa.timestamp("us", tz="UTC"),
            "int": pa.int32(),
            "long": pa.int64(),
            "double": pa.float64(),
            "date": pa.date32(),
        }
        convert = {"timestamptz": moment, "date": day}
        fields, arrays = [], []
        for column in self.columns:
            kind = kinds[column["type"]]
            to = convert.get(column["type"], lambda value: value)
            fields.append(pa.field(column["name"], kind, nullable=column["name"] != "id"))
            arrays.append(pa.array([to(row[column["name"]]) for row in rows], kind))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def append(self, rows):
        from pyiceberg.exceptions import CommitFailedException

        for _ in range(200):
            try:
                self.catalog.load_table(self.name).append(self.arrow(rows))
                return
            except CommitFailedException:
                self.conflicts += 1
        raise RuntimeError("lost every race")

    def digest(self):
        arrow = self.catalog.load_table(self.name).scan().to_arrow()
        return digest_columns(self.columns, arrow_values(arrow, self.columns))


class Spark:
    def __init__(self, job):
        from pyspark.sql import SparkSession

        self.columns = job["columns"]
        self.name = f"firn.{job['table']}"
        session = SparkSession.builder.master("local[1]").appName("firn-interop-rest")
        for key, value in job["spark"].items():
            session = session.config(key, value)
        self.spark = session.getOrCreate()
        self.spark.sparkContext.setLogLevel("ERROR")
        self.conflicts = 0

    def append(self, rows):
        from pyspark.sql import types as t

        kinds = {
            "string": t.StringType(),
            "timestamptz": t.TimestampType(),
            "int": t.IntegerType(),
            "long": t.LongType(),
            "double": t.DoubleType(),
            "date": t.DateType(),
        }
        convert = {"timestamptz": moment, "date": day, "double": float}
        fields = [t.StructField(c["name"], kinds[c["type"]], c["name"] != "id") for c in self.columns]
        values = [
            tuple(convert.get(c["type"], lambda value: value)(row[c["name"]]) for c in self.columns) for row in rows
        ]
        # Java's committer retries on its own
        self.spark.createDataFrame(values, t.StructType(fields)).writeTo(self.name).append()

    def digest(self):
        from spark_read import read

        self.spark.sql(f"REFRESH TABLE {self.name}")
        return read(self.spark.table(self.name), self.columns)


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        engine = {"pyiceberg": PyIceberg, "spark": Spark}[sys.argv[1]](json.load(file))
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "append":
            for rows in order["commits"]:
                engine.append(rows)
            answer = {"conflicts": engine.conflicts}
        else:
            answer = engine.digest()
        print("answer " + json.dumps(answer), flush=True)


main()
