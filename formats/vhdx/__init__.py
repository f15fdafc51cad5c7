"""Virtual Hard Disk v2 (VHDX) of Hyper-V and Windows: fixed, dynamic and differencing disks.

Two headers and two region tables, of which one each must be whole, a log of metadata updates, a
metadata region and a table of blocks. Headers, region tables and log entries have a CRC-32C; the
metadata, the table and the data have none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from formats.core.findings import Findings, demand
from formats.core.model import (
    Bearing,
    ExtentBatch,
    Format,
    Identity,
    Inspection,
    Kind,
    Neighbours,
    ParentRef,
    Source,
    WriteModel,
    no_conclusion,
)
from formats.vhdx.bat import ENTRY_BYTES, Reach, Table, check_table, payload_batches
from formats.vhdx.header import (
    HeaderCopy,
    check_identifier,
    check_log_place,
    check_version,
    is_pending,
    probe,
    read_headers,
)
from formats.vhdx.history import check_history
from formats.vhdx.log import LogPlace, Pending, as_stored, check_log, place_of, view_of
from formats.vhdx.metadata import (
    PHYSICAL_SECTOR_SIZE,
    VIRTUAL_DISK_ID,
    Disk,
    Item,
    number,
    read_disk,
    read_items,
)
from formats.vhdx.parent import read_parent
from formats.vhdx.regions import Region, check_overlap, log_region, read_regions, read_table
from formats.vhdx.structures import (
    BAT_REGION,
    HEADER_SECTION_BYTES,
    METADATA_REGION,
    guid_text,
)

__all__ = ["FORMAT"]


@dataclass(frozen=True, slots=True)
class MapPlace:
    """What `extents` needs to find every block again: the table, and a log to replay first."""

    log: LogPlace | None
    table: Table


def inspect(source: Source, _neighbours: Neighbours) -> tuple[Inspection, ...]:
    """Return the one disk of the file."""
    findings = Findings()
    facts: dict[str, object] = {"creator": check_identifier(source, findings)}
    header = read_headers(source, findings)
    pending: Pending | None = None
    if header is not None:
        facts.update(header_facts(header))
        if not check_version(header, findings):
            return (described(header, facts, findings),)
        if check_log_place(header, findings):
            pending = check_log(source, header, findings)
    facts["log_entries_pending"] = len(pending.entries) if pending else 0
    return (inspect_behind_log(source, header, pending, facts, findings),)


def inspect_behind_log(
    source: Source,
    header: HeaderCopy | None,
    pending: Pending | None,
    facts: dict[str, object],
    findings: Findings,
) -> Inspection:
    """Judge everything that is written through the log: regions, metadata, table."""
    view = pending.view if pending else source
    regions = find_regions(view, findings)
    taken = (*regions, *log_region(header))
    check_overlap(taken, findings)
    by_guid = {region.guid: region for region in regions}
    metadata = by_guid.get(METADATA_REGION)
    if header is not None and not is_pending(header):
        empty = LogPlace(header.fields.log_offset, header.fields.log_length, b"")
        check_history(source, empty, by_guid.get(BAT_REGION), metadata, findings)
    items = read_items(view, metadata, findings) if metadata else {}
    disk = read_disk(items, findings)
    facts.update(item_facts(items, disk))
    parents: tuple[ParentRef, ...] = ()
    if disk is not None:
        parents, parent_facts = read_parent(items, disk, findings)
        facts.update(parent_facts)
    table = place_table(by_guid.get(BAT_REGION), disk, findings)
    reach = judge_table(source.size, view, table, taken, findings) if table else None
    log = place_of(header) if header and pending else None
    needed = max([HEADER_SECTION_BYTES, *(region.end for region in taken)])
    if reach is not None:
        facts.update(reach_facts(reach))
        needed = max(needed, reach.needed)
    check_length(source.size, needed, reach, pending, findings)
    return described(
        header,
        facts,
        findings,
        disk=disk,
        parents=parents,
        payload=reach.payload if reach else None,
        needed=needed if reach else None,
        state=MapPlace(log, table) if table and reach else None,
        views=(source, view),
    )


def find_regions(view: Source, findings: Findings) -> tuple[Region, ...]:
    """Return the regions that one of the tables places."""
    table = read_table(view, findings)
    return () if table is None else read_regions(table, findings)


def place_table(region: Region | None, disk: Disk | None, findings: Findings) -> Table | None:
    """Return the table of blocks; None where it is not known or too small for the disk."""
    if region is None or disk is None:
        return None
    table = Table(region.offset, region.length, disk)
    length = table.entry_count * ENTRY_BYTES
    with findings.catching():
        # [MS-VHDX] 2.5: at least as large as the entries the disk needs.
        demand(
            "vhdx.bat.capacity",
            region.entry_offset,
            32,
            holds=length <= region.length,
            expected=f"at least {length} bytes",
            actual=f"{region.length} bytes",
        )
        findings.matched("vhdx.bat.capacity", region.entry_offset, 32)
        return table
    return None


def judge_table(
    size: int, view: Source, table: Table, taken: tuple[Region, ...], findings: Findings
) -> Reach | None:
    """Check the table of blocks; None where the file ends before it does."""
    with findings.catching():
        return check_table(view, size, table, taken, findings)
    return None


def check_length(
    size: int, needed: int, reach: Reach | None, pending: Pending | None, findings: Findings
) -> None:
    """Compare the file with the smallest one that holds everything."""
    bearing = Bearing.NEEDED
    if pending and pending.head.flushed_file_offset <= size < needed:
        # [MS-VHDX] 2.3.3: replaying grows the file to the log's last offset, for what had not
        # been written when the machine stopped. What was cut off later looks the same.
        grows = needed <= pending.head.last_file_offset
        bearing = Bearing.DOUBTFUL if grows else Bearing.NEEDED
    count = reach.beyond_count if reach else 1
    findings.reaches("vhdx.file.needed", size, needed, bearing=bearing, count=count)
    if reach is not None and size >= needed:
        # What lies behind the disk's end in its last block is nobody's: seen in a disk of 10 MiB
        # by Windows 10 with one block of 32 MiB.
        allocated = max(needed, reach.allocated)
        findings.reaches("vhdx.file.allocated", size, allocated, bearing=Bearing.REDUNDANT)


def described(
    header: HeaderCopy | None,
    facts: dict[str, object],
    findings: Findings,
    *,
    disk: Disk | None = None,
    parents: tuple[ParentRef, ...] = (),
    payload: int | None = None,
    needed: int | None = None,
    state: object = None,
    views: tuple[Source, Source] | None = None,
) -> Inspection:
    """Return what is known, however much that is; ``views``: the file, stored and replayed."""
    data_write_guid = guid_text(header.fields.data_write_guid) if header else None
    kind = None
    if disk is not None:
        kind = Kind.INCREMENTAL if disk.has_parent else Kind.FULL
    return Inspection(
        kind=kind,
        identities=(Identity("vhdx.data_write_guid", data_write_guid),) if data_write_guid else (),
        parents=parents,
        source_bytes=disk.disk_bytes if disk else None,
        payload_bytes=payload,
        needed_bytes=needed,
        facts=facts,
        evidence=findings.rows if views is None else as_stored(findings.rows, *views),
        state=state,
    )


def header_facts(header: HeaderCopy) -> dict[str, object]:
    """Return the current header's fields under the specification's names."""
    fields = header.fields
    return {
        "header_offset": header.offset,
        "sequence_number": fields.sequence_number,
        "file_write_guid": guid_text(fields.file_write_guid),
        "data_write_guid": guid_text(fields.data_write_guid),
        "log_guid": guid_text(fields.log_guid),
        "log_length": fields.log_length,
    }


def item_facts(items: dict[bytes, Item], disk: Disk | None) -> dict[str, object]:
    """Return what the metadata says. The virtual disk id is what a SCSI guest sees (page 83)."""
    disk_id = items.get(VIRTUAL_DISK_ID)
    facts: dict[str, object] = {
        "virtual_disk_id": guid_text(disk_id.content) if disk_id else None,
        "physical_sector_size": number(items, PHYSICAL_SECTOR_SIZE),
    }
    if disk is not None:
        facts["disk_type"] = type_name(disk)
        facts["block_size"] = disk.block_bytes
        facts["virtual_disk_size"] = disk.disk_bytes
        facts["logical_sector_size"] = disk.sector_bytes
    return facts


def type_name(disk: Disk) -> str:
    """Return what Windows calls such a disk."""
    if disk.has_parent:
        return "differencing"
    return "fixed" if disk.leave_block_allocated else "dynamic"


def reach_facts(reach: Reach) -> dict[str, object]:
    """Return what the table of blocks holds."""
    return {
        "blocks_present": reach.block_count,
        "blocks_partially_present": reach.partial_count,
        "sector_bitmap_blocks": reach.bitmap_count,
        "unused_bytes": reach.unused,
    }


def extents(source: Source, inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Yield the stored blocks: nothing to compare, only to see whether the disk is empty."""
    state = inspections[0].state
    if isinstance(state, MapPlace):
        yield from payload_batches(source, view_of(source, state.log), state.table)


