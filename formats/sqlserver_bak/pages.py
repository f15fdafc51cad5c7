"""Look at data pages as they pass: protection, identity, allocation maps.

A page can be judged only by the database's own maps, and those are pages too, anywhere in the
stream. So nothing is called damaged here: each run of equal extents becomes one row of a table,
each map one row of another, and `formats.sqlserver_bak.judge_pages` reads them together.

One extent is eight pages. Page k of extent e is page 8 * e + k of its file (seen in every
allocated page of SQL Server 2005 to 2025), and the page's own header says which: the backup
stream has no other map.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from formats.core.checksums import sector_xors
from formats.core.model import Columns, KernelResult

PAGE_BYTES = 8192
EXTENT_PAGES = 8
EXTENT_BYTES = PAGE_BYTES * EXTENT_PAGES
SECTOR_BYTES = 512
PAGE_SECTORS = PAGE_BYTES // SECTOR_BYTES

# Paul Randal, "Anatomy of a page": m_headerVersion 0, m_type 1, m_flagBits 4, m_pageId 32 and 36,
# m_lsn 40, m_tornBits 60.
HEADER_WORDS = 16
FLAG_TORN = 0x100
FLAG_CHECKSUM = 0x200
# Seen on pages of databases with transparent data encryption; the header stays readable.
FLAG_CIPHERED = 0x800

TYPE_GAM = 8
TYPE_PFS = 11
TYPE_BOOT = 13
TYPE_DCM = 16

# Pages covered by one map page (Paul Randal, "Inside the Storage Engine: GAM, SGAM, PFS"; a map
# of the second interval and later ones is assumed to stand at the same place in its interval).
PFS_PAGES = 8088
GAM_PAGES = 511_232
PFS_EXTENTS = PFS_PAGES // EXTENT_PAGES
GAM_EXTENTS = GAM_PAGES // EXTENT_PAGES
PFS_BYTES_OFFSET = 100
PFS_ALLOCATED = 0x40
BITS_OFFSET = 194
BITS_BYTES = GAM_EXTENTS // 8
PFS_FIRST_PAGE = 1
GAM_FIRST_PAGE = 2
DCM_FIRST_PAGE = 6
BOOT_PAGE = 9
BOOT_VERSION_OFFSET = 100
BOOT_NAME_OFFSET = 148
BOOT_NAME_BYTES = 256

# What one page is, in four bits; eight of them make an extent's `states`, page 0 lowest. A ciphered
# page is one whose checksum holds as stored, does not, or is not there.
GOOD = 0
PLAIN = 1
TORN_GOOD = 2
CIPHERED = 3
CIPHERED_GOOD = 4
BAD_SUM = 5
TORN_BAD = 6
ZERO = 7
ALIEN = 8
CIPHERED_SUM = 9
BEYOND = 15
STATES = 16

RUN_FIELDS = (
    ("offset", "<u8"),
    ("count", "<u4"),
    ("extent", "<u4"),
    ("states", "<u4"),
    ("file", "<u2"),
    ("step", "<u2"),
)
RUNS = np.dtype([*RUN_FIELDS])
"""Extents of one file that follow each other with their pages in equal states; file 0 = not
identified. ``step`` is how far their numbers lie apart: 1, or more where stripes take turns."""

LSN_FIELDS = (("lsn_sequence", "<u4"), ("lsn_block", "<u4"), ("lsn_slot", "<u2"))
PFS_ROWS = np.dtype(
    [
        ("offset", "<u8"),
        ("file", "<u2"),
        ("interval", "<u4"),
        *LSN_FIELDS,
        ("allocated", "u1", (PFS_EXTENTS,)),
    ]
)
"""Which pages are allocated: one byte an extent, page 0 lowest."""

BITMAP_ROWS = np.dtype(
    [
        ("offset", "<u8"),
        ("file", "<u2"),
        ("interval", "<u4"),
        ("kind", "u1"),
        *LSN_FIELDS,
        ("bits", "u1", (BITS_BYTES,)),
    ]
)
"""One bit an extent, lowest first: GAM 0 = allocated, DCM 1 = changed since the last full."""

BOOT_ROWS = np.dtype(
    [("offset", "<u8"), ("file", "<u2"), ("version", "<u2"), ("name", "u1", (BOOT_NAME_BYTES,))]
)
FOLD_ROWS = np.dtype([("offset", "<u8"), ("sectors", "<u4"), ("fold", "<u4")])
"""The rotating XOR over some sectors; folds of neighbours join to the stream's CSUM."""

PAGE_TABLES: Mapping[str, np.dtype[np.void]] = {
    "runs": RUNS,
    "pfs": PFS_ROWS,
    "bitmaps": BITMAP_ROWS,
    "boot": BOOT_ROWS,
    "page_folds": FOLD_ROWS,
}

