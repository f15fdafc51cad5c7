"""Sums of undamaged files, so that they can be made right again in a damaged copy.

A parser stops early at a wrong sum, and a fuzzer would never get past it. The sums are found by
what they are in an undamaged file and computed here once more: nothing is imported from formats.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from formats.core.model import Source
from tests.builders import sqlserver_bak, vhd, vhdx
from tests.sources import Overlay

SCANNED_BYTES_MAX = 4 << 20
SECTOR = 512
PAGE = 8192
STREAM_HEADER_BYTES = 22
STREAMS_MAX = 64
CHUNK_HEADER_BYTES = 28
FIRST_RECORD = 0x1E0


@dataclass(frozen=True)
class Seal:
    """A structure with a sum: ``sealed`` returns its bytes with the sum made right."""

    offset: int
    length: int
    sealed: Callable[[bytes], bytes]

    def overlaps(self, touched: Iterable[tuple[int, int]]) -> bool:
        return any(
            start < self.offset + self.length and self.offset < end for start, end in touched
        )


def find_seals(format_name: str, source: Source) -> tuple[Seal, ...]:
    """Return the sums that hold in an undamaged file."""
    finders = {"vhd": vhd_seals, "vhdx": vhdx_seals, "mtf": tape_seals, "sqlserver_bak": bak_seals}
    finder = finders.get(format_name)
    candidates = finder(source) if finder else ()
    return tuple(
        item
        for item in candidates
        if item.offset + item.length <= source.size and holds(source, item)
    )


def holds(source: Source, seal: Seal) -> bool:
    """Whether the sum is right, and not of zeros."""
    stored = source.read_at(seal.offset, seal.length)
    return any(stored) and seal.sealed(stored) == stored


def resealed(source: Source, seals: Iterable[Seal], touched: list[tuple[int, int]]) -> Source:
    """Make the sums right again of all structures that lie inside and were touched."""
    patches = {
        item.offset: item.sealed(source.read_at(item.offset, item.length))
        for item in seals
        if item.offset + item.length <= source.size and item.overlaps(touched)
    }
    return Overlay(source, patches)


def vhd_seals(source: Source) -> Iterator[Seal]:
    """Footer, its copy, and the header the copy points to."""
    yield Seal(0, 512, lambda stored: vhd.summed(stored, 64))
    yield Seal(max(0, source.size - 512), 512, lambda stored: vhd.summed(stored, 64))
    if source.size >= SECTOR:
        (header_at,) = struct.unpack(">Q", source.read_at(16, 8))
        yield Seal(header_at, 1024, lambda stored: vhd.summed(stored, 36))


def vhdx_seals(source: Source) -> Iterator[Seal]:
    """Both headers, both region tables, and the entries of the log."""
    for offset in (0x10000, 0x20000):
        yield Seal(offset, 4096, vhdx.crc)
    for offset in (0x30000, 0x40000):
        yield Seal(offset, 65536, vhdx.crc)
    for header_at in (0x10000, 0x20000):
        if header_at + 80 <= source.size:
            log_bytes, log_at = struct.unpack("<IQ", source.read_at(header_at + 68, 12))
            end = min(log_at + min(log_bytes, SCANNED_BYTES_MAX), source.size)
            yield from log_entry_seals(source, log_at, end)


def log_entry_seals(source: Source, start: int, end: int) -> Iterator[Seal]:
    """Yield every log entry between two places that does not run over the end."""
    for offset in range(start, end - 63, 4096):
        signature, _, length = struct.unpack("<4sII", source.read_at(offset, 12))
        if signature == b"loge" and offset + length <= end:
            yield Seal(offset, length, vhdx.crc)


def bak_seals(source: Source) -> Iterator[Seal]:
    """Headers, pages and log blocks of a plain backup, or the chunks of a compressed one."""
    if source.read_at(0, min(8, source.size)) == b"MSSQLBAK":
        yield from chunk_seals(source)
    yield from tape_seals(source)
    yield from page_seals(source)


def tape_seals(source: Source) -> Iterator[Seal]:
    """Descriptor blocks on sectors, and the streams that follow each of them."""
    for offset in range(0, min(source.size, SCANNED_BYTES_MAX) - 51, SECTOR):
        head = source.read_at(offset, 52)
        if head[:4].isalnum():
            yield Seal(offset, 52, lambda stored: stored[:50] + xored(stored[:50]))
            yield from stream_seals(source, offset + int.from_bytes(head[8:10], "little"))


def stream_seals(source: Source, offset: int) -> Iterator[Seal]:
    """Yield the stream headers of a chain."""
    for _ in range(STREAMS_MAX):
        if offset + STREAM_HEADER_BYTES > source.size:
            return
        head = source.read_at(offset, STREAM_HEADER_BYTES)
        if not head[:4].isalnum():
            return
        yield Seal(offset, STREAM_HEADER_BYTES, lambda stored: stored[:20] + xored(stored[:20]))
        offset += -(-(STREAM_HEADER_BYTES + int.from_bytes(head[8:16], "little")) // 4) * 4


def xored(stored: bytes) -> bytes:
    """Return the XOR of all words as a word."""
    return struct.pack("<H", sqlserver_bak.xor16(stored))


def page_seals(source: Source) -> Iterator[Seal]:
    """Whatever looks like a page with a checksum, or like a log block, on a sector."""
    for offset in range(0, min(source.size, SCANNED_BYTES_MAX) - SECTOR + 1, SECTOR):
        head = source.read_at(offset, 8)
        if head[0] == 1 and head[5] & 2:
            yield Seal(offset, PAGE, lambda stored: folded(stored, 60))
        length = int.from_bytes(head[6:8], "little")
        if head[0] in (0x50, 0x90) and length and length % SECTOR == 0:
            yield Seal(offset, length, lambda stored: folded(stored, 24))


def folded(stored: bytes, at: int) -> bytes:
    """Put in the sum that pages and log blocks share."""
    plain = stored[:at] + bytes(4) + stored[at + 4 :]
    sums = sqlserver_bak.sector_sums(np.frombuffer(plain, np.uint8))
    return plain[:at] + struct.pack("<I", sqlserver_bak.fold_of(sums)) + plain[at + 4 :]


def chunk_seals(source: Source) -> Iterator[Seal]:
    """Chunks on any byte, recognised by their first byte and then by their sum."""
    content = source.read_at(0, min(source.size, SCANNED_BYTES_MAX))
    offset = content.find(0x21, FIRST_RECORD)
    while 0 <= offset <= len(content) - CHUNK_HEADER_BYTES:
        size = int.from_bytes(content[offset + 2 : offset + 4], "little")
        length = CHUNK_HEADER_BYTES + (size or 1 << 16)
        seal = Seal(offset, length, chunk_sealed)
        found = offset + length <= len(content) and holds(source, seal)
        if found:
            yield seal
        offset = content.find(0x21, offset + (length if found else 1))


def chunk_sealed(stored: bytes) -> bytes:
    """Put a chunk's sum in: the recurrence of pages, over single words."""
    body = stored[CHUNK_HEADER_BYTES:]
    words = np.frombuffer(body + bytes(-len(body) % 4), "<u4")
    return stored[:24] + struct.pack("<I", sqlserver_bak.fold_of(words)) + body
