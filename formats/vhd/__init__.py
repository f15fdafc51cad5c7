"""Virtual Hard Disk (VHD) of Virtual PC, Virtual Server, Hyper-V, Windows, VirtualBox and QEMU.

A *fixed* disk is its sectors with a footer behind them. A disk that grows, and a *differencing*
one, has a copy of the footer in front, a header, a table of blocks, and blocks of a sector bitmap
and data each. Footers and header have a checksum, the table and the data have none.

`needed_bytes` of a disk that grows ends with the last stored byte that belongs to the disk: the
footer at the end can be made again from its copy, so a file that lost only that has lost nothing.
"""

from collections.abc import Iterator, Sequence
from types import MappingProxyType

import numpy as np

from formats.core.errors import FormatError
from formats.core.findings import Findings
from formats.core.model import (
    Bearing,
    Evidence,
    ExtentBatch,
    Format,
    Identity,
    Inspection,
    Kind,
    Neighbours,
    Outcome,
    ParentRef,
    Payload,
    Source,
    WriteModel,
    no_conclusion,
)
from formats.vhd.blocks import (
    OPEN_END,
    Extent,
    Geometry,
    Ranges,
    block_batches,
    check_gaps,
    check_limit,
    check_places,
    measure,
    read_table,
)
from formats.vhd.footers import (
    FooterCopy,
    Footers,
    check_footers,
    check_kind,
    check_missing_last,
    find_footers,
    probe,
)
from formats.vhd.header import check_shape, locators, parent_of, read_header
from formats.vhd.structures import (
    SECTOR_BYTES,
    TYPE_DIFFERENCING,
    TYPE_FIXED,
    DynamicHeader,
    Footer,
    moment,
    printable,
    uuid_text,
)

__all__ = ["FORMAT"]

TYPE_NAMES = MappingProxyType({2: "fixed", 3: "dynamic", 4: "differencing"})


def inspect(source: Source, _neighbours: Neighbours) -> tuple[Inspection, ...]:
    """Return the one disk of the file."""
    footers = find_footers(source)
    if footers is None:
        raise FormatError(
            "vhd.footer.present",
            offset=max(source.size - Footer.size, 0),
            length=Footer.size,
            expected="a footer",
            actual="none at either end",
        )
    findings = Findings()
    check_footers(footers, findings)
    facts = footer_facts(footers.chosen.fields)
    if not check_kind(footers.chosen, findings):
        return (described(footers.chosen, facts, findings),)
    if footers.chosen.fields.disk_type == TYPE_FIXED:
        return (inspect_fixed(source, footers, facts, findings),)
    return (inspect_growing(source, footers, facts, findings),)


def inspect_fixed(
    source: Source, footers: Footers, facts: dict[str, object], findings: Findings
) -> Inspection:
    """Judge a disk that is stored sector by sector."""
    footer = footers.chosen
    disk_bytes = footer.fields.current_size
    needed = disk_bytes + len(footer.stored)
    check_missing_last(footers, source.size, needed, findings)
    findings.reaches("vhd.file.needed", source.size, needed)
    if source.size > needed:
        # [VHD] "Fixed Hard Disk Image": file = disk + footer. What is too much may be harmless
        # filling before the footer, or sectors that were inserted and shift all that follow.
        findings.add(
            Evidence(
                "vhd.file.size",
                Outcome.MISMATCHED,
                disk_bytes,
                source.size - needed,
                f"{needed} bytes",
                f"{source.size} bytes",
                Bearing.DOUBTFUL,
            )
        )
    return described(footer, facts, findings, payload=disk_bytes, needed=needed, state=disk_bytes)


def inspect_growing(
    source: Source, footers: Footers, facts: dict[str, object], findings: Findings
) -> Inspection:
    """Judge a dynamic or differencing disk: its header, its parent, its map."""
    footer = footers.chosen
    differencing = footer.fields.disk_type == TYPE_DIFFERENCING
    offset = footer.fields.data_offset
    header = read_header(source, offset, findings)
    if header is None:
        check_missing_last(footers, source.size, None, findings)
        return described(footer, facts, findings)
    facts.update(header_facts(header))
    parents: tuple[ParentRef, ...] = ()
    if differencing:
        parent, parent_facts = parent_of(source, header, offset, findings)
        parents, facts = (parent,), {**facts, **parent_facts}
    if not check_shape(header, offset, footer.fields.current_size, findings):
        check_missing_last(footers, source.size, None, findings)
        return described(footer, facts, findings, parents=parents)
    geometry = Geometry(
        header.table_offset, header.max_table_entries, header.block_size, footer.fields.current_size
    )
    extent = judge_map(source, footers, header, geometry, findings)
    facts["blocks_allocated"] = extent.block_count
    return described(
        footer,
        facts,
        findings,
        parents=parents,
        payload=extent.payload,
        needed=extent.needed,
        state=geometry,
    )