ROTATIONS = np.arange(PAGE_SECTORS - 1, -1, -1, dtype=np.uint32)
ROTATIONS_BACK = (np.uint32(32) - ROTATIONS) & np.uint32(31)
STATE_SHIFTS = np.arange(EXTENT_PAGES, dtype=np.uint32) * np.uint32(4)
GOOD_WEIGHT = EXTENT_PAGES + 1
"""One page whose checksum holds outvotes seven that merely look like pages."""

WordColumns = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


class Seen(NamedTuple):
    """What a window's pages say of themselves, one element a page."""

    pages: npt.NDArray[np.uint8]
    words: WordColumns
    folds: WordColumns
    intact: Mask


def examine_pages(
    stripes: int, elements: npt.NDArray[np.uint8], offset: int, origin: int
) -> KernelResult:
    """Tabulate whole extents at ``offset``; a short last one counts its whole pages.

    Where a set is written to several ``stripes`` at once, each was seen to hold every so many-th
    extent.
    """
    del origin
    page_count = len(elements) // PAGE_BYTES
    if not page_count:
        return KernelResult()
    seen = look(elements[: page_count * PAGE_BYTES])
    identity, aligned = identify(seen.words)
    base = extent_bases(identity, aligned, seen.intact)
    right = (identity == np.repeat(base, EXTENT_PAGES)[:page_count]) & aligned
    states = page_states(seen, right)
    tally = {
        "runs": runs_of(base, states, offset, stripes),
        "page_folds": fold_row(seen.folds, offset),
    }
    tally.update(maps_of(seen, right & usable(states), offset))
    return KernelResult(tally=tally)


def look(elements: npt.NDArray[np.uint8]) -> Seen:
    """Fold every page's sectors and compare with the checksum in its header."""
    pages = elements.reshape(-1, PAGE_BYTES)
    words = pages[:, : HEADER_WORDS * 4].copy().view("<u4")
    sums = sector_xors(elements).reshape(-1, PAGE_SECTORS)
    # Rotated in place by constants: `rotate_left` would build the same two arrays each time.
    turned = np.left_shift(sums, ROTATIONS)
    turned |= np.right_shift(sums, ROTATIONS_BACK)
    folds = np.bitwise_xor.reduce(turned, axis=1)
    stored = words[:, 15]
    # The field counts as zero in its own checksum: take its share out of the fold again.
    computed = folds ^ turn(stored, PAGE_SECTORS - 1)
    intact = (computed == stored) & ((words[:, 1] & FLAG_CHECKSUM) != 0)
    return Seen(pages, words, folds, intact)


def turn(values: WordColumns, by: int) -> WordColumns:
    """Rotate every value left by the same count, 1 to 31."""
    return (values << np.uint32(by)) | (values >> np.uint32(32 - by))


def identify(words: WordColumns) -> tuple[npt.NDArray[np.uint64], Mask]:
    """Return the first page of the extent each page claims, and whether it can be a page at all.

    The claim is the file id above 32 bits of page id.
    """
    place = np.arange(len(words), dtype=np.uint32) & np.uint32(EXTENT_PAGES - 1)
    page_id = words[:, 8]
    file_id = words[:, 9] & np.uint32(0xFFFF)
    aligned = (page_id & np.uint32(EXTENT_PAGES - 1)) == place
    aligned &= (words[:, 0] & np.uint32(0xFF)) == 1
    aligned &= file_id != 0
    first_id = page_id - place
    return (file_id.astype(np.uint64) << np.uint64(32)) | first_id, aligned


def extent_bases(
    identity: npt.NDArray[np.uint64], aligned: Mask, intact: Mask
) -> npt.NDArray[np.uint64]:
    """Return file and first page of each extent as most of its pages claim; 0 where none does."""
    missing = -len(identity) % EXTENT_PAGES
    claims = np.pad(identity, (0, missing)) if missing else identity
    claims = claims.reshape(-1, EXTENT_PAGES)
    weights = np.where(aligned, np.where(intact, GOOD_WEIGHT, 1), 0).astype(np.uint8)
    weights = (np.pad(weights, (0, missing)) if missing else weights).reshape(-1, EXTENT_PAGES)
    bases = np.where(weights[:, 0] > 0, claims[:, 0], np.uint64(0))
    split = np.flatnonzero(((claims != claims[:, :1]) | (weights == 0)).any(axis=1))
    if len(split):
        bases[split] = majority(claims[split], weights[split])
    return bases


