"""The metadata region: what disk this is, and how it is cut into blocks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from formats.core.errors import Unsupported
from formats.core.findings import Findings, demand, read_under
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.vhdx.regions import Region
from formats.vhdx.structures import (
    MEBIBYTE,
    MetadataTableEntry,
    MetadataTableHeader,
    binary,
    guid_text,
)

TABLE_BYTES = 64 * 1024
TABLE_SIGNATURE = b"metadata"

# [MS-VHDX] 2.6.1.1 and 2.6.1.2.
ENTRIES_MAX = 2047
USER_ENTRIES_MAX = 1024
ITEM_BYTES_MAX = MEBIBYTE

FLAG_USER = 1
FLAGS_KNOWN = 0b111

BLOCK_BYTES_MIN = MEBIBYTE
BLOCK_BYTES_MAX = 256 * MEBIBYTE
DISK_BYTES_MAX = 64 << 40
SECTOR_SIZES = (512, 4096)

FILE_PARAMETERS = binary("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
VIRTUAL_DISK_SIZE = binary("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
VIRTUAL_DISK_ID = binary("BECA12AB-B2E6-4523-93EF-C309E000C746")
LOGICAL_SECTOR_SIZE = binary("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PHYSICAL_SECTOR_SIZE = binary("CDA348C7-445D-4471-9CC9-E9885251C556")
PARENT_LOCATOR = binary("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an item: its name, its length, its flags, and who can do without."""

    name: str
    length: int | None
    flags: int
    bearing: Bearing | None


