"""One digest for all engines; digest.ts says how it is made and why."""
import datetime
import hashlib
import json
import math
import struct
import sys
import traceback
import uuid

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def float_text(value):
    if value is None:
        return "null"
    return "nan" if math.isnan(value) else struct.pack(">d", value).hex()


def bytes_text(value):
    if value is None:
        return "null"
    return "x" + (value.encode("utf-8") if isinstance(value, str) else bytes(value)).hex()


def uuid_text(value):
    if isinstance(value, uuid.UUID):
        value = value.bytes
    # Spark has uuids as text
    return bytes_text(uuid.UUID(value).bytes if isinstance(value, str) else value)


def date_text(value):
    return plain_text((value - EPOCH.date()).days if isinstance(value, datetime.date) else value)


def moment_text(value):
    if isinstance(value, datetime.time):
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        value = seconds * 1_000_000 + value.microsecond
    if isinstance(value, datetime.datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)) - EPOCH
        value //= MICROSECOND
    return plain_text(value)


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


def struct_text(fields):
    members = [(field["name"], text_of(field["type"])) for field in fields]

    def text(value):
        if value is None:
            return "null"
        # Arrow gives a dictionary, Spark a tuple
        values = [value[name] if isinstance(value, dict) else value[at] for at, (name, _) in enumerate(members)]
        if len(value) != len(members):
            raise ValueError(f"expected the fields {[name for name, _ in members]}, got {value}")
        return "{" + ",".join(print_member(each) for (_, print_member), each in zip(members, values)) + "}"

    return text


def list_text(element):
    print_element = text_of(element)
    return lambda value: "null" if value is None else "[" + ",".join(map(print_element, value)) + "]"


def map_text(key, item):
    print_key, print_item = text_of(key), text_of(item)

    def text(value):
        if value is None:
            return "null"
        entries = value.items() if isinstance(value, dict) else value
        return "<" + ",".join(sorted(f"{print_key(each)}={print_item(item)}" for each, item in entries)) + ">"

    return text


def text_of(iceberg_type):
    """The function that prints a value; dates and times as integers or as Python has them."""
    if isinstance(iceberg_type, dict):
        kind = iceberg_type["type"]
        if kind == "struct":
            return struct_text(iceberg_type["fields"])
        if kind == "list":
            return list_text(iceberg_type["element"])
        return map_text(iceberg_type["key"], iceberg_type["value"])
    if iceberg_type == "uuid":
        return uuid_text
    if iceberg_type == "date":
        return date_text
    if iceberg_type.startswith("time"):
        return moment_text
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
        if isinstance(column["type"], dict):
            values.append(cells.to_pylist(maps_as_pydicts=None))
            continue
        if column["type"] == "date":
            cells = cells.cast(pa.int32())
        elif column["type"] == "time" or column["type"].startswith("timestamp"):
            if getattr(cells.type, "unit", None) != "us":
                raise TypeError(f"{column['name']}: expected microseconds, got {cells.type}")
            cells = cells.cast(pa.int64())
        values.append(cells.to_pylist())
    return values


def read_all(job, read_table):
    """By table name; a table that cannot be read says why, and the others are read all the same."""
    results = {}
    for spec in job["tables"]:
        try:
            results[spec["name"]] = read_table(spec)
        except Exception as error:
            lines = traceback.format_exception(error)
            results[spec["name"]] = {"error": "".join(lines)[-2000:]}
    return results


def read_job():
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def write_result(result):
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(result, file)
