"""Checks at work on one unit: each is fed every window once, in order, and asked at the end.

A window is contiguous memory that holds the file from ``start`` to ``end``, of which the bytes from
``fresh`` on are new; the ones before it were carried over so that elements are never cut apart.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, assert_never

import google_crc32c
import numpy as np
from isal import isal_zlib

from formats.core.codecs import CodecError, Decoder
from formats.core.model import (
    Algorithm,
    Columns,
    Declared,
    Evidence,
    Examined,
    Outcome,
    Payload,
)
from scanner.config import DIGEST_BLOCK_BYTES, EVIDENCE_PER_CHECK_MAX
from scanner.engine.plan import Task
from scanner.results import PayloadSeen

Ranges: TypeAlias = Sequence[tuple[int, int]]
"""Half-open (start, end) ranges of the file."""


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of the file in memory. ``gaps`` are ranges the storage refused (zeros in memory).

    ``hole`` says that the file system stores nothing of the new bytes: all of them are zeros.
    """

    memory: memoryview
    start: int
    fresh: int
    end: int
    gaps: Ranges = ()
    hole: bool = False

    def slice(self, start: int, end: int) -> memoryview:
        """Return the memory that holds ``start..end`` of the file."""
        assert self.start <= start <= end <= self.end
        return self.memory[start - self.start : end - self.start]


class Runner(Protocol):
    """One check of one unit."""

    def feed(self, window: Window) -> None:
        """Take the next window."""

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what came out, after the last window."""


class Findings:
    """Evidence of one check, with bad rows limited and good ones summed up."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rows: list[Evidence] = []
        self._more = 0
        self._matched = 0
        self._vouched_bytes = 0

    def matched(self, count: int, vouched_bytes: int) -> None:
        """Count elements that matched."""
        self._matched += count
        self._vouched_bytes += vouched_bytes

    def failed(self, offset: int, length: int, expected: str | None, actual: str | None) -> None:
        """Record an element that did not match."""
        if len(self._rows) >= EVIDENCE_PER_CHECK_MAX:
            self._more += 1
            return
        row = Evidence(
            self._task.check_id,
            Outcome.MISMATCHED,
            offset,
            length,
            expected,
            actual,
            self._task.bearing,
        )
        self._rows.append(row)

    def collected(self) -> tuple[Evidence, ...]:
        """Return all rows."""
        task = self._task
        rows = list(self._rows)
        if self._more:
            rows.append(
                Evidence(task.check_id, Outcome.MISMATCHED, bearing=task.bearing, count=self._more)
            )
        if self._matched:
            rows.append(
                Evidence(
                    task.check_id,
                    Outcome.MATCHED,
                    bearing=task.bearing,
                    count=self._matched,
                    vouched_bytes=self._vouched_bytes,
                )
            )
        return tuple(rows)


class ExaminedRunner:
    """Hands whole elements to a format's kernel."""

    def __init__(self, task: Task, check: Examined) -> None:
        self._check = check
        self._pieces = list(
            zip(
                task.offset.tolist(),
                (task.offset + task.length).tolist(),
                task.origin.tolist(),
                strict=True,
            )
        )
        self._index = 0
        self._position = self._pieces[0][0]
        self._evidence: list[Evidence] = []
        self.tables: dict[str, list[Columns]] = {}

    def feed(self, window: Window) -> None:
        """Run the kernel over every element that is complete now."""
        stride = self._check.stride
        while self._index < len(self._pieces):
            _, piece_end, origin = self._pieces[self._index]
            ready = min(window.end, piece_end)
            if ready < piece_end:
                ready -= (ready - self._position) % stride
            if ready <= self._position:
                return
            self._run(window, self._position, ready, origin)
            self._position = ready
            if ready < piece_end:
                return
            self._index += 1
            if self._index < len(self._pieces):
                self._position = self._pieces[self._index][0]

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what the kernel said."""
        return tuple(self._evidence)

    def _run(self, window: Window, start: int, end: int, origin: int) -> None:
        for low, high in spared(start, end, window.gaps, self._check.stride):
            elements = np.frombuffer(window.slice(low, high), np.uint8)
            result = self._check.kernel(elements, low, origin)
            self._evidence.extend(result.evidence)
            for name, table in result.tally.items():
                if len(table):
                    self.tables.setdefault(name, []).append(table)


class ZerosRunner:
    """Looks for a byte that is not zero where all must be. Its elements are single bytes."""

    def __init__(self, task: Task) -> None:
        self._findings = Findings(task)
        self._offset = task.offset
        self._end = task.offset + task.length
        self._places: dict[int, tuple[int, int, int]] = {}

    def feed(self, window: Window) -> None:
        """Look at the new bytes that belong to the extents."""
        low = int(np.searchsorted(self._end, window.fresh, side="right"))
        high = int(np.searchsorted(self._offset, window.end, side="left"))
        for row in range(low, high):
            start = max(int(self._offset[row]), window.fresh)
            end = min(int(self._end[row]), window.end)
            for part_start, part_end in spared(start, end, window.gaps, 1):
                self._look(window, row, part_start, part_end)

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what was found: one row per extent, wherever the windows cut it."""
        for first, last, count in self._places.values():
            self._findings.failed(first, last - first + 1, "zeros", f"{count} other bytes")
        return self._findings.collected()

    def _look(self, window: Window, row: int, start: int, end: int) -> None:
        content = np.frombuffer(window.slice(start, end), np.uint8)
        if window.hole or not content.any():
            self._findings.matched(end - start, end - start)
            return
        found = np.flatnonzero(content)
        self._findings.matched(end - start - len(found), end - start - len(found))
        first, last = start + int(found[0]), start + int(found[-1])
        before = self._places.get(row)
        if before is not None:
            first = before[0]
        self._places[row] = (first, last, len(found) + (before[2] if before else 0))


