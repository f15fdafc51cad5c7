"""Look at a finding again, and make it small enough to be kept.

Shrinking overwrites with zeros and cuts off whatever does not matter, so that nothing is left of
the seed but what makes the code go wrong.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from formats.core.model import Format
from formats.core.source import BytesSource
from tests.fuzz import findings
from tests.fuzz.seeds import subject_named
from tests.fuzz.trial import alarm, put_to_trial
from tests.sources import unpack

PIECES = (1 << 20, 1 << 16, 1 << 12, 512, 64, 8, 1)
PIECES_TRIED_MAX = 4096


def main(path: Path, name: str | None, shrunk: Path | None) -> int:
    """Return 1 if the file still breaks a promise."""
    subject = subject_named(name or format_of(path))
    source = unpack(path)
    error = outcome(subject, source.read_at(0, source.size))
    if error is None:
        print(f"{path}: {subject.name} keeps its promises", file=sys.stderr)  # noqa: T201
        return 0
    traceback.print_exception(error)
    if shrunk:
        content = shrink(source.read_at(0, source.size), same(subject, findings.signature(error)))
        findings.write(shrunk, BytesSource(content))
    return 1


def format_of(path: Path) -> str:
    """Return the format whose folder a finding or a fixture lies in."""
    folder = path.resolve().parent
    return folder.parent.name if folder.name == "crashes" else folder.name


def outcome(subject: Format, content: bytes) -> Exception | None:
    """Return what a file makes a format raise."""
    try:
        with alarm():
            put_to_trial(subject, BytesSource(content))
    except Exception as error:  # noqa: BLE001 - any exception is what is looked for
        return error
    return None


def same(subject: Format, signature: str) -> Callable[[bytes], bool]:
    """Return a predicate: does this file go wrong in the same way?"""

    def goes_wrong(content: bytes) -> bool:
        error = outcome(subject, content)
        return error is not None and findings.signature(error) == signature

    return goes_wrong


def shrink(content: bytes, goes_wrong: Callable[[bytes], bool]) -> bytes:
    """Return less of a file that still goes wrong: its end cut off, pieces of it zeros."""
    for piece in PIECES:
        while len(content) > piece and goes_wrong(content[:-piece]):
            content = content[:-piece]
        content = zeroed(content, piece, goes_wrong)
    return content


def zeroed(content: bytes, piece: int, goes_wrong: Callable[[bytes], bool]) -> bytes:
    """Overwrite pieces with zeros as long as the file goes wrong."""
    tried = 0
    for offset in range(0, len(content), piece):
        old = content[offset : offset + piece]
        if not any(old):
            continue
        tried += 1
        if tried > PIECES_TRIED_MAX:
            break
        changed = content[:offset] + bytes(len(old)) + content[offset + piece :]
        if goes_wrong(changed):
            content = changed
    return content
