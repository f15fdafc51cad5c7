"""The clinic's backup jobs: real tools on real files, with whatever they leave when they fail."""

import os
import subprocess
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from uuid import UUID

import numpy as np

from tests.builders import sqlserver_bak

EXTENT = 1 << 16
DATABASE_BYTES_MIN = 4 << 20
CHUNK = 1 << 20
SIMPLE_RECOVERY = 0x10008
# A tool that runs on after the story was killed would keep its mounts alive.
WITH_THE_STORY = ("setpriv", "--pdeathsig", "KILL")


@dataclass(frozen=True)
class Ran:
    """A command as it was typed, what it said, and its exit code."""

    command: str
    said: str
    exit_code: int


def tool(folder: Path, *command: str) -> Ran:
    """Run a real tool in a folder; it may fail, that is the story."""
    done = subprocess.run(
        (*WITH_THE_STORY, *command),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    typed = " ".join(f"'{word}'" if " " in word else word for word in command)
    return Ran(typed, done.stdout.strip(), done.returncode)


def make_disk(path: Path, size_bytes: int, used_bytes: int, seed: int) -> None:
    """Make a disk to back up: bytes that do not compress, and a free rest."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        for start in range(0, used_bytes, CHUNK):
            file.write(rng.bytes(min(CHUNK, used_bytes - start)))
        file.truncate(size_bytes)


def full(folder: Path, disk: Path, name: str) -> Ran:
    """Make a full backup of a disk."""
    return tool(folder, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(disk), name)


def empty(folder: Path, name: str, size_bytes: int) -> Ran:
    """Do what a misconfigured job does: make an image and never write to it."""
    return tool(folder, "qemu-img", "create", "-q", "-f", "qcow2", name, str(size_bytes))


def increment(folder: Path, name: str, parent: str, offset: int, length: int) -> list[Ran]:
    """Make an increment over a parent; where that fails nothing is written to it."""
    made = tool(
        folder, "qemu-img", "create", "-q", "-f", "qcow2", "-b", parent, "-F", "qcow2", name
    )
    if made.exit_code:
        return [made]
    return [made, tool(folder, "qemu-io", "-c", f"write -q -P 0x5a {offset} {length}", name)]


def cut_copy(source: Path, target: Path, length_bytes: int) -> Ran:
    """Copy as a connection does that breaks down."""
    return tool(
        target.parent,
        "dd",
        "status=none",
        "iflag=fullblock,count_bytes",
        "bs=64K",
        f"count={length_bytes}",
        f"if={source}",
        f"of={target.name}",
    )


def database_backup(path: Path, finished: datetime, used_bytes: int) -> None:
    """Write a SQL Server backup that was finished then; builder's work, no server's."""
    file = BytesIO()
    sqlserver_bak.write_backup(
        file,
        database_bytes=max(DATABASE_BYTES_MIN, used_bytes // EXTENT * EXTENT),
        name="Clinic",
        server="SRV1",
        machine="SRV1",
        checksum=True,
        status=SIMPLE_RECOVERY,
        guid=UUID(int=int(finished.timestamp())),
    )
    # The builder's times are always the same; no sum covers them.
    content = file.getvalue()
    for stamp in (sqlserver_bak.START, sqlserver_bak.FINISH):
        content = content.replace(stamp, packed_time(finished))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def packed_time(at: datetime) -> bytes:
    """Return a local time as the tape format packs it."""
    value = at.year << 26 | at.month << 22 | at.day << 17
    return (value | at.hour << 12 | at.minute << 6 | at.second).to_bytes(5, "big")


def stamp(path: Path, at: datetime) -> None:
    """Make a file as old as the story says."""
    os.utime(path, (at.timestamp(), at.timestamp()))
