"""Read lines of OpenLineage events as typed events of the reference client, each facet by the class that its
_schemaURL names, and print what was read. A member that a class does not have, one that is missing, a facet of another
kind than its place or a value that changes on the way back is an error.
"""

import importlib
import json
import pkgutil
import sys
import typing

import attr
import openlineage.client.generated as generated
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated import base
from openlineage.client.serde import Serde


def facet_classes():
    classes = {}
    for module_info in pkgutil.iter_modules(generated.__path__):
        module = importlib.import_module(f"{generated.__name__}.{module_info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, base.BaseFacet):
                classes[value._get_schema()] = value
    return classes


FACETS = facet_classes()


def typed(hint, value):
    """`value` as `hint` says: lists of classes and classes are built, the rest stays."""
    for argument in (hint, *typing.get_args(hint)):
        if typing.get_origin(argument) is list and isinstance(value, list):
            return [typed(typing.get_args(argument)[0], item) for item in value]
        if isinstance(argument, type) and attr.has(argument) and isinstance(value, dict):
            return build(argument, value)
    return value


def build(cls, members):
    hints = typing.get_type_hints(cls)
    known = {field.name for field in attr.fields(cls)}
    unknown = set(members) - known
    if unknown:
        raise ValueError(f"{cls.__name__} has no {sorted(unknown)}")
    return cls(**{name: typed(hints[name], value) for name, value in members.items()})


def facet(kind, name, members):
    members = dict(members)
    producer, schema = members.pop("_producer"), members.pop("_schemaURL")
    cls = FACETS.get(schema)
    if cls is None:
        raise ValueError(f"facet {name}: this client has no class for {schema}")
    if not issubclass(cls, kind):
        raise ValueError(f"facet {name}: {cls.__name__} is no {kind.__name__}")
    if cls is kind:  # a facet of one's own: only its envelope is known
        return cls(producer=producer).with_additional_properties(**members)
    hints = typing.get_type_hints(cls)
    known = {field.name for field in attr.fields(cls)}
    unknown = set(members) - known
    if unknown:
        raise ValueError(f"facet {name}: {cls.__name__} has no {sorted(unknown)}")
    return cls(producer=producer, **{key: typed(hints[key], value) for key, value in members.items()})


def facets(kind, named):
    return {name: facet(kind, name, members) for name, members in (named or {}).items()}


def dataset(cls, side, kind, members):
    return cls(
        namespace=members["namespace"],
        name=members["name"],
        facets=facets(base.DatasetFacet, members.get("facets")),
        **{side: facets(kind, members.get(side))},
    )


def event(members):
    made = RunEvent(
        eventType=RunState(members["eventType"]),
        eventTime=members["eventTime"],
        producer=members["producer"],
        run=Run(members["run"]["runId"], facets(base.RunFacet, members["run"]["facets"])),
        job=Job(members["job"]["namespace"], members["job"]["name"], facets(base.JobFacet, members["job"]["facets"])),
        inputs=[dataset(InputDataset, "inputFacets", base.InputDatasetFacet, one) for one in members["inputs"]],
        outputs=[dataset(OutputDataset, "outputFacets", base.OutputDatasetFacet, one) for one in members["outputs"]],
    )
    if members["schemaURL"] != made.schemaURL:
        raise ValueError(f"schemaURL is {members['schemaURL']}, this client's is {made.schemaURL}")
    return made


def lost(before, after, path="event"):
    """Where `after`, which may say more, says something else than `before`."""
    if isinstance(before, dict):
        return [place for key, value in before.items() for place in lost(value, after.get(key), f"{path}.{key}")]
    if isinstance(before, list):
        if len(before) != len(after or []):
            return [path]
        return [place for i, pair in enumerate(zip(before, after)) for place in lost(*pair, f"{path}[{i}]")]
    return [] if before == after else [path]


def main():
    seen = []
    for number, line in enumerate(sys.stdin, 1):
        members = json.loads(line)
        try:
            made = event(members)
            places = lost(members, json.loads(Serde.to_json(made)))
            if places:
                raise ValueError(f"changed on the way: {places}")
        except Exception as error:
            sys.exit(f"event {number} ({members.get('eventType')} of {members['job']['name']}): {error}")
        names = {*made.run.facets, *made.job.facets}
        for one in (*made.inputs, *made.outputs):
            names |= {*one.facets, *getattr(one, "inputFacets", {}), *getattr(one, "outputFacets", {})}
        seen.append({"type": made.eventType.value, "job": made.job.name, "facets": sorted(names)})
    print(json.dumps(seen))


main()
