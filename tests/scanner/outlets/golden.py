"""Compare with a golden file; ``BAKPROOF_GOLDEN=write`` writes it instead, for a person to read.

A golden file changes in the same commit as its reason.
"""

import os
from io import StringIO
from pathlib import Path

from rich.console import RenderableType

from scanner.outlets.text import as_lines, console

FOLDER = Path(__file__).parent / "golden"


def rendered(what: RenderableType, width: int | None = 80) -> str:
    """Return what a terminal of this width shows, without colour; None means no terminal."""
    return as_lines(what, console(StringIO(), width))


def assert_golden(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("BAKPROOF_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