class PayloadRunner:
    """Weighs source data: how much there is, and whether any of it is not zero."""

    def __init__(self, task: Task) -> None:
        self._offset = task.offset
        self._end = task.offset + task.length
        self._nonzero = False

    def feed(self, window: Window) -> None:
        """Look for the first byte that is not zero; after that there is nothing to do."""
        if self._nonzero or window.hole:
            return
        low = int(np.searchsorted(self._end, window.fresh, side="right"))
        high = int(np.searchsorted(self._offset, window.end, side="left"))
        for row in range(low, high):
            start = max(int(self._offset[row]), window.fresh)
            end = min(int(self._end[row]), window.end)
            if end > start and np.frombuffer(window.slice(start, end), np.uint8).any():
                self._nonzero = True
                return

    def evidence(self) -> tuple[Evidence, ...]:
        """Return nothing: payload is weighed, not judged."""
        return ()

    def seen(self, zero_blocks: Sequence[int]) -> PayloadSeen:
        """Return the weight; ``zero_blocks`` are offsets of digest blocks that are all zeros."""
        total = int((self._end - self._offset).sum())
        zeros = 0
        for block in zero_blocks:
            overlap = np.minimum(self._end, block + DIGEST_BLOCK_BYTES) - np.maximum(
                self._offset, block
            )
            zeros += int(overlap.clip(0).sum())
        return PayloadSeen(total, total - zeros if self._nonzero else 0, self._nonzero)


