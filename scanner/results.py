"""What the engine hands over: plain data about units, images and files.

These are the only types that pass between engine, ledger and judge besides those of the formats.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from formats.core.model import Evidence, Inspection, Tally

BUG_CHECK = "scanner.bug"
"""Evidence that this program failed on a file; never read as damage."""


class FileState(StrEnum):
    """How far the reading of a file has come."""

    READING = "reading"  # some units are recorded, the rest is to come
    READ = "read"  # every byte of the present content was read, or asked for
    CHANGED = "changed"  # the file changed while it was read
    REFUSED = "refused"  # it could not be opened, or reading stopped (EACCES, ESTALE, ...)
    FAILED = "failed"  # this program failed on it; nothing is known of the rest of its bytes
    GONE = "gone"  # it was there once


SIGNED_MAX = (1 << 63) - 1
"""The largest number that SQLite holds."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """What the file system says of a file without opening it. Equal stamps prove nothing."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    allocated_bytes: int | None = None

    def same_content(self, other: "Stamps") -> bool:
        """Whether nothing says that the content changed."""
        return (
            self.size == other.size
            and self.mtime_ns == other.mtime_ns
            and self.ctime_ns == other.ctime_ns
            and self.inode == other.inode
        )


def stamps_of(status: os.stat_result) -> Stamps:
    """Return the stamps in a stat result; blocks are 512 bytes (stat(2)).

    A wrong clock gives times after the year 2262, a network file system inodes of 64 bits: neither
    is a number that the ledger can hold as it is.
    """
    return Stamps(
        status.st_size,
        max(min(status.st_mtime_ns, SIGNED_MAX), -SIGNED_MAX),
        max(min(status.st_ctime_ns, SIGNED_MAX), -SIGNED_MAX),
        status.st_ino if status.st_ino <= SIGNED_MAX else status.st_ino - (1 << 64),
        status.st_blocks * 512,
    )


@dataclass(frozen=True, slots=True)
class PayloadSeen:
    """How much of an image's stored source data was seen, and how much of it is not zero.

    ``nonzero_bytes`` counts whole digest blocks, so it is an upper bound; ``nonzero`` is exact.
    """

    bytes: int = 0
    nonzero_bytes: int = 0
    nonzero: bool = False

    def __add__(self, other: "PayloadSeen") -> "PayloadSeen":
        return PayloadSeen(
            self.bytes + other.bytes,
            self.nonzero_bytes + other.nonzero_bytes,
            self.nonzero or other.nonzero,
        )


@dataclass(frozen=True, slots=True)
class UnitResult:
    """One unit, read and checked.

    ``digests`` holds one digest per block, in order; a block that could not be read has sixteen
    zero bytes there, and empty ``digests`` mean that every block is zeros. ``evidence``,
    ``tallies`` and ``payload`` are per image index; ``storage`` is evidence about the file itself.
    ``unreadable`` are (offset, length) ranges the storage refused.
    """

    offset: int
    length: int
    digests: bytes
    read_at: datetime
    bytes_read: int = 0
    evidence: Mapping[int, tuple[Evidence, ...]] = field(default_factory=dict)
    tallies: Mapping[int, Tally] = field(default_factory=dict)
    payload: Mapping[int, PayloadSeen] = field(default_factory=dict)
    storage: tuple[Evidence, ...] = ()
    unreadable: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image of a file: its facts, all evidence about it, and the payload seen."""

    inspection: Inspection
    evidence: tuple[Evidence, ...]
    payload: PayloadSeen


class BaselineAction(StrEnum):
    """What becomes of a file's baseline after a reading. The engine decides, the ledger obeys."""

    ADOPT = "adopt"  # this reading's digests are the baseline from now on
    RENEW = "renew"  # equal to the baseline: only the times of reading are new
    KEEP = "keep"  # the bytes differ, and that is a finding: the baseline stays as it is
    NONE = "none"  # the structure is not proven: nothing is taken from this reading


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """How the bytes compare with the file's baseline, and what becomes of it.

    ``taken_at`` is when the baseline was first taken; ``replaced`` says that other images lie in
    the file now, so there was nothing to compare.
    """

    action: BaselineAction
    taken_at: datetime
    compared_bytes: int = 0
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file, as far as it could be read. ``path`` is relative to the repository.

    ``evidence`` is about the file itself (``storage.*``, ``baseline.*``, ``generic.*``), each
    image's own is in ``images``. ``read_at`` is when the oldest byte of this reading was read.
    ``traceback`` is a bug of ours, met while reading this file.
    """

    path: str
    stamps: Stamps
    state: FileState
    format: str | None = None
    format_revision: int | None = None
    images: tuple[ImageResult, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    read_at: datetime | None = None
    bytes_read: int = 0
    identity_key: str | None = None
    baseline: BaselineResult | None = None
    traceback: str | None = None
