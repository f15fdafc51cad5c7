"""The dynamic disk header of a VHD that grows, and what it says of the parent."""

from collections.abc import Iterator

from formats.core.errors import Unsupported
from formats.core.findings import Findings, demand, read_under
from formats.core.model import Bearing, Evidence, Identity, Outcome, ParentRef, Source
from formats.vhd.structures import (
    HEADER_COOKIE,
    LOCATOR_COUNT,
    MAJOR_VERSION,
    SECTOR_BYTES,
    DynamicHeader,
    Footer,
    ParentLocator,
    sum_without,
    uuid_text,
)

LOCATOR_BYTES_MAX = 64 * 1024
"""A path of Windows has at most 32,767 characters of two bytes."""

# [VHD] "Platform Code": a relative and an absolute path, UTF-16. Both byte orders are allowed to
# be expected, little-endian is what Windows 10 and VirtualBox 7.2 wrote.
PATH_CODES = (b"W2ru", b"W2ku")


def read_header(source: Source, offset: int, findings: Findings) -> DynamicHeader | None:
    """Read and check the header at ``offset``; None where none can be used."""
    with findings.catching():
        return parse_header(source, offset, findings)
    return None


def parse_header(source: Source, offset: int, findings: Findings) -> DynamicHeader:
    """Return the header at ``offset``; raise `FormatError` where it cannot be used."""
    demand(
        "vhd.footer.data_offset",
        0,
        Footer.size,
        holds=offset >= Footer.size and offset % SECTOR_BYTES == 0,
        expected="a sector behind the footer's copy",
        actual=f"0x{offset:x}",
    )
    stored = read_under("vhd.header.present", source, offset, DynamicHeader.size)
    header = DynamicHeader.parse(stored)
    demand(
        "vhd.header.cookie",
        offset,
        len(HEADER_COOKIE),
        holds=header.cookie == HEADER_COOKIE,
        expected=HEADER_COOKIE.decode(),
        actual=header.cookie.hex(),
    )
    check_sum(header, stored, offset, findings)
    check_version(header, offset)
    return header


def check_sum(header: DynamicHeader, stored: bytes, offset: int, findings: Findings) -> None:
    """Compare the header with its checksum. [VHD] "Checksum": when it fails, there is no other."""
    actual = sum_without(stored, DynamicHeader.checksum.offset)
    if actual == header.checksum:
        length = DynamicHeader.size
        findings.matched("vhd.header.checksum", offset, length, vouched_bytes=length)
        return
    findings.add(
        Evidence(
            "vhd.header.checksum",
            Outcome.MISMATCHED,
            offset,
            DynamicHeader.size,
            f"0x{header.checksum:08x}",
            f"0x{actual:08x}",
        )
    )


def check_version(header: DynamicHeader, offset: int) -> None:
    """Refuse a header of another major version."""
    major = header.header_version >> 16
    if major != MAJOR_VERSION:
        raise Unsupported(
            "vhd.header.version",
            offset=offset + DynamicHeader.header_version.offset,
            length=4,
            expected=f"version {MAJOR_VERSION}",
            actual=f"version {major}",
        )


def check_shape(header: DynamicHeader, offset: int, disk_bytes: int, findings: Findings) -> bool:
    """Whether the table the header describes can hold a disk of ``disk_bytes`` bytes."""
    before = len(findings.rows)
    block_bytes, table_offset = header.block_size, header.table_offset
    with findings.catching():
        demand(
            "vhd.header.block_size",
            offset + DynamicHeader.block_size.offset,
            4,
            holds=block_bytes >= SECTOR_BYTES and block_bytes & (block_bytes - 1) == 0,
            expected="a power of two sectors",
            actual=f"{block_bytes} bytes",
        )
        demand(
            "vhd.header.capacity",
            offset + DynamicHeader.max_table_entries.offset,
            4,
            holds=0 < disk_bytes <= header.max_table_entries * block_bytes,
            expected=f"room for {disk_bytes} bytes",
            actual=f"{header.max_table_entries} blocks of {block_bytes} bytes",
        )
        clear = table_offset >= offset + DynamicHeader.size or table_offset < offset
        demand(
            "vhd.header.table_offset",
            offset + DynamicHeader.table_offset.offset,
            8,
            holds=clear and table_offset >= Footer.size and table_offset % SECTOR_BYTES == 0,
            expected="a sector behind the header",
            actual=f"0x{table_offset:x}",
        )
        findings.matched("vhd.header.capacity", offset, DynamicHeader.size)
    return not any(row.bad for row in findings.rows[before:])


def locators(header: DynamicHeader) -> Iterator[tuple[int, ParentLocator]]:
    """Yield the locators in use, each with its place in the header."""
    for index in range(LOCATOR_COUNT):
        place = index * ParentLocator.size
        locator = ParentLocator.parse(header.parent_locators, place)
        if any(locator.platform_code):
            yield DynamicHeader.parent_locators.offset + place, locator


def parent_of(
    source: Source, header: DynamicHeader, offset: int, findings: Findings
) -> tuple[ParentRef, dict[str, object]]:
    """Return the parent as the header names it, and the facts it says of it."""
    unique_id = uuid_text(header.parent_unique_id)
    demand_parent(unique_id, offset, findings)
    paths = dict(read_paths(source, header, offset, findings))
    name = header.parent_unicode_name.decode("utf-16-be", "replace").split("\0")[0]
    # Relative before absolute, and the name last: it is a bare name or an absolute path (seen:
    # VirtualBox 7.2 and Windows 10).
    names = [*(paths[code] for code in ("W2ru", "W2ku") if code in paths), name]
    identities = (Identity("vhd.uuid", unique_id),) if unique_id else ()
    reference = ParentRef(identities, tuple(dict.fromkeys(filter(None, names))))
    return reference, {"parent_unicode_name": name or None, "parent_locators": paths}


def demand_parent(unique_id: str | None, offset: int, findings: Findings) -> None:
    """Report a differencing disk that does not say which disk it differs from."""
    place = offset + DynamicHeader.parent_unique_id.offset
    if unique_id:
        findings.matched("vhd.header.parent_unique_id", place, 16)
        return
    findings.add(
        Evidence(
            "vhd.header.parent_unique_id",
            Outcome.MISMATCHED,
            place,
            16,
            "an id",
            "zeros",
            Bearing.DOUBTFUL,
        )
    )


def read_paths(
    source: Source, header: DynamicHeader, offset: int, findings: Findings
) -> Iterator[tuple[str, str]]:
    """Yield platform code and path of each locator. A path is a hint: a restore works without."""
    for place, locator in locators(header):
        if locator.platform_code not in PATH_CODES:
            continue
        with findings.catching(Bearing.REDUNDANT):
            length = locator.platform_data_length
            at = locator.platform_data_offset
            demand(
                "vhd.locator.range",
                offset + place,
                ParentLocator.size,
                holds=length <= LOCATOR_BYTES_MAX and at + length <= source.size,
                expected="a path inside the file",
                actual=f"{length} bytes at 0x{at:x}",
            )
            path = source.read_at(at, length).decode("utf-16-le", "replace").rstrip("\0")
            findings.matched("vhd.locator.range", offset + place, ParentLocator.size)
            yield locator.platform_code.decode("ascii"), path