class DeclaredRunner:
    """Compares each extent's sum with the one its row declares."""

    def __init__(self, task: Task, check: Declared) -> None:
        self._task = task
        self._check = check
        self._findings = Findings(task)
        self._offset = task.offset.tolist()
        self._length = task.length.tolist()
        self._next = 0
        self._open: list[tuple[int, Sum]] = []

    def feed(self, window: Window) -> None:
        """Go on with extents that were open, and begin those that start in this window."""
        still_open = []
        for row, running in self._open:
            end = self._offset[row] + self._length[row]
            running.add(window, window.fresh, min(end, window.end))
            if end <= window.end:
                self._close(row, running)
            else:
                still_open.append((row, running))
        while self._next < len(self._offset) and self._offset[self._next] < window.end:
            row = self._next
            self._next += 1
            running = Sum(self._check, self._plain_length(row))
            end = self._offset[row] + self._length[row]
            running.add(window, self._offset[row], min(end, window.end))
            if end <= window.end:
                self._close(row, running)
            else:
                still_open.append((row, running))
        self._open = still_open

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what was found."""
        return self._findings.collected()

    def _plain_length(self, row: int) -> int:
        plain = self._task.plain_length
        return self._length[row] if plain is None else int(plain[row])

    def _close(self, row: int, running: "Sum") -> None:
        if running.gap:
            return  # the storage's refusal is recorded; a sum of half the bytes says nothing
        digest = self._task.digest
        expected = None if digest is None else digest[row].tobytes()
        actual = running.close()
        length = self._length[row]
        if running.error is None and actual == expected:
            self._findings.matched(1, length if expected is not None else 0)
            return
        self._findings.failed(
            self._offset[row],
            length,
            f"{self._plain_length(row)} bytes decoded" if expected is None else expected.hex(),
            running.error or (actual or b"").hex(),
        )


class Sum:
    """A running sum over one extent, decoded on the way where it is stored compressed."""

    def __init__(self, check: Declared, plain_length: int) -> None:
        self.error: str | None = None
        self.gap = False
        self._plain_length = plain_length
        self._plain_done = 0
        self._decoder = (
            None if check.codec is None else Decoder(check.codec, plain_length, slack=check.slack)
        )
        self._hasher = hasher(check.algorithm)

    def add(self, window: Window, start: int, end: int) -> None:
        """Take the bytes of ``start..end``."""
        if any(low < end and high > start for low, high in window.gaps):
            self.gap = True
        if self.gap or self.error is not None:
            return
        stored = window.slice(start, end)
        if self._decoder is None:
            self._take(stored)
            return
        try:
            for plain in self._decoder.feed(stored):
                self._take(plain)
        except CodecError as error:
            self.error = str(error)

    def close(self) -> bytes | None:
        """Return the sum; None where nothing is declared."""
        if self.error is None and self._decoder is not None:
            try:
                self._decoder.finish()
            except CodecError as error:
                self.error = str(error)
        if self.error is None and self._plain_done != self._plain_length:
            self.error = f"{self._plain_done} bytes decoded"
        return self._hasher.digest() if self._hasher else None

    def _take(self, plain: bytes | memoryview) -> None:
        self._plain_done += len(plain)
        if self._hasher:
            self._hasher.update(plain)


class Hasher(Protocol):
    """What hashlib's objects offer."""

    def update(self, content: bytes | memoryview, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the sum of all bytes so far."""


@dataclass(slots=True)
class CrcHasher:
    """A 32-bit sum behind hashlib's interface; the digest is big-endian."""

    step: Callable[[int, bytes | memoryview], int]
    value: int = field(default=0)

    def update(self, content: bytes | memoryview) -> None:
        """Take more bytes."""
        self.value = self.step(self.value, content)

    def digest(self) -> bytes:
        """Return the sum of all bytes so far."""
        return self.value.to_bytes(4, "big")


def crc32c_step(value: int, content: bytes | memoryview) -> int:
    """Continue a CRC-32C. The library refuses a writable memoryview but takes an array as it is."""
    return int(google_crc32c.extend(value, np.frombuffer(content, np.uint8)))


def hasher(algorithm: Algorithm | None) -> Hasher | None:
    """Return a fresh sum; None where an extent only has to decode."""
    match algorithm:
        case None:
            return None
        case Algorithm.CRC32:
            return CrcHasher(lambda value, content: isal_zlib.crc32(content, value))
        case Algorithm.CRC32C:
            return CrcHasher(crc32c_step)
        case Algorithm.MD5:
            return hashlib.md5(usedforsecurity=False)
        case Algorithm.SHA1:
            return hashlib.sha1(usedforsecurity=False)
        case Algorithm.SHA256:
            return hashlib.sha256()
        case Algorithm.ZEROS:
            message = "zeros are looked for, not summed"
            raise ValueError(message)
        case _:
            assert_never(algorithm)


def spared(start: int, end: int, gaps: Ranges, stride: int) -> list[tuple[int, int]]:
    """Return the parts of ``start..end`` whose elements touch no gap."""
    parts = []
    for low, high in gaps:
        if high <= start or low >= end:
            continue
        before = start + max(low - start, 0) // stride * stride
        if before > start:
            parts.append((start, before))
        start += -(-(high - start) // stride) * stride
    if start < end:
        parts.append((start, end))
    return parts


def runner_for(task: Task) -> Runner:
    """Return what runs a task."""
    check = task.check
    match check:
        case Examined():
            return ExaminedRunner(task, check)
        case Payload():
            return PayloadRunner(task)
        case Declared(algorithm=Algorithm.ZEROS, codec=None):
            return ZerosRunner(task)
        case Declared():
            return DeclaredRunner(task, check)
        case _:
            assert_never(check)
