"""Writes test/fixtures/kpl/*.json: aggregates made by awslabs' aggregator, with the user records they hold.

    python3 -m venv venv && venv/bin/pip install aws-kinesis-agg==1.2.3 six
    venv/bin/python test/interop/kpl_fixtures.py

`aggregate` is the Kinesis record's data in base64; `deaggregated` is what awslabs' own deaggregator makes of it.
"""

import base64
import json
import pathlib

from aws_kinesis_agg import aggregator, deaggregator

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "kpl"

CASES = {
    "one": [("a", b'{"n":1}', None)],
    "shared-keys": [(f"key-{n % 3}", json.dumps({"n": n}).encode(), None) for n in range(20)],
    "hash-keys": [(f"k{n}", bytes([n]), str(n * 2**120)) for n in range(5)],
    "mixed-hash-keys": [("k", b"x", None), ("k", b"y", "7"), ("l", b"z", None)],
    "empty-data": [("k", b"", None), ("k", b"", None)],
    "unicode-keys": [("Schlüssel", b"1", None), ("鍵", b"2", None), ("🔑", b"3", None)],
    # lengths and indexes of more than one varint byte
    "long": [(f"key-{n:04}", bytes([n % 256]) * (n % 200), None) for n in range(300)],
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, records in CASES.items():
        packer = aggregator.RecordAggregator()
        for key, data, hash_key in records:
            assert packer.add_user_record(key, data, hash_key) is None
        aggregate = packer.clear_and_get().get_contents()[2]
        event = {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "outer",
                "sequenceNumber": "1",
                "data": base64.b64encode(aggregate).decode(),
                "approximateArrivalTimestamp": 0,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": "1", "eventName": "x",
            "invokeIdentityArn": "x", "awsRegion": "x", "eventSourceARN": "x",
        }
        opened = deaggregator.deaggregate_records([event])
        fixture = {
            "aggregate": base64.b64encode(aggregate).decode(),
            "deaggregated": [
                {
                    "partitionKey": one["kinesis"]["partitionKey"],
                    "subSequenceNumber": one["kinesis"]["subSequenceNumber"],
                    "data": base64.b64encode(base64.b64decode(one["kinesis"]["data"])).decode(),
                }
                for one in opened
            ],
        }
        (FOLDER / f"{name}.json").write_text(json.dumps(fixture, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(name, len(aggregate), len(opened))


main()
