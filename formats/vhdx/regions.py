"""The two region tables, and the regions they place."""

from dataclasses import dataclass
from types import MappingProxyType

from formats.core.errors import FormatError, Unsupported
from formats.core.findings import Findings, as_evidence, demand, read_under
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.vhdx.header import HeaderCopy
from formats.vhdx.structures import (
    BAT_REGION,
    HEADER_SECTION_BYTES,
    MEBIBYTE,
    METADATA_REGION,
    REGION_TABLE_BYTES,
    REGION_TABLE_OFFSETS,
    RegionTableEntry,
    RegionTableHeader,
    crc_without,
    guid_text,
)

TABLE_SIGNATURE = b"regi"

ENTRIES_MAX = 2047
"""[MS-VHDX] 2.2.3.1."""

KNOWN = MappingProxyType({BAT_REGION: "BAT", METADATA_REGION: "metadata"})


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the file that is set aside; ``entry_offset`` is where that is said."""

    guid: bytes
    offset: int
    length: int
    entry_offset: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One valid region table, and where it stands."""

    offset: int
    stored: bytes


def read_table(source: Source, findings: Findings) -> TableCopy | None:
    """Read both tables and return the first valid one."""
    valid: list[TableCopy] = []
    errors: list[FormatError] = []
    for offset in REGION_TABLE_OFFSETS:
        try:
            valid.append(TableCopy(offset, read_copy(source, offset)))
        except FormatError as error:
            errors.append(error)
    length = REGION_TABLE_BYTES
    for copy in valid:
        findings.matched("vhdx.region_table.crc32c", copy.offset, length, vouched_bytes=length)
    bearing = Bearing.REDUNDANT if valid else Bearing.NEEDED
    for failure in errors:
        findings.add(as_evidence(failure, bearing))
    match valid:
        case [first, second]:
            check_agreement(first, second, findings)
            return first
        case [only]:
            return only
        case _:
            return None


def read_copy(source: Source, offset: int) -> bytes:
    """Read the table at ``offset``; raise `FormatError` unless it is valid."""
    stored = read_under("vhdx.region_table.signature", source, offset, REGION_TABLE_BYTES)
    header = RegionTableHeader.parse(stored)
    demand(
        "vhdx.region_table.signature",
        offset,
        len(TABLE_SIGNATURE),
        holds=header.signature == TABLE_SIGNATURE,
        expected=TABLE_SIGNATURE.decode(),
        actual=header.signature.hex(),
    )
    actual = crc_without(stored)
    demand(
        "vhdx.region_table.crc32c",
        offset,
        REGION_TABLE_BYTES,
        holds=header.checksum == actual,
        expected=f"0x{header.checksum:08x}",
        actual=f"0x{actual:08x}",
    )
    return stored


def check_agreement(first: TableCopy, second: TableCopy, findings: Findings) -> None:
    """Compare two valid tables: both are written through the log, so they change together."""
    if first.stored == second.stored:
        findings.matched("vhdx.region_table.copies", second.offset, REGION_TABLE_BYTES)
        return
    findings.add(
        Evidence(
            "vhdx.region_table.copies",
            Outcome.MISMATCHED,
            second.offset,
            REGION_TABLE_BYTES,
            f"as at 0x{first.offset:x}",
            "another table",
            Bearing.DOUBTFUL,
        )
    )


def read_regions(table: TableCopy, findings: Findings) -> tuple[Region, ...]:
    """Return the regions that can be where the table says, each GUID once."""
    count = RegionTableHeader.parse(table.stored).entry_count
    with findings.catching():
        demand(
            "vhdx.region_table.entry_count",
            table.offset + RegionTableHeader.entry_count.offset,
            4,
            holds=count <= ENTRIES_MAX,
            expected=f"at most {ENTRIES_MAX}",
            actual=f"{count}",
        )
    regions: dict[bytes, Region] = {}
    for index in range(min(count, ENTRIES_MAX)):
        place = RegionTableHeader.size + index * RegionTableEntry.size
        entry = RegionTableEntry.parse(table.stored, place)
        # The required flag of a known region is not looked at: QEMU 7.2 leaves it 0.
        with findings.catching():
            check_entry(entry, table.offset + place, regions)
            regions[entry.guid] = Region(
                entry.guid, entry.file_offset, entry.length, table.offset + place
            )
    for guid, name in KNOWN.items():
        check_presence(guid, name, table, regions, findings)
    return tuple(regions.values())


def check_entry(entry: RegionTableEntry, place: int, regions: dict[bytes, Region]) -> None:
    """Raise `FormatError` unless the entry can be true ([MS-VHDX] 2.2.3.2)."""
    demand(
        "vhdx.region.unique",
        place,
        RegionTableEntry.size,
        holds=entry.guid not in regions,
        expected="each region once",
        actual=f"{guid_text(entry.guid)} again",
    )
    aligned = entry.file_offset % MEBIBYTE == 0 and entry.length % MEBIBYTE == 0
    demand(
        "vhdx.region.range",
        place,
        RegionTableEntry.size,
        holds=aligned and entry.file_offset >= HEADER_SECTION_BYTES and entry.length > 0,
        expected="whole mebibytes behind the headers",
        actual=f"{entry.length} bytes at 0x{entry.file_offset:x}",
    )
    if entry.required and entry.guid not in KNOWN:
        raise Unsupported(
            "vhdx.region.required",
            offset=place,
            length=RegionTableEntry.size,
            expected="known regions",
            actual=f"{guid_text(entry.guid)} is required",
        )


def check_presence(
    guid: bytes, name: str, table: TableCopy, regions: dict[bytes, Region], findings: Findings
) -> None:
    """Report a known region that the table does not place."""
    found = regions.get(guid)
    if found is not None:
        findings.matched("vhdx.region.range", found.entry_offset, RegionTableEntry.size)
        return
    findings.add(
        Evidence(
            "vhdx.region.present",
            Outcome.MISMATCHED,
            table.offset,
            REGION_TABLE_BYTES,
            f"a {name} region",
            "none",
        )
    )


def log_region(header: HeaderCopy | None) -> tuple[Region, ...]:
    """Return the log as a region, where the header gives it a place that can be true."""
    if header is None:
        return ()
    fields = header.fields
    place = fields.log_offset
    if place < HEADER_SECTION_BYTES or place % MEBIBYTE or fields.log_length % MEBIBYTE:
        return ()
    return (Region(b"", place, fields.log_length, header.offset),) if fields.log_length else ()


def check_overlap(regions: tuple[Region, ...], findings: Findings) -> None:
    """Check that no two of ``regions`` share a byte ([MS-VHDX] 2.2.2, 2.2.3.2)."""
    ordered = sorted(regions, key=lambda region: region.offset)
    reached = 0
    clear = True
    for region in ordered:
        if region.offset < reached:
            clear = False
            findings.add(
                Evidence(
                    "vhdx.region.overlap",
                    Outcome.MISMATCHED,
                    region.entry_offset,
                    RegionTableEntry.size,
                    f"a start at 0x{reached:x} or later",
                    f"0x{region.offset:x}",
                )
            )
        reached = max(reached, region.end)
    if clear:
        findings.matched("vhdx.region.overlap", None, 0, count=len(ordered))
