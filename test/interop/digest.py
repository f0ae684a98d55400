"""One digest for all engines; digest.ts says how it is made and why."""
import hashlib
import json
import math
import struct
import sys


def float_text(value):
    if value is None:
        return "null"
    return "nan" if math.isnan(value) else struct.pack(">d", value).hex()


def bytes_text(value):
    if value is None:
        return "null"
    return "x" + (value.encode("utf-8") if isinstance(value, str) else bytes(value)).hex()


def plain_text(value):
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def decimal_text(scale):
    def text(value):
        if value is None:
            return "null"
        sign, digits, exponent = value.as_tuple()
        number = int("".join(map(str, digits)))
        # an engine may print more digits than the scale has, but they must be zeros
        unscaled, rest = divmod(number * 10 ** max(0, exponent + scale), 10 ** max(0, -exponent - scale))
        if rest:
            raise ValueError(f"expected a decimal of scale {scale}, got {value}")
        return str(-unscaled if sign else unscaled)

    return text


def text_of(iceberg_type):
    """The function that prints a value, once dates and times are integers."""
    if iceberg_type in ("float", "double"):
        return float_text
    if iceberg_type in ("string", "binary") or iceberg_type.startswith("fixed"):
        return bytes_text
    if iceberg_type.startswith("decimal"):
        return decimal_text(int(iceberg_type.split(",")[1].rstrip(")")))
    return plain_text


def digest_texts(texts):
    digest = hashlib.sha256()
    for text in sorted(texts):
        digest.update(text.encode("ascii") + b"\n")
    return digest.hexdigest()


def digest_columns(columns, values):
    """`values`: one list per column; dates, times and timestamps as integers."""
    texts = [list(map(text_of(column["type"]), cells)) for column, cells in zip(columns, values)]
    sha256 = {column["name"]: digest_texts(cells) for column, cells in zip(columns, texts)}
    sha256["rows"] = digest_texts("\t".join(cells) for cells in zip(*texts))
    return {"count": len(texts[0]), "sha256": sha256}


def arrow_values(table, columns):
    """One list of Python values per column of an Arrow table, dates, times and timestamps as integers."""
    import pyarrow as pa

    values = []
    for column in columns:
        cells = table.column(column["name"])
        if column["type"] == "date":
            cells = cells.cast(pa.int32())
        elif column["type"] == "time" or column["type"].startswith("timestamp"):
            if getattr(cells.type, "unit", None) != "us":
                raise TypeError(f"{column['name']}: expected microseconds, got {cells.type}")
            cells = cells.cast(pa.int64())
        values.append(cells.to_pylist())
    return values


def read_job():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def write_result(result):
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(result, file)
