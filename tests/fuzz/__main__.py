"""Fuzz formats one after another, or look at one finding again.

    python -m tests.fuzz [--format NAME [--seed TEXT]] [--seconds N]
    python -m tests.fuzz --replay FILE [--format NAME] [--shrink TO]

Without ``--format`` every supported format takes its turn. What is found lies in
``build/fuzz/<format>/crashes``; recipes that reached new code are kept beside it, so that the next
run goes on where this one stopped.
"""

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

from tests.fuzz import replay
from tests.samples import supported

WORKSHOP = Path("build/fuzz")
SECONDS_DEFAULT = 600
# Not read yet, but walked all the same.
WALKED = ("mtf",)


def main() -> int:
    """Return 1 where something was found."""
    parser = ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--format", default="")
    parser.add_argument("--seed", default="", help="only seeds with this in their label")
    parser.add_argument("--seconds", type=int, default=SECONDS_DEFAULT, help="per format")
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--shrink", type=Path, help="write the smallest file that does the same")
    asked = parser.parse_args()
    if asked.replay:
        return replay.main(asked.replay, asked.format or None, asked.shrink)
    names = [asked.format] if asked.format else [*(item.name for item in supported()), *WALKED]
    codes = [fuzz(name, asked.seconds, asked.seed) for name in names]
    found = sorted(path for name in names for path in (WORKSHOP / name).glob("crashes/*.bin.xz"))
    for path in found:
        print(f"make fuzz-replay FILE={path}")  # noqa: T201
    return 1 if found or any(codes) else 0


def fuzz(name: str, seconds: int, seed: str) -> int:
    """Run one format in a process of its own, which a hard crash may end."""
    harness = [sys.executable, "-m", "tests.fuzz.harness"]
    command = [*harness, name, str(seconds), str(WORKSHOP), seed]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