def judge_map(
    source: Source,
    footers: Footers,
    header: DynamicHeader,
    geometry: Geometry,
    findings: Findings,
) -> Extent:
    """Check where blocks lie, and that the file holds all of them."""
    check_limit(geometry, findings)
    allocation = read_table(source, geometry)
    taken = ranges_taken(footers, geometry)
    paths = ranges_of_locators(source, header, space=False)
    check_places(allocation, geometry, [*taken, *paths], findings)
    paths = ranges_of_locators(source, header, space=True)
    check_gaps(source, allocation, geometry, [*taken, *paths], findings)
    extent = measure(allocation, geometry, source.size)
    size = source.size
    findings.reaches("vhd.file.needed", size, extent.needed, count=extent.beyond_count)
    if size >= extent.needed:
        # What lies behind the disk's end in its last block is nobody's.
        findings.reaches("vhd.file.allocated", size, extent.allocated, bearing=Bearing.REDUNDANT)
    check_missing_last(footers, source.size, extent.allocated, findings)
    return extent


def ranges_taken(footers: Footers, geometry: Geometry) -> Ranges:
    """Return what no block may touch: footers, header and table."""
    offset = footers.chosen.fields.data_offset
    table_bytes = -(-geometry.entry_count * 4 // SECTOR_BYTES) * SECTOR_BYTES
    taken = [
        (0, Footer.size),
        (offset, offset + DynamicHeader.size),
        # [VHD] "BAT and Data Blocks": the table is padded to a sector.
        (geometry.table_offset, geometry.table_offset + table_bytes),
    ]
    if footers.end is not None:
        taken.append((footers.end, OPEN_END))
    return taken


def ranges_of_locators(source: Source, header: DynamicHeader, *, space: bool) -> Ranges:
    """Return where locators are, with the ``space`` set aside for them or without."""
    ranges: Ranges = []
    for _, locator in locators(header):
        start = locator.platform_data_offset
        length = locator.platform_data_length
        if space:
            length = max(length, locator.space_bytes)
        if start + length <= source.size:
            ranges.append((start, start + length))
    return ranges


def described(
    footer: FooterCopy,
    facts: dict[str, object],
    findings: Findings,
    *,
    parents: tuple[ParentRef, ...] = (),
    payload: int | None = None,
    needed: int | None = None,
    state: object = None,
) -> Inspection:
    """Return what is known, for a disk of any kind."""
    fields = footer.fields
    unique_id = uuid_text(fields.unique_id)
    return Inspection(
        kind=Kind.INCREMENTAL if fields.disk_type == TYPE_DIFFERENCING else Kind.FULL,
        identities=(Identity("vhd.uuid", unique_id),) if unique_id else (),
        parents=parents,
        created_at=moment(fields.time_stamp),
        source_bytes=fields.current_size,
        payload_bytes=payload,
        needed_bytes=needed,
        facts=facts,
        evidence=findings.rows,
        state=state,
    )


def footer_facts(fields: Footer) -> dict[str, object]:
    """Return the footer's fields under the specification's names."""
    cylinders = int.from_bytes(fields.disk_geometry[:2], "big")
    created_at = moment(fields.time_stamp)
    return {
        "disk_type": TYPE_NAMES.get(fields.disk_type, fields.disk_type),
        "unique_id": uuid_text(fields.unique_id),
        "time_stamp": created_at.isoformat() if created_at else None,
        "creator_application": printable(fields.creator_application),
        "creator_version": f"{fields.creator_version >> 16}.{fields.creator_version & 0xFFFF}",
        "creator_host_os": printable(fields.creator_host_os),
        "original_size": fields.original_size,
        "current_size": fields.current_size,
        "disk_geometry": f"{cylinders}/{fields.disk_geometry[2]}/{fields.disk_geometry[3]}",
        "temporary": bool(fields.features & 1),
        "saved_state": bool(fields.saved_state),
    }


def header_facts(header: DynamicHeader) -> dict[str, object]:
    """Return the header's fields under the specification's names.

    The parent's time stamp is a hint only. Seen: a child of VirtualBox 7.2 has one second more
    than its parent's footer, one of Windows 10 has 0.
    """
    parent_time = moment(header.parent_time_stamp)
    return {
        "table_offset": header.table_offset,
        "max_table_entries": header.max_table_entries,
        "block_size": header.block_size,
        "parent_unique_id": uuid_text(header.parent_unique_id),
        "parent_time_stamp": parent_time.isoformat() if parent_time else None,
    }


def extents(source: Source, inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Yield the stored sectors of the disk: nothing to compare, only to see whether it is empty."""
    state = inspections[0].state
    if isinstance(state, Geometry):
        yield from block_batches(source, state)
    elif isinstance(state, int) and min(state, source.size):
        offset = np.zeros(1, np.int64)
        yield ExtentBatch(
            Payload(), "vhd.block.content", 0, offset, offset + min(state, source.size)
        )


FORMAT = Format(
    name="vhd",
    title="Virtual Hard Disk (VHD)",
    suffixes=(".vhd", ".avhd", ".vpc"),
    references=(
        "Virtual Hard Disk Image Format Specification, Microsoft, version 1.0, 2006-10-11",
        "libvhdi: Virtual Hard Disk (VHD) image format",
    ),
    revision=1,
    write_model=WriteModel.REWRITTEN,
    open_ended=True,
    integrity=(
        "Checksums of both footers and of the header; the table of blocks is checked for sense "
        "(places, overlaps, lost blocks, the file's length); data has no checksum."
    ),
    limitations=(
        "A fixed disk that lost its end has no mark left to know it by. Disks split into .v01 "
        "files by Virtual PC are not joined. Sector bitmaps are not compared with the sectors. "
        "A differencing disk's parent is found by its unique id."
    ),
    samples=(
        "Windows 10 (fixed, dynamic, differencing), VirtualBox 7.2 (dynamic, differencing), "
        "qemu-img 7.2 (fixed, dynamic)"
    ),
    checks=MappingProxyType(
        {
            "vhd.footer.present": "The footer stands at the end, and its copy at the start.",
            "vhd.footer.checksum": "A footer has the checksum it states.",
            "vhd.footer.copies": "The footer and its copy say the same.",
            "vhd.footer.version": "The footer is of a version this code reads.",
            "vhd.footer.disk_type": "The disk is fixed, dynamic or differencing.",
            "vhd.footer.data_offset": "The footer points to a header behind its copy.",
            "vhd.header.present": "The dynamic disk header is inside the file.",
            "vhd.header.cookie": "The dynamic disk header is where the footer points to.",
            "vhd.header.checksum": "The dynamic disk header has the checksum it states.",
            "vhd.header.version": "The header is of a version this code reads.",
            "vhd.header.block_size": "Blocks are a power of two sectors long.",
            "vhd.header.capacity": "The table has an entry for every block of the disk.",
            "vhd.header.table_offset": "The table of blocks lies clear of the header.",
            "vhd.header.parent_unique_id": "A differencing disk names the disk it differs from.",
            "vhd.locator.range": "A path to the parent lies inside the file.",
            "vhd.bat.limit": "The table is not longer than this code reads.",
            "vhd.bat.range": "Blocks lie clear of footers, header, table and locators.",
            "vhd.bat.overlap": "No two blocks share a place in the file.",
            "vhd.bat.lost_block": "Nothing that looks like a block is without an entry.",
            "vhd.block.bitmap": "A stored block has a sector that counts.",
            "vhd.block.content": "Stored blocks hold something other than zeros.",
            "vhd.file.needed": "The file reaches to the last byte of the disk it stores.",
            "vhd.file.allocated": "The file reaches to the end of the last block.",
            "vhd.file.size": "A fixed disk's file is as long as disk and footer.",
        }
    ),
    probe=probe,
    inspect=inspect,
    extents=extents,
    conclude=no_conclusion,
)
