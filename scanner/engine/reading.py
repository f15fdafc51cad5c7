"""Read one unit: every byte once, feeding all of its checks and the digest while it is in cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import xxhash

from formats.core.model import PAYLOAD_TABLE, Columns, Evidence, Examined, Payload, Tally
from scanner.config import CARRY_BYTES_MAX, DIGEST_BLOCK_BYTES, DIGEST_BYTES, FINE_READ_BYTES
from scanner.engine.merging import merged
from scanner.engine.plan import Task, Unit
from scanner.engine.runners import ExaminedRunner, PayloadRunner, Window, runner_for
from scanner.engine.small import KeptStorage
from scanner.engine.storage import Storage
from scanner.engine.trouble import MEDIA_ERRORS, recovered, unreadable
from scanner.results import PayloadSeen, UnitResult

ZERO_DIGEST = xxhash.xxh3_128_digest(bytes(DIGEST_BLOCK_BYTES))
UNREAD_DIGEST = bytes(DIGEST_BYTES)


class Shrunk(Exception):
    """The file ended before the place where it ended when it was opened."""


class Stopped(Exception):
    """The scan was told to stop; what was read of this unit is thrown away."""


@dataclass(slots=True)
class Buffer:
    """One worker's memory: room for what is carried over, then one window."""

    memory: bytearray
    window_bytes: int

    @classmethod
    def of(cls, window_bytes: int) -> "Buffer":
        """Allocate it once; it is used for every unit this worker reads."""
        return cls(bytearray(CARRY_BYTES_MAX + window_bytes), window_bytes)


class StopSignal(Protocol):
    """Asked between windows; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether to stop."""


