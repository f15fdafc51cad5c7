"""A small repository to look at: a sound chain, a truncated copy, an empty image, and a note.

``python -m tests.demo FOLDER`` makes it. Files that are there already are left alone, so that a
second scan has nothing to read. Everything in it is built here; no real program made these images.
"""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.builders import vhd

MIB = 1 << 20
DISK_BYTES = 301 * 4 * 17 * 512  # cylinders, heads, sectors: the geometry the builder writes
VHD_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MONDAY = datetime(2026, 1, 5, 22, 0, tzinfo=UTC)
NOTE = b"Full on Monday, increments on the other days. Ask Eva before deleting anything.\n"


def contents() -> Mapping[str, bytes]:
    """Return every file of the repository by its path."""
    monday = disk(0, {block: pattern(block) for block in range(8)})
    tuesday = disk(1, {2: pattern(102), 5: pattern(105)}, parent="monday-full.vhd")
    wednesday = disk(2, {5: pattern(205)}, parent="tuesday-increment.vhd")
    return {
        "fileserver/monday-full.vhd": monday,
        "fileserver/tuesday-increment.vhd": tuesday,
        "fileserver/wednesday-increment.vhd": wednesday,
        "copy-of-fileserver/monday-full.vhd": monday[: 5 * MIB + 1234],
        "new-server/first-full.vhd": disk(3, {}),
        "notes.txt": NOTE,
    }


def disk(day: int, blocks: Mapping[int, bytes], *, parent: str | None = None) -> bytes:
    """Return a growing disk of that day; its parent is the disk of the day before."""
    image = vhd.growing(
        DISK_BYTES,
        blocks,
        block_bytes=MIB,
        parent=None if parent is None else identity(day - 1),
        parent_name=parent or "",
        paths=None if parent is None else {b"W2ru": f".\\{parent}"},
    )
    made = int((MONDAY + timedelta(days=day) - VHD_EPOCH).total_seconds())
    kind = 3 if parent is None else 4
    last = vhd.footer(DISK_BYTES, kind, header_at=512, uid=identity(day), time_stamp=made)
    return vhd.with_footers(image, last)


def identity(day: int) -> bytes:
    """Return the unique id of the disk of a day."""
    return bytes([0xDE, 0x30, day]).ljust(16, b"\x5a")


def pattern(number: int) -> bytes:
    """Return a MiB that gives its place away."""
    return bytes([number % 251 + 1]) * MIB


def make(folder: Path) -> None:
    """Write the repository into a folder."""
    for number, (name, content) in enumerate(contents().items()):
        path = folder / name
        if path.exists() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        # A file that was written to just now would count as being written still.
        stamp = (MONDAY + timedelta(hours=number)).timestamp()
        os.utime(path, (stamp, stamp))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
