"""The records of a compressed backup (MSSQLBAK): where they are, without decompressing any.

Nothing documents this; all of it is seen in one file of SQL Server 2016 (13.0.1500), whose framing
closes exactly. Behind a header of 480 bytes stand records, and between them the same filemarks as
on an uncompressed medium. The header of a record is mostly uninitialised memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from formats.core.checksums import rotate_xor
from formats.core.layout import Layout, u8, u16, u32
from formats.core.model import Source
from formats.mtf.structures import FILEMARK

MAGIC = b"MSSQLBAK"
FIRST_RECORD = 0x1E0
RECORDS_MAX = 1 << 24

CHUNK = 0x21
PADDING = 0x24
TRAILER = 0x2C
INDEX_ENTRY_BYTES = 16
INDEX_HEAD_BYTES = 16


class ChunkHead(Layout, size=28, order="<"):
    """A chunk of up to 64 KiB of the medium, compressed by itself."""

    kind = u8(0)
    flags = u8(1)
    stored_bytes = u16(2)
    checksum = u32(24)


class PaddingHead(Layout, size=24, order="<"):
    """Zeros up to the boundary a filemark stands on."""

    kind = u8(0)
    stored_bytes = u16(2)


class TrailerHead(Layout, size=40, order="<"):
    """The index of a set, behind its chunks; it repeats its 16 bytes from 24 on at its end."""

    kind = u8(0)
    count = u32(28)
    part_bytes = u32(32)
    checksum = u32(36)


class FilemarkHead(Layout, size=10, order="<"):
    """As much of a filemark as tells its size."""

    first_event = u16(8)


PART_OFFSET = 24

# Assumed, for no such chunk was seen: what does not shrink is stored as it is, and its length,
# which 16 bits cannot give, is written as 0. Chunks that are encrypted and not compressed are
# reported to have that length (rsleedbx/mssqlbak-tests, SQL Server 2022). What would refute it is a
# checksum that does not hold over these bytes, or no record behind them.
PLAIN_BYTES = 1 << 16


class Kind(Enum):
    """What a record is."""

    CHUNK = auto()
    PADDING = auto()
    TRAILER = auto()
    FILEMARK = auto()
    UNKNOWN = auto()
    ZEROS = auto()


@dataclass(frozen=True, slots=True)
class Record:
    """One record; its end may lie behind the end of a cut file. Only chunks have ``flags``."""

    kind: Kind
    offset: int
    end: int
    flags: int = 0


def read_record(source: Source, offset: int) -> Record:
    """Return the record at ``offset``, which lies inside the file."""
    stored = source.read_at(offset, min(TrailerHead.size, source.size - offset))
    # Nearly every record is a chunk, and there are many: told by hand, before anything else.
    if stored[0] == CHUNK and len(stored) >= ChunkHead.size:
        length = ChunkHead.size + ((stored[2] | stored[3] << 8) or PLAIN_BYTES)
        return Record(Kind.CHUNK, offset, offset + length, stored[1])
    # A head that the file's end cuts off is read as if zeros followed: its end lies behind anyhow.
    head = stored.ljust(TrailerHead.size, b"\0")
    if not any(stored):
        kind, least, length = Kind.ZEROS, TrailerHead.size, 0
    elif stored[:4] == FILEMARK[: len(stored)]:
        kind, least = Kind.FILEMARK, FilemarkHead.size
        length = FilemarkHead.parse(head).first_event
    elif stored[0] == CHUNK:
        kind, least = Kind.CHUNK, ChunkHead.size
        length = ChunkHead.size + (ChunkHead.parse(head).stored_bytes or PLAIN_BYTES)
    elif stored[0] == PADDING:
        kind, least = Kind.PADDING, PaddingHead.size
        length = PaddingHead.size + PaddingHead.parse(head).stored_bytes
    elif stored[0] == TRAILER:
        kind, least = Kind.TRAILER, TrailerHead.size
        length = PART_OFFSET + TrailerHead.parse(head).part_bytes
    else:
        kind, least, length = Kind.UNKNOWN, 1, 1
    return Record(kind, offset, offset + max(least, length))


def records(source: Source, offset: int) -> Iterator[Record]:
    """Yield records up to the end of the file or the first that leads nowhere, which comes last."""
    for _ in range(RECORDS_MAX):
        if offset >= source.size:
            return
        record = read_record(source, offset)
        yield record
        if record.kind in (Kind.UNKNOWN, Kind.ZEROS) or record.end > source.size:
            return
        offset = record.end


def chunk_sum(stored: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    """Return the checksum of a chunk's compressed bytes, or of an index's entries.

    Seen in 54 of 54 chunks: ``acc = rotl32(acc, 1) ^ word``, the last word filled up with zeros.
    """
    missing = -len(stored) % 4
    padded = np.append(stored, np.zeros(missing, np.uint8)) if missing else stored
    return rotate_xor(np.ascontiguousarray(padded).view("<u4"))