class UnitReading:
    """The state of reading one unit."""

    def __init__(self, storage: Storage, unit: Unit, buffer: Buffer) -> None:
        self._storage = storage
        self._unit = unit
        self._unit_end = unit.offset + unit.length
        self._room = memoryview(buffer.memory)
        self._window_bytes = buffer.window_bytes
        self._carry_wanted = carry_bytes(unit.tasks)
        self._runners = [(task, runner_for(task)) for task in unit.tasks]
        self._digests: list[bytes] = []
        self._block = xxhash.xxh3_128()
        self._gaps: list[tuple[int, int]] = []
        self._recovered: list[tuple[int, int]] = []
        self._bytes_read = 0
        self._zeros = 0

    def run(self, stop: StopSignal) -> None:
        """Read from the unit's start to the end of its last element."""
        position, carried = self._unit.offset, 0
        end = max([self._unit_end, *(task_end(task) for task in self._unit.tasks)])
        while position < end:
            if stop.is_set():
                raise Stopped
            limit = self._unit_end if position < self._unit_end else end
            length = min(self._window_bytes, limit - position)
            hole = self._fill(position, length)
            if position < self._unit_end:
                self._digest(position, length, hole=hole)
            self._feed(position, length, carried, hole=hole)
            carried = self._carry(carried, length)
            position += length

    def result(self, read_at: datetime) -> UnitResult:
        """Return what came out of the whole unit."""
        evidence: dict[int, list[Evidence]] = {}
        tables: dict[int, dict[str, list[Columns]]] = {}
        payload: dict[int, PayloadSeen] = {}
        gaps = self._own_gaps()
        for task, runner in self._runners:
            evidence.setdefault(task.image_index, []).extend(runner.evidence())
            if isinstance(runner, ExaminedRunner):
                into = tables.setdefault(task.image_index, {})
                for name, parts in runner.tables.items():
                    into.setdefault(name, []).extend(parts)
                if PAYLOAD_TABLE in runner.tables:
                    weight = decoded_payload(runner.tables[PAYLOAD_TABLE])
                    seen = payload.get(task.image_index, PayloadSeen())
                    payload[task.image_index] = seen + weight
            elif isinstance(runner, PayloadRunner):
                seen = payload.get(task.image_index, PayloadSeen())
                payload[task.image_index] = seen + runner.seen(self._zero_blocks())
        return UnitResult(
            offset=self._unit.offset,
            length=self._unit.length,
            digests=pack_digests(self._digests, self._unit.length),
            read_at=read_at,
            bytes_read=self._bytes_read,
            evidence={index: merged(rows) for index, rows in evidence.items() if rows},
            tallies={index: join_tables(named) for index, named in tables.items() if named},
            payload=payload,
            storage=(
                *(unreadable(start, end - start) for start, end in gaps),
                *(recovered(start, end - start) for start, end in self._recovered),
            ),
            unreadable=tuple((start, end - start) for start, end in gaps),
        )

    def _fill(self, position: int, length: int) -> bool:
        """Bring a window into memory; say whether it is a hole, so that nobody looks for bytes."""
        target = self._room[CARRY_BYTES_MAX : CARRY_BYTES_MAX + length]
        if self._storage.next_data(position) >= position + length:
            if self._zeros < length:  # else the window before was a hole too
                target[:] = bytes(length)
                self._zeros = length
            return True
        self._zeros = 0
        try:
            count = self._storage.read_into(target, position)
        except OSError as error:
            if error.errno not in MEDIA_ERRORS:
                raise
            count = self._fill_finely(target, position)
            if not self._touches_gap(position, position + length):
                self._recovered.append((position, position + length))
        if count < length:
            raise Shrunk
        self._bytes_read += length
        return False

    def _fill_finely(self, target: memoryview, position: int) -> int:
        """Read in small pieces, so that a bad sector costs one piece and not the window.

        Pieces end where sectors do, wherever the window begins.
        """
        for first in range(-(position % FINE_READ_BYTES), len(target), FINE_READ_BYTES):
            start = max(first, 0)
            piece = target[start : first + FINE_READ_BYTES]
            try:
                if self._storage.read_into(piece, position + start) < len(piece):
                    return start
            except OSError as error:
                if error.errno not in MEDIA_ERRORS:
                    raise
                piece[:] = bytes(len(piece))
                self._add_gap(position + start, position + start + len(piece))
        return len(target)

    def _add_gap(self, start: int, end: int) -> None:
        if self._gaps and self._gaps[-1][1] == start:
            self._gaps[-1] = (self._gaps[-1][0], end)
        else:
            self._gaps.append((start, end))

    def _own_gaps(self) -> list[tuple[int, int]]:
        """Return the gaps inside the unit; those behind its end are the next unit's to report."""
        clipped = [(start, min(end, self._unit_end)) for start, end in self._gaps]
        return [(start, end) for start, end in clipped if start < end]

    def _touches_gap(self, start: int, end: int) -> bool:
        return any(low < end and high > start for low, high in self._gaps)

    def _digest(self, position: int, length: int, *, hole: bool) -> None:
        end = position + length
        while position < end:
            block = position - (position - self._unit.offset) % DIGEST_BLOCK_BYTES
            block_end = min(block + DIGEST_BLOCK_BYTES, self._unit_end)
            piece_end = min(block_end, end)
            at = CARRY_BYTES_MAX + length - (end - position)
            piece = self._room[at : at + piece_end - position]
            if (position, piece_end) == (block, block_end):
                digest = zero_digest(len(piece)) if hole else xxhash.xxh3_128_digest(piece)
                self._add_digest(block, block_end, digest)
            else:  # the windows are no whole blocks
                self._block.update(piece)
                if piece_end == block_end:
                    self._add_digest(block, block_end, self._block.digest())
                    self._block.reset()
            position = piece_end

    def _add_digest(self, block: int, block_end: int, digest: bytes) -> None:
        self._digests.append(UNREAD_DIGEST if self._touches_gap(block, block_end) else digest)

    def _feed(self, position: int, length: int, carried: int, *, hole: bool) -> None:
        window = Window(
            self._room[CARRY_BYTES_MAX - carried : CARRY_BYTES_MAX + length],
            position - carried,
            position,
            position + length,
            tuple(self._gaps),
            hole,
        )
        for _task, runner in self._runners:
            runner.feed(window)

    def _carry(self, carried: int, length: int) -> int:
        keep = min(self._carry_wanted, carried + length)
        if keep:
            last = bytes(self._room[CARRY_BYTES_MAX + length - keep : CARRY_BYTES_MAX + length])
            self._room[CARRY_BYTES_MAX - keep : CARRY_BYTES_MAX] = last
        return keep

    def _zero_blocks(self) -> list[int]:
        return [
            self._unit.offset + index * DIGEST_BLOCK_BYTES
            for index, digest in enumerate(self._digests)
            if digest == zero_digest(self._block_length(index))
        ]

    def _block_length(self, index: int) -> int:
        return min(DIGEST_BLOCK_BYTES, self._unit.length - index * DIGEST_BLOCK_BYTES)


