"""Kernels: MiB/s by buffer size, with one and with two threads."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TypeAlias

from benchmarks.measure import Failed, run_child
from benchmarks.options import Options
from benchmarks.report import size_text, table

Rates: TypeAlias = Mapping[tuple[str, int, int], Sequence[float]]
"""MiB/s of each round, by kernel, buffer size and number of threads."""


def kernels(options: Options) -> Iterator[str]:
    """Measure every kernel; all of them once per round."""
    rates = measured(options)
    head = ["MiB/s, median", *(
        f"{size_text(length)} x{threads}" for length in options.kernel_buffers
        for threads in (1, 2)
    )]  # fmt: skip
    names = dict.fromkeys(name for name, _length, _threads in rates)
    rows = [
        [name, *(
            f"{median(rates[name, length, threads]):.0f}"
            for length in options.kernel_buffers for threads in (1, 2)
        )]
        for name in names
    ]  # fmt: skip
    yield "x1 and x2: threads, each with a buffer of its own that is used over and over."
    yield f"Median of {options.repeat} rounds; decoders are counted by what they put out."
    yield ""
    yield from table(head, rows)


def measured(options: Options) -> Rates:
    """Measure in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.driver", "kernels", str(options.kernel_seconds),
               str(options.repeat), *map(str, options.kernel_buffers))  # fmt: skip
    output, status, _peak, _cpu = run_child(command, keep_output=True)
    if status:
        message = f"kernels: expected exit 0, found {status}"
        raise Failed(message)
    return {
        (row["name"], row["buffer"], row["threads"]): row["rates"] for row in json.loads(output)
    }