# [MS-VHDX] 2.6.2, "Known Metadata Items": flags are user 1, virtual disk 2, required 4. The disk's
# own id and the physical sector size must be there; no byte of the disk is found by them.
KNOWN: Mapping[bytes, Known] = MappingProxyType(
    {
        FILE_PARAMETERS: Known("file parameters", 8, 0b100, Bearing.NEEDED),
        VIRTUAL_DISK_SIZE: Known("virtual disk size", 8, 0b110, Bearing.NEEDED),
        LOGICAL_SECTOR_SIZE: Known("logical sector size", 4, 0b110, Bearing.NEEDED),
        VIRTUAL_DISK_ID: Known("virtual disk id", 16, 0b110, Bearing.DOUBTFUL),
        PHYSICAL_SECTOR_SIZE: Known("physical sector size", 4, 0b110, Bearing.DOUBTFUL),
        PARENT_LOCATOR: Known("parent locator", None, 0b100, None),
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """One metadata item: where it is in the file, and what it holds if it is a known one."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Disk:
    """How the virtual disk is cut into blocks; bytes."""

    block_bytes: int
    disk_bytes: int
    sector_bytes: int
    leave_block_allocated: bool
    has_parent: bool


def read_items(source: Source, region: Region, findings: Findings) -> dict[bytes, Item]:
    """Return the known items by their GUID."""
    with findings.catching():
        stored = read_under("vhdx.metadata.signature", source, region.offset, TABLE_BYTES)
        count = check_table(stored, region, findings)
        entries = [
            MetadataTableEntry.parse(stored, MetadataTableHeader.size * (1 + index))
            for index in range(count)
        ]
        check_entries(entries, region, findings)
        return read_known(source, entries, region, findings)
    return {}


def check_table(stored: bytes, region: Region, findings: Findings) -> int:
    """Check the table's header; return the number of entries."""
    header = MetadataTableHeader.parse(stored)
    length = len(TABLE_SIGNATURE)
    demand(
        "vhdx.metadata.signature",
        region.offset,
        length,
        holds=header.signature == TABLE_SIGNATURE,
        expected=TABLE_SIGNATURE.decode(),
        actual=header.signature.hex(),
    )
    findings.matched("vhdx.metadata.signature", region.offset, length, vouched_bytes=length)
    demand(
        "vhdx.metadata.entry_count",
        region.offset + MetadataTableHeader.entry_count.offset,
        2,
        holds=header.entry_count <= ENTRIES_MAX,
        expected=f"at most {ENTRIES_MAX}",
        actual=f"{header.entry_count}",
    )
    with findings.catching(Bearing.DOUBTFUL):
        reserved = header.reserved + header.reserved2
        demand(
            "vhdx.metadata.reserved",
            region.offset + MetadataTableHeader.reserved.offset,
            MetadataTableHeader.size - length,
            holds=not any(reserved),
            expected="zeros",
            actual="other bytes",
        )
        findings.matched(
            "vhdx.metadata.reserved",
            region.offset + MetadataTableHeader.reserved.offset,
            MetadataTableHeader.size - length,
            vouched_bytes=len(reserved),
        )
    return header.entry_count


def place_of(region: Region, index: int) -> int:
    """Return where in the file the table's entry ``index`` stands."""
    return region.offset + MetadataTableHeader.size + index * MetadataTableEntry.size


def check_entries(entries: list[MetadataTableEntry], region: Region, findings: Findings) -> None:
    """Check each entry by itself and all of them together ([MS-VHDX] 2.6.1.2)."""
    seen: set[tuple[bytes, int]] = set()
    for index, entry in enumerate(entries):
        place = place_of(region, index)
        with findings.catching():
            check_item_range(entry, place, region)
        with findings.catching(Bearing.DOUBTFUL):
            check_repeated(entry, place, seen)
        with findings.catching(Bearing.DOUBTFUL):
            demand(
                "vhdx.metadata.flags",
                place + MetadataTableEntry.flags.offset,
                8,
                holds=entry.flags <= FLAGS_KNOWN and not entry.reserved2,
                expected="reserved bits of zero",
                actual=f"0x{entry.flags:08x} 0x{entry.reserved2:08x}",
            )
        with findings.catching():
            check_required(entry, place)
        seen.add((entry.item_id, entry.flags & FLAG_USER))
    check_items_apart(entries, region, findings)
    user_count = sum(entry.flags & FLAG_USER for entry in entries)
    with findings.catching(Bearing.DOUBTFUL):
        demand(
            "vhdx.metadata.user_entries",
            region.offset,
            TABLE_BYTES,
            holds=user_count <= USER_ENTRIES_MAX,
            expected=f"at most {USER_ENTRIES_MAX}",
            actual=f"{user_count}",
        )


def check_item_range(entry: MetadataTableEntry, place: int, region: Region) -> None:
    """Raise `FormatError` for an item that is neither empty nor inside the region."""
    empty = entry.length == 0 and entry.offset == 0
    demand(
        "vhdx.metadata.item_range",
        place,
        MetadataTableEntry.size,
        holds=empty or is_inside(entry, region),
        expected="an item inside the region",
        actual=f"{entry.length} bytes at 0x{entry.offset:x} of it",
    )


def is_inside(entry: MetadataTableEntry, region: Region) -> bool:
    """Whether the item lies in the region, behind the table."""
    return (
        entry.offset >= TABLE_BYTES
        and 0 < entry.length <= ITEM_BYTES_MAX
        and entry.offset + entry.length <= region.length
    )


def check_repeated(entry: MetadataTableEntry, place: int, seen: set[tuple[bytes, int]]) -> None:
    """Raise `FormatError` for an item that was there before."""
    demand(
        "vhdx.metadata.item_unique",
        place,
        MetadataTableEntry.size,
        holds=(entry.item_id, entry.flags & FLAG_USER) not in seen,
        expected="each item once",
        actual=f"{guid_text(entry.item_id)} again",
    )


def check_required(entry: MetadataTableEntry, place: int) -> None:
    """Refuse an item that must be understood and is not known; check the flags of known ones."""
    known = None if entry.flags & FLAG_USER else KNOWN.get(entry.item_id)
    if known is None and entry.flags & 0b100:
        raise Unsupported(
            "vhdx.metadata.required",
            offset=place,
            length=MetadataTableEntry.size,
            expected="known items",
            actual=f"{guid_text(entry.item_id)} is required",
        )


def check_items_apart(
    entries: list[MetadataTableEntry], region: Region, findings: Findings
) -> None:
    """Check that no two items share a byte."""
    order = sorted(range(len(entries)), key=lambda index: entries[index].offset)
    reached, clear = 0, True
    for index in order:
        entry = entries[index]
        if entry.length and entry.offset < reached:
            clear = False
            findings.add(
                Evidence(
                    "vhdx.metadata.item_overlap",
                    Outcome.MISMATCHED,
                    place_of(region, index),
                    MetadataTableEntry.size,
                    f"a start at 0x{reached:x} or later",
                    f"0x{entry.offset:x}",
                )
            )
        reached = max(reached, entry.offset + entry.length)
    if clear:
        findings.matched(
            "vhdx.metadata.item_overlap", region.offset, TABLE_BYTES, count=len(entries)
        )


def read_known(
    source: Source, entries: list[MetadataTableEntry], region: Region, findings: Findings
) -> dict[bytes, Item]:
    """Read the known items; report those that must be there and are not, or are of odd length."""
    items: dict[bytes, Item] = {}
    for index, entry in enumerate(entries):
        known = None if entry.flags & FLAG_USER else KNOWN.get(entry.item_id)
        if known is None or entry.item_id in items or not is_inside(entry, region):
            continue
        with findings.catching(known.bearing or Bearing.NEEDED):
            demand(
                "vhdx.metadata.item_length",
                place_of(region, index) + MetadataTableEntry.length.offset,
                4,
                holds=known.length in (None, entry.length),
                expected=f"{known.length} bytes for the {known.name}",
                actual=f"{entry.length} bytes",
            )
            offset = region.offset + entry.offset
            content = read_under("vhdx.metadata.item_present", source, offset, entry.length)
            items[entry.item_id] = Item(offset, content)
        check_flags(entry, known, place_of(region, index), findings)
    for guid, known in KNOWN.items():
        if guid not in items and known.bearing is not None:
            findings.add(
                Evidence(
                    "vhdx.metadata.item_present",
                    Outcome.MISMATCHED,
                    region.offset,
                    TABLE_BYTES,
                    f"the {known.name}",
                    "none",
                    known.bearing,
                )
            )
    return items


def check_flags(entry: MetadataTableEntry, known: Known, place: int, findings: Findings) -> None:
    """Compare a known item's flags with what they must be. Who knows the item needs no flags."""
    offset = place + MetadataTableEntry.flags.offset
    with findings.catching(Bearing.REDUNDANT):
        demand(
            "vhdx.metadata.known_flags",
            offset,
            4,
            holds=entry.flags & FLAGS_KNOWN == known.flags,
            expected=f"0x{known.flags:x}",
            actual=f"0x{entry.flags:x}",
        )
        findings.matched("vhdx.metadata.known_flags", offset, 4)


def number(items: Mapping[bytes, Item], guid: bytes) -> int | None:
    """Return an item that is one number."""
    item = items.get(guid)
    return None if item is None else int.from_bytes(item.content, "little")


def read_disk(items: Mapping[bytes, Item], findings: Findings) -> Disk | None:
    """Return how the disk is cut; None where that is not known or cannot be true."""
    check_physical_sector(items, findings)
    try:
        parameters = items[FILE_PARAMETERS]
        size = items[VIRTUAL_DISK_SIZE]
        sector = items[LOGICAL_SECTOR_SIZE]
    except KeyError:
        return None
    flags = int.from_bytes(parameters.content[4:], "little")
    disk = Disk(
        block_bytes=int.from_bytes(parameters.content[:4], "little"),
        disk_bytes=int.from_bytes(size.content, "little"),
        sector_bytes=int.from_bytes(sector.content, "little"),
        leave_block_allocated=bool(flags & 1),
        has_parent=bool(flags & 2),
    )
    with findings.catching():
        check_disk(disk, flags, (parameters.offset, size.offset, sector.offset))
        findings.matched("vhdx.metadata.block_size", parameters.offset, len(parameters.content))
        return disk
    return None


def check_disk(disk: Disk, flags: int, offsets: tuple[int, int, int]) -> None:
    """Raise `FormatError` unless the disk can be as it is described ([MS-VHDX] 2.6.2)."""
    parameters_offset, size_offset, sector_offset = offsets
    block_bytes = disk.block_bytes
    demand(
        "vhdx.metadata.block_size",
        parameters_offset,
        8,
        holds=BLOCK_BYTES_MIN <= block_bytes <= BLOCK_BYTES_MAX
        and block_bytes & (block_bytes - 1) == 0
        and not flags & ~0b11,
        expected="a power of two from 1 MiB to 256 MiB",
        actual=f"{block_bytes} bytes, flags 0x{flags:x}",
    )
    demand(
        "vhdx.metadata.logical_sector_size",
        sector_offset,
        4,
        holds=disk.sector_bytes in SECTOR_SIZES,
        expected="512 or 4096",
        actual=f"{disk.sector_bytes}",
    )
    demand(
        "vhdx.metadata.virtual_disk_size",
        size_offset,
        8,
        holds=0 < disk.disk_bytes <= DISK_BYTES_MAX and disk.disk_bytes % disk.sector_bytes == 0,
        expected="whole sectors, at most 64 TiB",
        actual=f"{disk.disk_bytes} bytes",
    )


def check_physical_sector(items: Mapping[bytes, Item], findings: Findings) -> None:
    """Check the one item that nothing else depends on."""
    value = number(items, PHYSICAL_SECTOR_SIZE)
    if value is None:
        return
    with findings.catching(Bearing.DOUBTFUL):
        demand(
            "vhdx.metadata.physical_sector_size",
            items[PHYSICAL_SECTOR_SIZE].offset,
            4,
            holds=value in SECTOR_SIZES,
            expected="512 or 4096",
            actual=f"{value}",
        )