def read_unit(
    storage: Storage, unit: Unit, buffer: Buffer, read_at: datetime, stop: StopSignal
) -> UnitResult:
    """Read and check one unit.

    Raises `Shrunk`, `Stopped`, or an OSError that is no media error; media errors become gaps.
    """
    if not unit.tasks and isinstance(storage, KeptStorage):
        return kept_result(storage, unit, read_at, stop)
    if only_payload(unit) and storage.next_data(unit.offset) >= unit.offset + unit.length:
        return hole_result(unit, read_at)
    storage.approach(unit.offset, unit.length)
    reading = UnitReading(storage, unit, buffer)
    reading.run(stop)
    storage.leave(unit.offset, unit.length)
    return reading.result(read_at)


def kept_result(
    storage: KeptStorage, unit: Unit, read_at: datetime, stop: StopSignal
) -> UnitResult:
    """Return what reading a small file without checks gives: it is in memory already."""
    assert (unit.offset, unit.length) == (0, storage.size)
    if stop.is_set():
        raise Stopped
    digests = pack_digests([storage.digest()], unit.length)
    return UnitResult(unit.offset, unit.length, digests, read_at, unit.length)


def only_payload(unit: Unit) -> bool:
    """Whether nothing in the unit would be surprised by zeros."""
    return all(isinstance(task.check, Payload) for task in unit.tasks)


def hole_result(unit: Unit, read_at: datetime) -> UnitResult:
    """Return what reading a unit that is one hole would have given."""
    payload: dict[int, PayloadSeen] = {}
    for task in unit.tasks:
        seen = payload.get(task.image_index, PayloadSeen())
        payload[task.image_index] = seen + PayloadSeen(int(task.length.sum()))
    return UnitResult(unit.offset, unit.length, b"", read_at, payload=payload)


def decoded_payload(tables: Sequence[Columns]) -> PayloadSeen:
    """Return the weight of source data that only a kernel could see."""
    total = sum(int(table["bytes"].sum()) for table in tables)
    nonzero = sum(int(table["nonzero_bytes"].sum()) for table in tables)
    return PayloadSeen(total, nonzero, nonzero > 0)


def carry_bytes(tasks: Sequence[Task]) -> int:
    """Return how many bytes must be carried over so that no element is cut apart."""
    strides = [task.check.stride for task in tasks if isinstance(task.check, Examined)]
    wanted = max(strides, default=1) - 1
    assert wanted < CARRY_BYTES_MAX
    return wanted


def task_end(task: Task) -> int:
    """Return the end of the last byte a task wants; it may lie behind its unit."""
    return int((task.offset + task.length).max())


def join_tables(named: dict[str, list[Columns]]) -> Tally:
    """Join the tables of several windows."""
    return {name: np.concatenate(parts) for name, parts in named.items()}


def pack_digests(digests: list[bytes], length: int) -> bytes:
    """Join digests; nothing at all stands for a unit of nothing but zeros."""
    blocks = -(-length // DIGEST_BLOCK_BYTES)
    assert len(digests) == blocks
    last = length - (blocks - 1) * DIGEST_BLOCK_BYTES
    if all(digest == ZERO_DIGEST for digest in digests[:-1]) and digests[-1] == zero_digest(last):
        return b""
    return b"".join(digests)


def unpack_digests(packed: bytes, length: int) -> bytes:
    """Return one digest per block, also for a unit of nothing but zeros."""
    if packed:
        return packed
    blocks = -(-length // DIGEST_BLOCK_BYTES)
    last = length - (blocks - 1) * DIGEST_BLOCK_BYTES
    return ZERO_DIGEST * (blocks - 1) + zero_digest(last)


def zero_digest(length: int) -> bytes:
    """Return the digest of ``length`` zero bytes."""
    if length == DIGEST_BLOCK_BYTES:
        return ZERO_DIGEST
    return xxhash.xxh3_128_digest(bytes(length))
