"""Write SQL Server backups: right framing, both configurations, maps, pages, log, sums, stripes.

An independent hand: nothing here is imported from the decoder, every number is written down once
more. What it writes is no real backup and is never called one: no server has read it.

`write_backup` streams, so that a file of many gigabytes costs little memory; pages carry a pattern
that is made once and stamped with each page's number, so that it is about as fast as the disk.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO
from uuid import UUID

import numpy as np

PAGE = 8192
EXTENT = 8 * PAGE
SECTOR = 512
WINDOW_EXTENTS = 64

FILE_ID = 1
LOG_ID = 2
PFS_EVERY = 8088
GAM_EVERY = 511_232
# 2026-11-21 20:26:00 and 20:40:03: year 14 bits, month 4, day 5, hour 5, minute 6, second 6.
START = (2026 << 26 | 11 << 22 | 21 << 17 | 20 << 12 | 26 << 6).to_bytes(5, "big")
FINISH = (2026 << 26 | 11 << 22 | 21 << 17 | 20 << 12 | 40 << 6 | 3).to_bytes(5, "big")
FIRST_LSN = (40, 200, 37)
MAP_LSN = (39, 16, 2)
BASE_LSN = (38, 24, 1)
FILE_BYTES_MAX = 1 << 40
VERSION = 904
SET_GUID = UUID(int=0x1111)
MEDIA_SET = UUID(int=0x2222)
NO_GUID = UUID(int=0)


@dataclass(frozen=True)
class Recipe:
    """One backup set. It stores every so many-th extent, and those with maps.

    ``empty_pages`` are the pages at the end of ordinary extents that nothing allocated; they hold
    zeros, or garbage where ``garbage`` says so. ``again`` are extents copied twice,
    ``only_in_map`` such that the maps call allocated and that are not stored. Pages
    and log are made of bytes below ``byte_values``: the fewer, the better they compress.
    ``status`` is the database's, ``chain_lsn`` where its log chain began.
    """

    database_bytes: int = 4 << 20
    letter: str = "D"
    name: str = "Orders"
    server: str = "NAS\\SQL"
    checksum: bool = False
    protection: str = "checksum"
    every_extent: int = 1
    empty_pages: int = 0
    garbage: bool = False
    filler_extents: int = 0
    again: tuple[int, ...] = ()
    only_in_map: tuple[int, ...] = ()
    log_blocks: int = 6
    guid: UUID = SET_GUID
    base_guid: UUID = NO_GUID
    map_lsn: tuple[int, int, int] = MAP_LSN
    damaged: bool = False
    byte_values: int = 256
    compressible: bool = False
    machine: str = "NAS"
    status: int = 0x10000
    chain_lsn: tuple[int, int, int] = (0, 0, 0)

    @property
    def extent_count(self) -> int:
        return self.database_bytes // EXTENT

    def extents(self) -> np.ndarray:
        """Return the extents the set stores, ascending."""
        every = np.arange(self.extent_count)
        if self.letter == "L":
            return every[:0]
        kept = every % self.every_extent == 0
        kept |= (every < 2) | (every % (PFS_EVERY // 8) == 0)
        kept |= every % (GAM_EVERY // 8) == 0
        return every[kept]


@dataclass
class Out:
    """Where bytes go: a file that is only ever appended to, and how many went there."""

    file: BinaryIO
    position: int = 0

    def put(self, data: bytes | memoryview) -> int:
        start = self.position
        self.file.write(data)
        self.position += len(data)
        return start

    def pad_to(self, boundary: int) -> None:
        self.put(bytes(-self.position % boundary))


@dataclass
class Medium:
    """One file. Sets are appended to it; ``family`` is its number and the number of stripes."""

    file: BinaryIO
    mark_bytes: int = 4096
    family: tuple[int, int] = (1, 1)
    media_set: UUID = MEDIA_SET
    family_id: int = 0x01020304
    marks: list[int] = field(default_factory=list)
    map_entries: list[bytes] = field(default_factory=list)
    structures: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    total_size: int | None = None
    span: int = 0

    def __post_init__(self) -> None:
        self.out = Out(self.file)
        self.control = 0
        self.set_start = 0
        strings = "Microsoft SQL Server\0\0".encode("utf-16-le")
        body = struct.pack("<IIHHHH", self.family_id, 5, 1, 0, self.mark_bytes // 512, 3)
        body += bytes(12) + struct.pack("<HH", len(strings), 94)
        body += struct.pack("<HH", 1024, 4608) + START + b"\1"
        raid = self.media_set.bytes_le + struct.pack(
            "<IHHHIH", 0xF00000AD, self.family[1], 1, self.family[0], 0, 1
        )
        self.block(b"TAPE", body + strings, attributes=0x30000, own=False)
        self.stream(b"RAID", raid)
        self.end_block(max(1024, self.mark_bytes))
        self.filemark()

    def note(self, name: str, start: int, length: int) -> None:
        self.structures.setdefault(name, []).append((start, length))

    def block(self, kind: bytes, body: bytes, *, attributes: int = 0, own: bool = True) -> int:
        """Write a block's header and body; ``own`` ones are numbered within their set."""
        body += bytes(-(52 + len(body)) % 4)
        address = (self.out.position - self.set_start) // 1024 if own else 0
        head = kind + struct.pack("<IHBB", attributes, 52 + len(body), 14, 1)
        head += struct.pack("<QQ", 0, address) + bytes(8)
        head += struct.pack("<I", self.control if own else 0) + bytes(8) + b"\2\0"
        self.control += own
        self.note("block header", self.out.position, 52)
        return self.out.put(head + struct.pack("<H", xor16(head)) + body)

    def stream_head(self, name: bytes, length: int, attributes: int = 0) -> None:
        self.out.pad_to(4)
        head = name + struct.pack("<HHQHH", 0, attributes, length, 0, 0)
        self.note("stream header", self.out.position, 22)
        self.out.put(head + struct.pack("<H", xor16(head)))

    def stream(self, name: bytes, data: bytes, attributes: int = 0) -> int:
        self.stream_head(name, len(data), attributes)
        return self.out.put(data)

    def end_block(self, boundary: int = 1024, base: int = 0) -> None:
        """Write the padding that ends a block on a boundary from ``base``."""
        self.out.pad_to(4)
        self.stream(b"SPAD", bytes(-(self.out.position + 22 - base) % boundary))

    def align_data(self) -> None:
        """Write the padding after which a stream's pages begin on a filemark's boundary."""
        self.out.pad_to(4)
        missing = -(self.out.position + 22 + 22 + 2) % self.mark_bytes
        self.stream(b"APAD", bytes(missing), 0x80)

    def filemark(self) -> None:
        size = self.mark_bytes
        head = b"SFMB" + struct.pack("<IHBB", 0x80000000, size, 14, 1) + bytes(36) + b"\0\0"
        body = struct.pack("<III", (size - 72) // 8, len(self.marks), 0x48) + bytes(8)
        body += struct.pack(f"<{len(self.marks)}Q", *reversed(self.marks))
        self.note("filemark", self.out.position, size)
        mark = self.out.put((head + struct.pack("<H", xor16(head)) + body).ljust(size, b"\0"))
        self.marks.append(mark)

    def add_set(self, recipe: Recipe) -> None:
        """Append one backup set."""
        self.set_start, self.control = self.out.position, 0
        number = len(self.map_entries) + 1
        self._set_head(recipe, number)
        mine = stripe_of(recipe.extents(), self.family)
        self._config(b"MSCI", recipe, last=False)
        if recipe.letter != "L":
            self._pages(recipe, mine, filler=recipe.filler_extents)
            if recipe.again:
                self._pages(recipe, stripe_of(np.array(recipe.again), self.family), filler=0)
        self._log(recipe)
        size = self._config(b"MSLS", recipe, last=True)
        self._set_end(recipe, number, size)

    def _set_head(self, recipe: Recipe, number: int) -> None:
        user = "NAS\\backup".encode("utf-16-le")
        kind = 8 if recipe.letter == "I" else 4
        body = struct.pack("<IHHHH", kind, 0, 0, 4608, number) + bytes(12)
        body += struct.pack("<HHQ", len(user), 124, self.set_start) + START
        body += bytes([15, 0, 4, 0, 2, 0, 0]) + recipe.guid.bytes_le + bytes(8)
        self.block(b"SSET", body + user)
        self.end_block(base=self.set_start)
        device, machine = "C:".encode("utf-16-le"), recipe.machine.encode("utf-16-le")
        volume = struct.pack("<IHHIHH", 2, len(device), 76, 0, len(machine), 76 + len(device))
        self.block(b"VOLB", volume + START + bytes(3) + device + machine)
        self.end_block(base=self.set_start)

    def _config(self, kind: bytes, recipe: Recipe, *, last: bool) -> int:
        start = self.block(kind, bytes(4))
        size = 0
        if last:
            self.span = start - self.set_start
            self.span += self.set_start - self.mark_bytes if len(self.marks) == 1 else 0
            size = self.span if self.total_size is None else self.total_size
        content = configuration(recipe, size, last=last)
        self.note("configuration", self.stream(b"MQCI", content), len(content))
        if last and self.mark_bytes > 1024:
            self.end_block(self.mark_bytes)
        else:
            self.end_block(base=self.set_start)
        return size

    def _pages(self, recipe: Recipe, extents: np.ndarray, *, filler: int) -> None:
        self.block(b"MSDA", struct.pack("<IHH", 0, 0, 1))
        self.align_data()
        length = 2 + (len(extents) + filler) * EXTENT
        self.stream_head(b"MQDA", length, 0x102 if recipe.checksum else 0x002)
        self.out.put(b"\0\0")
        self.note("pages", self.out.position, length - 2)
        fold = Fold()
        for window in pages(recipe, extents):
            self.out.put(window.data)
            fold.add(window)
        if filler:
            window = np.full(filler * EXTENT, 0x5A, np.uint8)
            window[::4099] = 0x17
            self.out.put(window.data)
            fold.add(window)
        self._csum(recipe, fold)
        self.stream(b"MQDA", b"", 0x006)
        self.end_block(base=self.set_start)

    def _csum(self, recipe: Recipe, fold: "Fold") -> None:
        if recipe.checksum:
            self.stream(b"CSUM", struct.pack("<I", fold.value))

    def _log(self, recipe: Recipe) -> None:
        """Write one virtual log file with log, and an empty one."""
        log = log_blocks(recipe, 40, FIRST_LSN[1])
        begin = 8192 + FIRST_LSN[1] * 512
        here = self.family[0] == self.family[1]
        for sequence, saved in ((40, log), (0, b"")):
            place = 8192 if sequence else 8192 + (1 << 20)
            first = begin if saved else 0
            body = bytes(8) + struct.pack("<QQHH", first, first + len(saved), LOG_ID, 0)
            body += bytes(12) + struct.pack("<IQQ", sequence, 1 << 20, place)
            self.block(b"MSTL", body.ljust(540, b"\0"))
            if saved and here:
                self.align_data()
                filled = saved.ljust(-(-len(saved) // EXTENT) * EXTENT, b"\0")
                self.stream_head(b"MQTL", 2 + len(filled), 0x100 if recipe.checksum else 0)
                self.out.put(b"\0\0")
                self.note("log", self.out.position, len(saved))
                self.out.put(filled)
                fold = Fold()
                fold.add(np.frombuffer(filled, np.uint8))
                self._csum(recipe, fold)
            self.end_block(base=self.set_start)

    def _set_end(self, recipe: Recipe, number: int, size: int) -> None:
        self.filemark()
        kind = 8 if recipe.letter == "I" else 4
        ends, boundary = self.out.position, max(1024, self.mark_bytes)
        for place in (0, ends):
            body = struct.pack("<IIQ", kind, 0, place) + bytes(8)
            self.block(b"ESET", body + struct.pack("<HH", 0, number) + START, own=False)
            if not place:
                self.map_entries.append(self._map_entry(recipe, kind, number, size))
                missing = -(self.out.position + 22) % boundary
                self.stream(b"OTCP", bytes(missing))
                entries = b"".join(self.map_entries)
                head = struct.pack("<IHH", self.family_id, len(self.map_entries), 0)
                self.stream(b"TSMP", head + entries)
            self.end_block(boundary)
        self.filemark()

    def _map_entry(self, recipe: Recipe, kind: int, number: int, size: int) -> bytes:
        user = "NAS\\backup".encode("utf-16-le")
        entry = bytearray(92)
        struct.pack_into("<HH", entry, 0, 92 + len(user), 1)
        struct.pack_into("<IQ", entry, 8, kind, self.set_start)
        struct.pack_into("<H", entry, 30, number)
        struct.pack_into("<QH", entry, 52, size, 1)
        struct.pack_into("<HH", entry, 76, len(user), 92)
        entry[80:85], entry[85] = START, 4
        device, machine = "C:".encode("utf-16-le"), recipe.machine.encode("utf-16-le")
        volume = bytearray(62)
        struct.pack_into("<H4s", volume, 0, 62 + len(device) + len(machine), b"VOLB")
        struct.pack_into("<HH", volume, 40, len(device), 62)
        struct.pack_into("<HH", volume, 48, len(machine), 62 + len(device))
        volume[56:61] = START
        # A server was seen to leave the last byte out.
        return bytes(entry) + user + bytes(volume) + device + machine[:-1] + b"\0"


def write_backup(
    file: BinaryIO, *, database_bytes: int, mark_bytes: int = 4096, **recipe: object
) -> Medium:
    """Write a medium with one backup set; the rest are fields of `Recipe`."""
    medium = Medium(file, mark_bytes=mark_bytes)
    medium.add_set(Recipe(database_bytes=database_bytes, **recipe))
    return medium


class Void:
    """A file that keeps nothing."""

    def write(self, data: bytes) -> None:
        """Forget ``data``."""


def write_stripes(
    files: Sequence[BinaryIO], recipe: Recipe, mark_bytes: int = 4096
) -> list[Medium]:
    """Write one backup set to several media that take turns, extent by extent."""
    numbers = range(1, len(files) + 1)
    # Every stripe states the size of all together, so they are laid out once before.
    trials = [Medium(Void(), mark_bytes, (number, len(files))) for number in numbers]
    for trial in trials:
        trial.add_set(recipe)
    total = sum(trial.span for trial in trials)
    media = [
        Medium(file, mark_bytes, (number, len(files)), family_id=number, total_size=total)
        for number, file in zip(numbers, files, strict=True)
    ]
    for medium in media:
        medium.add_set(recipe)
    return media


def stripe_of(extents: np.ndarray, family: tuple[int, int]) -> np.ndarray:
    """Return every so many-th extent."""
    return extents[family[0] - 1 :: family[1]]


def xor16(data: bytes) -> int:
    """XOR of little-endian 16-bit words."""
    value = 0
    for (word,) in struct.iter_unpack("<H", data):
        value ^= word
    return value


def rotate(values: np.ndarray, by: np.ndarray | int) -> np.ndarray:
    """Rotate 32-bit values left."""
    wide = values.astype(np.uint64)
    by = np.asarray(by, np.uint64) % np.uint64(32)
    return ((wide << by) | (wide >> (np.uint64(32) - by))).astype(np.uint32)


def sector_sums(data: np.ndarray) -> np.ndarray:
    """XOR the 32-bit words of every sector."""
    words = np.bitwise_xor.reduce(data.view("<u8").reshape(-1, SECTOR // 8), axis=1)
    return (words ^ (words >> np.uint64(32))).astype(np.uint32)


def fold_of(sums: np.ndarray) -> int:
    """Fold sums as SQL Server does: turn by one bit, then XOR the next."""
    turns = np.arange(len(sums) - 1, -1, -1)
    return int(np.bitwise_xor.reduce(rotate(sums, turns)))


@dataclass
class Fold:
    """The running backup checksum of a stream."""

    value: int = 0

    def add(self, data: np.ndarray) -> None:
        sums = sector_sums(data)
        before = rotate(np.array([self.value], np.uint32), len(sums))
        self.value = int(before[0]) ^ fold_of(sums)


PATTERN_SEED = 7


def pages(recipe: Recipe, extents: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the bytes of extents, some at a time; a yielded array is reused for the next."""
    pattern = pattern_of(recipe)[: len(extents) * 8]
    folds = np.array([fold_of(sector_sums(page)) for page in pattern], np.uint32)
    window = pattern.copy()
    for start in range(0, len(extents), WINDOW_EXTENTS):
        chosen = extents[start : start + WINDOW_EXTENTS]
        count = len(chosen) * 8
        ids = (chosen[:, None] * 8 + np.arange(8)).reshape(-1)
        stamp(recipe, window[:count], folds[:count], ids)
        changed = special(recipe, window, ids)
        yield window[:count].reshape(-1)
        window[changed] = pattern[changed]


def pattern_of(recipe: Recipe) -> np.ndarray:
    """Return the content that pages share, headers left free."""
    shape = (WINDOW_EXTENTS * 8, PAGE)
    if recipe.compressible:
        pattern = np.tile(np.arange(PAGE) // 32 % 251, (shape[0], 1)).astype(np.uint8)
        pattern += np.arange(shape[0])[:, None].astype(np.uint8)
    else:
        rng = np.random.default_rng(PATTERN_SEED)
        pattern = rng.integers(0, recipe.byte_values, shape, dtype=np.uint8)
    pattern[:, :96] = 0
    return pattern


def stamp(recipe: Recipe, window: np.ndarray, folds: np.ndarray, ids: np.ndarray) -> None:
    """Write the headers of ordinary pages."""
    words = np.zeros((len(ids), 24), np.uint32)
    words[:, 0] = 1 | 1 << 8
    words[:, 1] = {"checksum": 0x200, "torn": 0x100, "none": 0}[recipe.protection]
    words[:, 8], words[:, 9] = ids, FILE_ID
    words[:, 10], words[:, 11], words[:, 12] = recipe.map_lsn
    if recipe.protection == "checksum":
        words[:, 15] = folds ^ rotate(np.bitwise_xor.reduce(words, axis=1), 15)
    window[:, :96] = words.view(np.uint8)
    if recipe.protection == "torn":
        for page in window:
            seal(recipe, page)


def special(recipe: Recipe, window: np.ndarray, ids: np.ndarray) -> list[int]:
    """Write maps, the boot page and unallocated pages; return which pages are no pattern now."""
    changed = np.flatnonzero(map_kind(ids) > 0).tolist()
    for index in changed:
        page = window[index]
        page[96:] = 0
        fill_map(recipe, page, int(ids[index]))
        seal(recipe, page)
    empty = np.flatnonzero(~allocated_pages(recipe, ids))
    window[empty] = 0
    if recipe.garbage:
        window[empty, 200::7] = 0xE7
    torn = list(range(len(ids))) if recipe.protection == "torn" else []
    return sorted({*changed, *empty.tolist(), *torn})


def map_kind(ids: np.ndarray) -> np.ndarray:
    """Return the page type of maps and headers; 0 for ordinary pages."""
    kind = np.zeros(len(ids), np.int64)
    kind[(ids > 0) & (ids % PFS_EVERY == 0)] = 11
    for place, first, number in ((0, 2, 8), (1, 3, 9), (6, 6, 16), (7, 7, 17)):
        kind[(ids % GAM_EVERY == place) & (ids >= GAM_EVERY)] = number
        kind[ids == first] = number
    kind[ids == 1], kind[ids == 0], kind[ids == 9] = 11, 15, 13
    return kind


def fill_map(recipe: Recipe, page: np.ndarray, page_id: int) -> None:
    """Write the content of a map or of the boot page."""
    kind = int(map_kind(np.array([page_id]))[0])
    page[1] = kind
    if kind == 11:
        start = page_id // PFS_EVERY * PFS_EVERY
        used = allocated_pages(recipe, np.arange(start, start + PFS_EVERY))
        page[100 : 100 + PFS_EVERY] = np.where(used, 0x44, 0)
    elif kind in (8, 16):
        first = page_id // GAM_EVERY * (GAM_EVERY // 8)
        extents = np.arange(first, first + GAM_EVERY // 8)
        stored = np.isin(extents, recipe.extents())
        allocated = stored if recipe.letter == "D" else extents < recipe.extent_count
        stored |= np.isin(extents, recipe.only_in_map)
        allocated |= np.isin(extents, recipe.only_in_map)
        bits = ~allocated if kind == 8 else stored
        page[194 : 194 + GAM_EVERY // 64] = np.packbits(bits, bitorder="little")
    elif kind == 13:
        name = recipe.name.ljust(128).encode("utf-16-le")
        page[100:102] = np.frombuffer(struct.pack("<H", VERSION), np.uint8)
        page[148 : 148 + len(name)] = np.frombuffer(name, np.uint8)


def seal(recipe: Recipe, page: np.ndarray) -> None:
    """Write a page's checksum anew, or its torn-page bits."""
    if recipe.protection == "checksum":
        page[60:64] = 0
        value = struct.pack("<I", fold_of(sector_sums(page)))
        page[60:64] = np.frombuffer(value, np.uint8)
    elif recipe.protection == "torn":
        # The last two bits of sectors 1 to 15 give way to a pattern and are kept in the header.
        moved = sum(int(byte & 3) << 2 * index for index, byte in enumerate(page[1023::SECTOR], 1))
        page[60:64] = np.frombuffer(struct.pack("<I", moved | 2), np.uint8)
        page[1023::SECTOR] = (page[1023::SECTOR] & 0xFC) | 2


def allocated_pages(recipe: Recipe, ids: np.ndarray) -> np.ndarray:
    """Return which pages the database uses: all of its extents but the last few pages of some."""
    extents = ids // 8
    every = recipe.every_extent if recipe.letter == "D" else 1
    used = (extents % every == 0) | (extents % (PFS_EVERY // 8) == 0)
    used |= np.isin(extents, recipe.only_in_map) | (extents < 2) | (extents % (GAM_EVERY // 8) == 0)
    ordinary = (extents > 1) & (extents % (PFS_EVERY // 8) > 0) & (extents % (GAM_EVERY // 8) > 0)
    used &= ~(ordinary & (ids % 8 >= 8 - recipe.empty_pages))
    return used & (extents < recipe.extent_count)


def log_blocks(recipe: Recipe, sequence: int, number: int) -> bytes:
    """Return log blocks of several sizes that follow each other."""
    rng = np.random.default_rng(PATTERN_SEED + 1)
    content = bytearray()
    for index in range(recipe.log_blocks):
        size = SECTOR * (1, 2, 7, 120, 3)[index % 5]
        block = bytearray(rng.integers(0, recipe.byte_values, size, dtype=np.uint8).tobytes())
        block[::SECTOR] = b"\x40" * (size // SECTOR)
        struct.pack_into("<BBHHH", block, 0, 0x50, 0, 3, size - 8, size)
        struct.pack_into("<HHIIHHI", block, 8, 0, 0, sequence, number, 72, 0, 0)
        if recipe.protection == "checksum":
            value = fold_of(sector_sums(np.frombuffer(block, np.uint8)))
            struct.pack_into("<I", block, 24, value)
        content += block
        number += size // SECTOR
    return bytes(content)


def configuration(recipe: Recipe, size: int, *, last: bool) -> bytes:
    """Return the configuration stream: one SCIN, one SFGI, two SFIN."""
    log = len(log_blocks(recipe, 40, FIRST_LSN[1]))
    stored = len(recipe.extents()) * 8
    if last and recipe.again:
        stored = len(recipe.again) * 8
    data_file = file_record(recipe, FILE_ID, 1, stored, stored * PAGE, recipe.database_bytes)
    saved = log if last else 0
    log_file = file_record(recipe, LOG_ID, 2, saved // PAGE, saved, 4 << 20)
    group = record(b"SFGI", 224, {12: struct.pack("<I", 1)}, {16: "PRIMARY"})
    return set_record(recipe, size, log, last=last) + group + data_file + log_file


def set_record(recipe: Recipe, size: int, log: int, *, last: bool) -> bytes:
    """Return SCIN."""
    first = struct.pack("<IIH", *FIRST_LSN)
    ends = struct.pack("<IIH", 40, FIRST_LSN[1] + log // SECTOR, 1)
    flags = 512 | 16 * recipe.checksum | 2048 * (recipe.letter == "I") | 32 * recipe.damaged
    fields = {
        8: struct.pack("<III", flags, 1, 1),
        24: struct.pack("<HBB", 4123, 0, 15),
        32: first + ends + first + (bytes(10) if recipe.letter == "D" else first),
        72: START + START + (FINISH if last else bytes(5)) + recipe.letter.encode(),
        88: bytes([52, 1, 0, 150]) + struct.pack("<HHQ", 5, VERSION, size),
        116: struct.pack("<II", 1033, 196_609) + UUID(int=0x3333).bytes_le,
        144: ends,
        156: UUID(int=0x4444).bytes_le,
        224: UUID(int=0x5555).bytes_le,
        244: struct.pack("<IIIH", recipe.status, *recipe.chain_lsn),
        260: first if recipe.letter == "I" else bytes(10),
        272: recipe.base_guid.bytes_le,
        344: struct.pack("<Q", size),
    }
    return record(b"SCIN", 400, fields, {104: recipe.name, 108: recipe.server})


def file_record(
    recipe: Recipe, file_id: int, kind: int, stored: int, stored_bytes: int, size: int
) -> bytes:
    """Return SFIN."""
    fields = {
        16: struct.pack("<IIIIIIQ", PAGE, file_id, stored, kind, 4096, int(kind == 1), size),
        86: struct.pack("<Q", FILE_BYTES_MAX),
        158: struct.pack("<IIHH", *BASE_LSN, 0) + recipe.base_guid.bytes_le,
        186: UUID(int=0x6666 + file_id).bytes_le,
        250: struct.pack("<Q", stored_bytes),
    }
    suffix = ".mdf" if kind == 1 else "_log.ldf"
    names = {48: recipe.name + suffix[:-4], 52: f"D:\\DATA\\{recipe.name}{suffix}"}
    return record(b"SFIN", 270, fields, names)


def record(tag: bytes, fixed: int, fields: dict[int, bytes], texts: dict[int, str]) -> bytes:
    """Return a record: its tag, its length, its fields, its texts behind them."""
    content = bytearray(fixed)
    for offset, value in fields.items():
        content[offset : offset + len(value)] = value
    for offset, text in texts.items():
        stored = text.encode("utf-16-le")
        struct.pack_into("<HH", content, offset, len(stored), len(content))
        content += stored
    struct.pack_into("<4sI", content, 0, tag, len(content))
    return bytes(content)