def majority(
    claims: npt.NDArray[np.uint64], weights: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint64]:
    """Return the claim with the most weight in each row, 0 where no page has any."""
    votes = np.zeros(claims.shape, np.uint32)
    for place in range(EXTENT_PAGES):
        same = claims == claims[:, place : place + 1]
        votes[:, place] = (weights * same).sum(axis=1, dtype=np.uint32)
    votes[weights == 0] = 0
    rows = np.arange(len(claims))
    best = votes.argmax(axis=1)
    return np.where(votes[rows, best] > 0, claims[rows, best], np.uint64(0))


def page_states(seen: Seen, right: Mask) -> npt.NDArray[np.uint8]:
    """Return the state of each page."""
    states = np.zeros(len(right), np.uint8)
    ciphered = (seen.words[:, 1] & FLAG_CIPHERED) != 0
    rest = np.flatnonzero(~(right & seen.intact) | ciphered)
    if len(rest):
        states[rest] = rare_states(seen, right, rest)
    return states


def rare_states(seen: Seen, right: Mask, rest: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the states of the pages ``rest``, those that are not simply intact."""
    words, flags = seen.words[rest], seen.words[rest, 1]
    intact, torn = seen.intact[rest], (flags & FLAG_TORN) != 0
    summed, ciphered = (flags & FLAG_CHECKSUM) != 0, (flags & FLAG_CIPHERED) != 0
    states = np.full(len(rest), PLAIN, np.uint8)
    # A checksum that would hold with one flag the other way says that this flag was flipped.
    gap = seen.folds[rest] ^ turn(words[:, 15], PAGE_SECTORS - 1) ^ words[:, 15]
    states[~summed & ~torn & (gap == flag_share(FLAG_CHECKSUM)) & (words[:, 15] != 0)] = BAD_SUM
    states[torn] = TORN_BAD
    states[torn & torn_bits_hold(seen.pages[rest], words[:, 15])] = TORN_GOOD
    states[summed] = BAD_SUM
    states[ciphered] = CIPHERED
    states[ciphered & summed] = CIPHERED_SUM
    states[ciphered & summed & (gap == flag_share(FLAG_CIPHERED))] = BAD_SUM
    states[intact] = GOOD
    states[intact & ciphered] = CIPHERED_GOOD
    wrong = np.flatnonzero(~right[rest])
    states[wrong] = ALIEN
    states[wrong[~seen.pages[rest[wrong]].any(axis=1)]] = ZERO
    return states


def flag_share(flag: int) -> np.uint32:
    """Return what one flag bit contributes to a page's checksum: word 1 of its first sector."""
    bits = np.array([flag], np.uint32)
    return np.uint32(turn(bits, PAGE_SECTORS - 1)[0])


def torn_bits_hold(pages: npt.NDArray[np.uint8], stored: WordColumns) -> Mask:
    """Whether every later sector ends with the two bits that the header gives for all of them.

    Seen in databases with PAGE_VERIFY TORN_PAGE_DETECTION, SQL Server 2008 R2.
    """
    ends = pages.reshape(len(pages), PAGE_SECTORS, -1)[:, 1:, -1] & 3
    same: Mask = (ends == (stored & np.uint32(3)).astype(np.uint8)[:, None]).all(axis=1)
    return same


def usable(states: npt.NDArray[np.uint8]) -> Mask:
    """Whether a page's content may be read: not known to be wrong, not encrypted."""
    return states <= TORN_GOOD


def runs_of(
    bases: npt.NDArray[np.uint64], states: npt.NDArray[np.uint8], offset: int, stripes: int
) -> Columns:
    """Return one row for each run of extents that follow each other in equal states."""
    short = -len(states) % EXTENT_PAGES
    padded = np.pad(states, (0, short), constant_values=BEYOND) if short else states
    packed = np.bitwise_or.reduce(
        padded.reshape(-1, EXTENT_PAGES).astype(np.uint32) << STATE_SHIFTS, axis=1
    )
    tried = [breaks_of(bases, packed, step) for step in sorted({1, stripes})]
    breaks = min(tried, key=len)
    step = 1 if breaks is tried[0] else stripes
    starts = np.concatenate(([0], breaks))
    rows = np.zeros(len(starts), RUNS)
    rows["offset"] = offset + starts * EXTENT_BYTES
    rows["count"] = np.diff(np.append(starts, len(bases)))
    rows["states"] = packed[starts]
    rows["file"] = bases[starts] >> np.uint64(32)
    rows["extent"] = (bases[starts] & np.uint64(0xFFFFFFFF)) // EXTENT_PAGES
    rows["step"] = step
    return rows


def breaks_of(
    bases: npt.NDArray[np.uint64], packed: WordColumns, step: int
) -> npt.NDArray[np.int64]:
    """Return where an extent does not follow the one before it by ``step``."""
    steps = np.where(bases[1:] > 0, np.uint64(EXTENT_PAGES * step), np.uint64(0))
    return np.flatnonzero((bases[1:] != bases[:-1] + steps) | (packed[1:] != packed[:-1])) + 1


def fold_row(folds: WordColumns, offset: int) -> Columns:
    """Join the folds of all pages into one row.

    A page is 16 sectors, so seen from the end every second page is turned by 16 bits.
    """
    backwards = folds[::-1]
    even = np.bitwise_xor.reduce(backwards[0::2])
    odd = np.bitwise_xor.reduce(backwards[1::2]) if len(folds) > 1 else np.uint32(0)
    fold = int(even) ^ int(turn(np.array([odd], np.uint32), 16)[0])
    return np.array([(offset, len(folds) * PAGE_SECTORS, fold)], FOLD_ROWS)


def maps_of(seen: Seen, readable: Mask, offset: int) -> dict[str, Columns]:
    """Return the rows of allocation maps and boot pages among the pages."""
    kinds = (seen.words[:, 0] >> np.uint32(8)) & np.uint32(0xFF)
    found = np.flatnonzero(
        readable
        & ((kinds == TYPE_PFS) | (kinds == TYPE_GAM) | (kinds == TYPE_DCM) | (kinds == TYPE_BOOT))
    )
    tables: dict[str, list[tuple[object, ...]]] = {"pfs": [], "bitmaps": [], "boot": []}
    for index in found:
        page = restored(seen.pages[index], seen.words[index])
        add_map(tables, page, seen.words[index], offset + int(index) * PAGE_BYTES)
    return {name: np.array(rows, PAGE_TABLES[name]) for name, rows in tables.items() if rows}


def restored(page: npt.NDArray[np.uint8], words: WordColumns) -> npt.NDArray[np.uint8]:
    """Return a page with the bits put back that torn-page detection has moved.

    Seen in SQL Server 2005 and 2019: the last two bits of sector i stand in bits 2i and 2i + 1 of
    the word whose lowest two bits took their place.
    """
    if not words[1] & FLAG_TORN or words[1] & FLAG_CHECKSUM:
        return page
    moved = (words[15] >> np.arange(2, 2 * PAGE_SECTORS, 2, dtype=np.uint32)) & np.uint32(3)
    whole = page.copy()
    ends = slice(2 * SECTOR_BYTES - 1, None, SECTOR_BYTES)
    whole[ends] = (whole[ends] & 0xFC) | moved.astype(np.uint8)
    return whole


def add_map(
    tables: dict[str, list[tuple[object, ...]]],
    page: npt.NDArray[np.uint8],
    words: WordColumns,
    offset: int,
) -> None:
    """Add the row of one page, if it stands where a map of its type belongs."""
    kind, page_id, file_id = int(words[0]) >> 8 & 0xFF, int(words[8]), int(words[9]) & 0xFFFF
    lsn = (int(words[10]), int(words[11]), int(words[12]) & 0xFFFF)
    if kind == TYPE_PFS and (page_id == PFS_FIRST_PAGE or (page_id and not page_id % PFS_PAGES)):
        used = page[PFS_BYTES_OFFSET : PFS_BYTES_OFFSET + PFS_PAGES] & PFS_ALLOCATED
        bits = np.packbits(used != 0, bitorder="little")
        tables["pfs"].append((offset, file_id, page_id // PFS_PAGES, *lsn, bits))
    elif is_bitmap_place(kind, page_id):
        bits = page[BITS_OFFSET : BITS_OFFSET + BITS_BYTES]
        tables["bitmaps"].append((offset, file_id, page_id // GAM_PAGES, kind, *lsn, bits))
    elif kind == TYPE_BOOT and page_id == BOOT_PAGE and file_id == 1:
        version = int.from_bytes(page[BOOT_VERSION_OFFSET : BOOT_VERSION_OFFSET + 2], "little")
        name = page[BOOT_NAME_OFFSET : BOOT_NAME_OFFSET + BOOT_NAME_BYTES]
        tables["boot"].append((offset, file_id, version, name))


def is_bitmap_place(kind: int, page_id: int) -> bool:
    """Whether a GAM or DCM page belongs at ``page_id``.

    Documented: GAM pages are 2, 511232, 1022464 ...; DCM pages are 6, 511238, 1022470 ...
    """
    place = page_id % GAM_PAGES
    if kind == TYPE_GAM:
        return page_id == GAM_FIRST_PAGE or (page_id > 0 and place == 0)
    return kind == TYPE_DCM and place == DCM_FIRST_PAGE
