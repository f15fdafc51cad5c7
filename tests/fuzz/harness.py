"""One format under atheris, in a process of its own: started by ``python -m tests.fuzz``.

Needs the extra ``fuzz``; nothing else of the project imports this module.
"""

import importlib
import operator
import sys
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np
from atheris.version_dependent import CMP_OP_SHIFT_AMOUNT

# In the order of CPython's comparison numbers.
COMPARISONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)
NEVER_SECONDS = 3600
# What numba compiles it must find as it was written.
COMPILED = ["formats.core.xpress", "formats.core.xpress_native"]


def main() -> None:
    """Fuzz one format for some seconds; 0 means until it is stopped."""
    name, seconds, workshop, *labels = sys.argv[1:]
    # Only what is imported in here is watched, hence nothing of ours is imported above.
    with atheris.instrument_imports(include=["formats"], exclude=COMPILED):
        target = importlib.import_module("tests.fuzz.target")
    one = target.target_named(name, Path(workshop), *labels)
    print(f"{name}: {len(one.seeds)} seeds", file=sys.stderr)  # noqa: T201
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.INPUT_BYTES_MAX}",
        # Time and memory are watched here, where a traceback can be had. With 0 for never, atheris
        # takes any input that is still running when it looks for one that is overdue.
        f"-timeout={NEVER_SECONDS}",
        "-rss_limit_mb=0",
        "-use_value_profile=1",
        "-print_final_stats=1",
        f"-artifact_prefix={workshop}/{name}/",
        str(one.recipes),
    ]

    def one_input(content: bytes) -> None:
        keep_arrays_from_tracing()
        one.one_input(content)

    # Looked up at each call: atheris puts the real one in place when it begins.
    mutate = target.mutator(one, lambda plain, size: atheris.Mutate(plain, size))  # noqa: PLW0108
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=mutate)
    atheris.Fuzz()


def keep_arrays_from_tracing() -> None:
    """Compare arrays without atheris: its trace function never lets go of what came out.

    Seen with atheris 2.3.0 and 3.0.0 on Python 3.11: a comparison of arrays of 1 MiB leaks 1 MiB.
    """
    if not hasattr(atheris._trace_cmp, "traced"):
        atheris._trace_cmp = without_arrays(atheris._trace_cmp)


def without_arrays(traced: Callable[..., object]) -> Callable[..., object]:
    """Return a trace function that leaves arrays alone."""

    def compare(left: object, right: object, number: int, counter: int, constant: object) -> object:
        if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
            return COMPARISONS[number >> CMP_OP_SHIFT_AMOUNT](left, right)
        return traced(left, right, number, counter, constant)

    compare.traced = traced
    return compare


if __name__ == "__main__":
    main()
