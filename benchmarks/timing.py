"""What a measured piece of work cost, as the process that did it sees it."""

import json
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall time, user and system time in seconds; the most memory the process ever held."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    bytes_done: int

    def to_json(self) -> str:
        """Return one line for the process that asked."""
        return json.dumps(asdict(self))


def timed(work: Callable[[], int]) -> Cost:
    """Run ``work``, which returns how many bytes it went through."""
    cpu_before, before = cpu_seconds(), time.perf_counter()
    bytes_done = work()
    seconds = time.perf_counter() - before
    return Cost(seconds, cpu_seconds() - cpu_before, peak_bytes(), bytes_done)


def cpu_seconds() -> float:
    """Return user and system time of this process with all of its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_bytes() -> int:
    """Return the largest resident size of this process.

    ``ru_maxrss`` would not do: a child begins with that of the process that started it.
    """
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