FORMAT = Format(
    name="vhdx",
    title="Virtual Hard Disk v2 (VHDX)",
    suffixes=(".vhdx", ".avhdx", ".vhds"),
    references=(
        "[MS-VHDX] Virtual Hard Disk v2 (VHDX) File Format, Microsoft, v20240423",
        "QEMU, block/vhdx.c and block/vhdx-log.c",
    ),
    revision=1,
    write_model=WriteModel.REWRITTEN,
    open_ended=True,
    integrity=(
        "CRC-32C of headers, region tables and log; metadata and the table of blocks are checked "
        "for sense (places, overlaps, states, the file's length); data has no checksum."
    ),
    limitations=(
        "Space inside the file that no entry refers to is no news: Hyper-V frees blocks. Sector "
        "bitmaps are placed, not read. Of a log that is not to be replayed nothing is checked."
    ),
    samples=(
        "Windows 10 (fixed, dynamic), Hyper-V 10.0.17763 (differencing), "
        "qemu-img 7.2 (fixed, dynamic)"
    ),
    checks=MappingProxyType(
        {
            "vhdx.file_identifier.signature": "The file says that it is a VHDX.",
            "vhdx.header.signature": "A header stands where headers stand.",
            "vhdx.header.crc32c": "A header has the checksum it states.",
            "vhdx.header.sequence": "It is clear which of two headers is the newer one.",
            "vhdx.header.version": "The file is of a version this code reads.",
            "vhdx.log.range": "The log can be where the header says.",
            "vhdx.log.pending": "No updates wait in the log.",
            "vhdx.log.version": "The log to replay is of a version this code reads.",
            "vhdx.log.limit": "The log to replay is not longer than this code reads.",
            "vhdx.log.present": "The log to replay is inside the file.",
            "vhdx.log.sequence": "The log to replay has a complete sequence of entries.",
            "vhdx.log.crc32c": "The entries to replay have the checksums they state.",
            "vhdx.log.torn": "No entry newer than those to replay is broken.",
            "vhdx.log.history": "Table and metadata are as their newest updates in the log.",
            "vhdx.log.flushed_file_offset": "The file is as long as the log says it once was.",
            "vhdx.region_table.signature": "A region table stands where they stand.",
            "vhdx.region_table.crc32c": "A region table has the checksum it states.",
            "vhdx.region_table.copies": "Both region tables say the same.",
            "vhdx.region_table.entry_count": "A region table has room for its entries.",
            "vhdx.region.unique": "Each region is placed once.",
            "vhdx.region.range": "Regions are whole mebibytes behind the headers.",
            "vhdx.region.required": "Every region that must be understood is known.",
            "vhdx.region.present": "There are a metadata region and a table of blocks.",
            "vhdx.region.overlap": "Regions and log do not share a byte.",
            "vhdx.metadata.signature": "The metadata table stands where its region begins.",
            "vhdx.metadata.reserved": "Reserved bytes of the metadata table are zeros.",
            "vhdx.metadata.entry_count": "The metadata table has room for its entries.",
            "vhdx.metadata.user_entries": "Not more than 1024 items are the user's.",
            "vhdx.metadata.item_range": "Items lie inside the metadata region.",
            "vhdx.metadata.item_unique": "Each item is there once.",
            "vhdx.metadata.item_overlap": "No two items share a byte.",
            "vhdx.metadata.item_length": "Known items have their length.",
            "vhdx.metadata.item_present": "The items every disk needs are there.",
            "vhdx.metadata.flags": "Reserved bits of items are zero.",
            "vhdx.metadata.known_flags": "Known items have the flags they must have.",
            "vhdx.metadata.required": "Every item that must be understood is known.",
            "vhdx.metadata.block_size": "Blocks have a length that the format allows.",
            "vhdx.metadata.logical_sector_size": "Sectors are 512 or 4096 bytes long.",
            "vhdx.metadata.physical_sector_size": "Physical sectors are 512 or 4096 bytes long.",
            "vhdx.metadata.virtual_disk_size": "The disk has a size that the format allows.",
            "vhdx.parent_locator.present": "A disk has a parent locator if it has a parent.",
            "vhdx.parent_locator.type": "The parent is a VHDX.",
            "vhdx.parent_locator.range": "Keys and values lie inside the parent locator.",
            "vhdx.parent_locator.unique": "Each key is there once.",
            "vhdx.parent_locator.linkage": "The parent locator names the parent's data.",
            "vhdx.bat.capacity": "The table's region holds an entry for every block.",
            "vhdx.bat.present": "The table is inside the file.",
            "vhdx.bat.limit": "The file is not longer than this code can map.",
            "vhdx.bat.state": "Blocks are in a state that the kind of disk allows.",
            "vhdx.bat.zero_place": "Blocks of zeros have no place in the file.",
            "vhdx.bat.reserved": "Reserved bits of entries are zero.",
            "vhdx.bat.beyond": "No block lies behind the disk's end.",
            "vhdx.bat.bitmap_state": "Sector bitmaps are in a state the kind of disk allows.",
            "vhdx.bat.bitmap_present": "Blocks that are partially present have a sector bitmap.",
            "vhdx.bat.overlap": "No two blocks, regions or the log share a place in the file.",
            "vhdx.block.content": "Stored blocks hold something other than zeros.",
            "vhdx.file.needed": "The file reaches to the last byte of the disk it stores.",
            "vhdx.file.allocated": "The file reaches to the end of the last block.",
        }
    ),
    probe=probe,
    inspect=inspect,
    extents=extents,
    conclude=no_conclusion,
)
