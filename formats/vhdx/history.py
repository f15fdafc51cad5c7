"""What an empty log still remembers: the newest updates, against what stands in their place.

The log is never wiped, a session begins at its start (seen: Windows 10, Hyper-V 10.0, QEMU 7.2;
not required), and every change of metadata passes through it ([MS-VHDX] 2.3). So it holds second
copies, with a CRC-32C, of a table that has no checksum of its own. What they are worth depends on
how far old entries can be told from new ones:

* Windows has one GUID per session: the last update of a sector is what must stand in its place.
* QEMU takes a new GUID for each entry and begins to count anew, so older entries may follow. But
  it never moves or frees a block: what was in the table once is there for ever.

A difference may be damage, or the work of a program that writes past the log.
"""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.vhdx.bat import ENTRY_BYTES, FULLY_PRESENT, STATE_MASK
from formats.vhdx.log import (
    SECTOR_BYTES,
    LogPlace,
    is_plausible,
    joined,
    positions,
    read_entry,
    read_ring,
)
from formats.vhdx.regions import Region
from formats.vhdx.structures import MEBIBYTE, LogEntryHeader, MetadataTableHeader

Logged: TypeAlias = tuple[LogEntryHeader, dict[int, bytes]]
"""An entry's header, and the sectors it updates by their place."""

HISTORY_BYTES_MAX = 4 * MEBIBYTE
"""Longer logs are not looked into: each sector they remember is read from its place."""

DISPUTED = np.uint64(1)
"""Stands for no block: blocks that are present have a state of 6 or 7."""

METADATA_HEAD_BYTES = MetadataTableHeader.size
"""Vouched for by checks of its own."""


def check_history(
    source: Source,
    log: LogPlace,
    bat: Region | None,
    metadata: Region | None,
    findings: Findings,
) -> None:
    """Compare sectors of table and metadata with their newest update in the log."""
    if log.length > HISTORY_BYTES_MAX or log.offset + log.length > source.size:
        return
    entries = newest_entries(source, log)
    updates: dict[int, bytes] = {}
    if is_one_session(entries, source, log):
        updates = last_updates(entries)
    elif bat is not None and is_by_qemu(entries):
        updates, metadata = merged_tables(entries, bat), None
    before = len(findings.rows)
    checked = vouched = 0
    for offset in sorted(updates):
        if offset + SECTOR_BYTES > source.size:
            continue
        for region, compare in ((bat, compare_table), (metadata, compare_metadata)):
            if region is not None and region.offset <= offset < region.end:
                stored = source.read_at(offset, SECTOR_BYTES)
                vouched += compare(updates[offset], stored, offset, region, findings)
                checked += 1
    if checked and len(findings.rows) == before:
        findings.matched(
            "vhdx.log.history", log.offset, log.length, count=checked, vouched_bytes=vouched
        )


def newest_entries(source: Source, log: LogPlace) -> list[Logged]:
    """Return entries from the log's start on, as long as one follows the other."""
    entries: list[Logged] = []
    position = 0
    while position < log.length:
        header = LogEntryHeader.parse(read_ring(source, log, position, LogEntryHeader.size))
        parts = read_entry(source, log, position, header) if is_plausible(header, log) else None
        if parts is None or (entries and not follows(header, entries[-1][0])):
            break
        descriptors, sectors = parts
        if (descriptors["signature"] != b"desc").any():
            # Seen: no zero descriptors. What they do to earlier updates is not followed.
            return []
        offsets = descriptors["file_offset"].tolist()
        pairs = zip(descriptors, sectors, strict=True)
        contents = [joined(descriptor, sector) for descriptor, sector in pairs]
        entries.append((header, dict(zip(offsets, contents, strict=True))))
        position += header.entry_length
    return entries


def follows(header: LogEntryHeader, earlier: LogEntryHeader) -> bool:
    """Whether an entry was written next."""
    return header.sequence_number == earlier.sequence_number + 1


def is_one_session(entries: list[Logged], source: Source, log: LogPlace) -> bool:
    """Whether all entries have one GUID, and no later entry of it is left in the log.

    Where the run of entries ends early, because one of them is damaged, the last of the run is
    not the newest.
    """
    if not entries:
        return False
    last = entries[-1][0]
    if any(header.log_guid != last.log_guid for header, _ in entries):
        return False
    for position in positions(source, replace(log, guid=last.log_guid)):
        header = LogEntryHeader.parse(read_ring(source, log, position, LogEntryHeader.size))
        if header.sequence_number > last.sequence_number:
            return False
    return True


def last_updates(entries: list[Logged]) -> dict[int, bytes]:
    """Return the last update of each sector, by its place."""
    return {offset: sector for _, updates in entries for offset, sector in updates.items()}


def is_by_qemu(entries: list[Logged]) -> bool:
    """Whether each entry has a GUID of its own and is a sequence by itself, as QEMU writes them."""
    guids = {header.log_guid for header, _ in entries}
    position = 0
    for header, _ in entries:
        if header.tail != position:
            return False
        position += header.entry_length
    return len(guids) == len(entries) > 1


def merged_tables(entries: list[Logged], bat: Region) -> dict[int, bytes]:
    """Return sectors of the table with every block that any entry knows, others as zeros."""
    merged: dict[int, npt.NDArray[np.uint64]] = {}
    for _, updates in entries:
        for offset, sector in updates.items():
            if bat.offset <= offset < bat.end:
                then = np.frombuffer(sector, "<u8")
                known = merged.setdefault(offset, np.zeros(len(then), np.uint64))
                present = (then & STATE_MASK) >= FULLY_PRESENT
                # An entry that had two values does not tell which is right.
                known[present] = np.where((known == 0) | (known == then), then, DISPUTED)[present]
    return {
        offset: np.where(known == DISPUTED, 0, known).astype("<u8").tobytes()
        for offset, known in merged.items()
    }


def compare_table(
    logged: bytes, stored: bytes, offset: int, _region: Region, findings: Findings
) -> int:
    """Report entries of stored blocks that changed; return how many bytes could not have."""
    then, now = np.frombuffer(logged, "<u8"), np.frombuffer(stored, "<u8")
    present = (then & STATE_MASK) >= FULLY_PRESENT
    row = Evidence(
        "vhdx.log.history",
        Outcome.MISMATCHED,
        None,
        ENTRY_BYTES,
        "the entry last logged",
        bearing=Bearing.DOUBTFUL,
    )
    changed = np.flatnonzero(present & (then != now))
    findings.add_each(
        row,
        offset + changed * ENTRY_BYTES,
        lambda which: f"0x{int(now[changed[which]]):016x}",
    )
    return int(np.count_nonzero(present)) * ENTRY_BYTES


def compare_metadata(
    logged: bytes, stored: bytes, offset: int, region: Region, findings: Findings
) -> int:
    """Report a sector of metadata that changed; return how many bytes could not have."""
    changed = np.flatnonzero(np.frombuffer(logged, np.uint8) != np.frombuffer(stored, np.uint8))
    if len(changed):
        findings.add(
            Evidence(
                "vhdx.log.history",
                Outcome.MISMATCHED,
                offset + int(changed[0]),
                int(changed[-1] - changed[0]) + 1,
                "the sector last logged",
                f"{len(changed)} other bytes",
                Bearing.DOUBTFUL,
            )
        )
    return SECTOR_BYTES - (METADATA_HEAD_BYTES if offset == region.offset else 0)
