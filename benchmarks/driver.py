"""What `benchmarks.measure` starts: one action in a process of its own, its cost on one line.

    python -m benchmarks.driver ACTION ARGUMENT…

An action is a function that prepares some work and returns it; the clock runs while the work does.
Only the module of the action is imported, so that nobody pays for the others.
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import timed


@dataclass(frozen=True, slots=True)
class Action:
    """Where an action is, and what its arguments are made of."""

    module: str
    function: str
    kinds: tuple[Callable[[str], object], ...]


ACTIONS: Mapping[str, Action] = {
    "bare": Action("benchmarks.loops", "bare", (Path, int)),
    "bare-stored": Action("benchmarks.engines", "bare_stored", (Path, int)),
    "bare-files": Action("benchmarks.small_files", "read_and_digest", (Path, int)),
    "direct": Action("benchmarks.loops", "direct", (Path, int)),
    "engine": Action("benchmarks.engines", "engine", (Path, int)),
    "engine-decoded": Action("benchmarks.engines", "engine_decoded", (Path, int)),
    "engine-stored": Action("benchmarks.engines", "engine_stored", (Path, int)),
    "first-scan": Action("benchmarks.engines", "first_scan", (Path, int, Path)),
    "make-bak": Action("benchmarks.material", "make_bak", (Path, int)),
    "make-packed": Action("benchmarks.material", "make_packed", (Path, int)),
    "make-raw": Action("benchmarks.material", "make_raw", (Path, int)),
    "make-small": Action("benchmarks.material", "make_small", (Path, int)),
    "make-sparse": Action("benchmarks.material", "make_sparse", (Path, int)),
    "read": Action("benchmarks.loops", "read_only", (Path, int)),
    "read-files": Action("benchmarks.small_files", "read_all", (Path, int)),
    "scan": Action("benchmarks.engines", "known_scan", (Path, int, Path)),
    "walk": Action("benchmarks.small_files", "walk", (Path,)),
}


def main(arguments: Sequence[str]) -> None:
    """Prepare an action, run its work under the clock, write what it cost."""
    name, *rest = arguments
    if name == "kernels":
        kernels = importlib.import_module("benchmarks.kernels")
        line = json.dumps(kernels.measure(*rest))
    else:
        action = ACTIONS[name]
        prepare = getattr(importlib.import_module(action.module), action.function)
        words = (kind(word) for kind, word in zip(action.kinds, rest, strict=True))
        line = timed(prepare(*words)).to_json()
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
