"""One plan over a whole table with PyIceberg, in a process of its own: what table-plan.ts prints."""
import time

began = time.perf_counter()

import hashlib
import json
import resource
import sys

from pyiceberg.table import StaticTable

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
used = time.process_time()
started = time.perf_counter()
table = StaticTable.from_metadata(sys.argv[1])
tasks = list(table.scan().plan_files())
ended = time.perf_counter()
used = time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
paths = sorted(task.file.file_path.replace("file://", "") for task in tasks)
result = {
    "files": len(tasks),
    "rows": sum(task.file.record_count for task in tasks),
    "paths": hashlib.sha256("\n".join(paths).encode("utf-8")).hexdigest(),
    "planMillis": (ended - started) * 1000,
    "planCpuMillis": used * 1000,
    "processMillis": (ended - began) * 1000,
    "rssBytesBefore": before * 1024,
    "peakBytes": peak * 1024,
}
print(json.dumps(result))
