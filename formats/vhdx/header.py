"""File identifier, the two headers, and which of them counts."""

from dataclasses import dataclass

from formats.core.errors import FormatError
from formats.core.findings import Findings, as_evidence, demand, read_under
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.core.source import starts_with
from formats.vhdx.structures import (
    FILE_SIGNATURE,
    HEADER_OFFSETS,
    HEADER_SECTION_BYTES,
    MEBIBYTE,
    NO_GUID,
    FileIdentifier,
    Header,
    crc_without,
)

HEADER_SIGNATURE = b"head"

VERSION = 1
LOG_VERSION = 0


@dataclass(frozen=True, slots=True)
class HeaderCopy:
    """One valid header, and where it stands."""

    offset: int
    stored: bytes
    fields: Header


def probe(source: Source) -> bool:
    """Whether the file says it is a VHDX; with its identifier damaged, headers say so twice."""
    return starts_with(source, FILE_SIGNATURE) or all(
        starts_with(source, HEADER_SIGNATURE, offset) for offset in HEADER_OFFSETS
    )


def check_identifier(source: Source, findings: Findings) -> str | None:
    """Check the signature; return the creator."""
    with findings.catching():
        stored = read_under("vhdx.file_identifier.signature", source, 0, FileIdentifier.size)
        identifier = FileIdentifier.parse(stored)
        length = len(FILE_SIGNATURE)
        # [MS-VHDX] 2.2.1: must be validated when a file is loaded.
        demand(
            "vhdx.file_identifier.signature",
            0,
            length,
            holds=identifier.signature == FILE_SIGNATURE,
            expected=FILE_SIGNATURE.decode(),
            actual=identifier.signature.hex(),
        )
        findings.matched("vhdx.file_identifier.signature", 0, length, vouched_bytes=length)
        creator = identifier.creator.decode("utf-16-le", "replace").split("\0")[0]
        return creator if creator.isprintable() else None
    return None


def read_headers(source: Source, findings: Findings) -> HeaderCopy | None:
    """Read both headers and return the current one.

    [MS-VHDX] 2.2.2: the valid one, or of two the one with the higher sequence number.
    """
    valid: list[HeaderCopy] = []
    errors: list[FormatError] = []
    for offset in HEADER_OFFSETS:
        try:
            valid.append(read_header(source, offset))
        except FormatError as error:
            errors.append(error)
    for copy in valid:
        length = Header.size
        findings.matched("vhdx.header.crc32c", copy.offset, length, vouched_bytes=length)
    bearing = Bearing.REDUNDANT if valid else Bearing.NEEDED
    for failure in errors:
        findings.add(as_evidence(failure, bearing))
    match valid:
        case [first, second]:
            return newer(first, second, findings)
        case [only]:
            return only
        case _:
            return None


def read_header(source: Source, offset: int) -> HeaderCopy:
    """Read the header at ``offset``; raise `FormatError` unless it is valid."""
    stored = read_under("vhdx.header.signature", source, offset, Header.size)
    fields = Header.parse(stored)
    demand(
        "vhdx.header.signature",
        offset,
        len(HEADER_SIGNATURE),
        holds=fields.signature == HEADER_SIGNATURE,
        expected=HEADER_SIGNATURE.decode(),
        actual=fields.signature.hex(),
    )
    actual = crc_without(stored)
    demand(
        "vhdx.header.crc32c",
        offset,
        Header.size,
        holds=fields.checksum == actual,
        expected=f"0x{fields.checksum:08x}",
        actual=f"0x{actual:08x}",
    )
    return HeaderCopy(offset, stored, fields)


def newer(first: HeaderCopy, second: HeaderCopy, findings: Findings) -> HeaderCopy:
    """Return the current one of two valid headers."""
    one, two = first.fields.sequence_number, second.fields.sequence_number
    # By [MS-VHDX] 2.2.2 neither of two equal numbers is current. Disk2VHD writes two headers
    # that are the same in every byte (QEMU, block/vhdx.c), and then it does not matter.
    if one == two and first.stored != second.stored:
        findings.add(
            Evidence(
                "vhdx.header.sequence",
                Outcome.MISMATCHED,
                first.offset,
                Header.size,
                "two sequence numbers",
                f"{one} twice",
                Bearing.DOUBTFUL,
            )
        )
    else:
        findings.matched("vhdx.header.sequence", first.offset, Header.size)
    return second if two > one else first


def check_version(header: HeaderCopy, findings: Findings) -> bool:
    """Whether the file is of a version this code reads."""
    version, offset = header.fields.version, header.offset + Header.version.offset
    if version == VERSION:
        findings.matched("vhdx.header.version", offset, 2)
        return True
    findings.add(
        Evidence(
            "vhdx.header.version",
            Outcome.UNSUPPORTED,
            offset,
            2,
            f"version {VERSION}",
            f"version {version}",
        )
    )
    return False


def check_log_place(header: HeaderCopy, findings: Findings) -> bool:
    """Whether the log can be where the header says ([MS-VHDX] 2.2.2)."""
    fields, offset = header.fields, header.offset + Header.log_length.offset
    pending = is_pending(header)
    # A log that is empty and nowhere does no harm; one to be replayed must be somewhere.
    with findings.catching(Bearing.NEEDED if pending else Bearing.REDUNDANT):
        aligned = fields.log_length % MEBIBYTE == 0 and fields.log_offset % MEBIBYTE == 0
        nowhere = fields.log_length == 0 and not pending
        demand(
            "vhdx.log.range",
            offset,
            12,
            holds=aligned
            and (nowhere or (fields.log_offset >= HEADER_SECTION_BYTES and fields.log_length > 0)),
            expected="whole mebibytes behind the headers",
            actual=f"{fields.log_length} bytes at 0x{fields.log_offset:x}",
        )
        findings.matched("vhdx.log.range", offset, 12)
        return True
    return False


def is_pending(header: HeaderCopy) -> bool:
    """[MS-VHDX] 2.2.2: the log is to be replayed unless its GUID is zero."""
    return header.fields.log_guid != NO_GUID
