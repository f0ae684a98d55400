"""One plan over a whole table with PyIceberg, in a process of its own: what table-plan.ts prints."""
import time

began = time.perf_counter()

import hashlib
import json
import resource
import sys

from pyiceberg.table import StaticTable


def peak_rss():
    """In bytes. Not ru_maxrss where there is a choice: on Linux it counts what the parent had when it forked."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


before = peak_rss()
used = time.process_time()
started = time.perf_counter()
table = StaticTable.from_metadata(sys.argv[1])
tasks = list(table.scan().plan_files())
ended = time.perf_counter()
used = time.process_time() - used
peak = peak_rss()
paths = sorted(task.file.file_path.replace("file://", "") for task in tasks)
result = {
    "files": len(tasks),
    "rows": sum(task.file.record_count for task in tasks),
    "paths": hashlib.sha256("\n".join(paths).encode("utf-8")).hexdigest(),
    "planMillis": (ended - started) * 1000,
    "planCpuMillis": used * 1000,
    "processMillis": (ended - began) * 1000,
    "rssBytesBefore": before,
    "peakBytes": peak,
}
print(json.dumps(result))
