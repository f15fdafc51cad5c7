"""The medium: what stands before the first backup set, and which piece of a media set it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from formats.core.findings import Findings
from formats.core.layout import Layout, raw, u16, u32
from formats.core.model import Bearing, Evidence, Identity, Outcome, PieceOf, Source
from formats.mtf.structures import TapeBody, date_at, text_at
from formats.mtf.walk import Block
from formats.sqlserver_bak.records import GUID_BYTES

TAPE = b"TAPE"
MEDIA_STREAM = b"RAID"
# BACKUP writes to at most 64 devices at once, and to at most four mirrors of them.
FAMILIES_MAX = 64
MIRRORS_MAX = 4
VENDOR_ID = 0x1200
"""[MTF] vendor number of Microsoft SQL Server; HEADERONLY shows it as SoftwareVendorId 4608."""

SOFTWARE_NAME = "Microsoft SQL Server"
# [MTF] 5.2, tape attributes: the description is a media label. Not set in any file seen, and a
# server was seen to print MediaLabelPresent 0.
MEDIA_LABEL_BIT = 2
# The same in every file seen.
RAID_CONSTANTS = (0xF00000AD, 0, 1)

MEDIA_RAID = "sqlserver_bak.media.raid"
CHECKS: Mapping[str, str] = {
    MEDIA_RAID: "The tape header says which piece of which media set the file is."
}


class RaidStream(Layout, size=32, order="<"):
    """The stream RAID of the tape header; seen in SQL Server 2005 to 2025."""

    media_set_id = raw(0, GUID_BYTES)
    marker = u32(16)
    family_count = u16(20)
    mirror_count = u16(22)
    family_number = u16(24)
    zero = u32(26)
    one = u16(30)


@dataclass(frozen=True, slots=True)
class Medium:
    """What the tape header says; None where it could not be read."""

    tape: TapeBody | None = None
    raid: RaidStream | None = None
    media_name: str | None = None
    media_description: str | None = None
    software_name: str | None = None

    @property
    def striped(self) -> bool:
        """Whether sets are spread over several files."""
        return self.raid is not None and self.raid.family_count > 1

    @property
    def piece(self) -> PieceOf | None:
        """Which piece of a media set this file is, if there are several."""
        if self.raid is None or not self.striped:
            return None
        identity = Identity("mtf.media_set", media_set_id(self.raid))
        return PieceOf(identity, self.raid.family_number, self.raid.family_count)


def read_medium(findings: Findings, source: Source, tape: Block | None) -> Medium:
    """Read the tape header's fields, as far as they make sense."""
    if tape is None or len(tape.body) < TapeBody.size:
        return Medium()
    body = TapeBody.parse(tape.body)
    string_type = tape.header.string_type
    return Medium(
        tape=body,
        raid=read_raid(findings, source, tape),
        media_name=text_at(tape.body, body.media_name, string_type),
        media_description=text_at(tape.body, body.media_description, string_type),
        software_name=text_at(tape.body, body.software_name, string_type),
    )


def read_raid(findings: Findings, source: Source, tape: Block) -> RaidStream | None:
    """Read the stream that names the media set; None where its numbers make no sense."""
    stream = tape.stream(MEDIA_STREAM)
    if stream is None or stream.length < RaidStream.size or stream.end > source.size:
        findings.add(raid_row(tape.offset, tape.end - tape.offset, "none"))
        return None
    raid = RaidStream.parse(source.read_at(stream.data_offset, RaidStream.size))
    constants = (raid.marker, raid.zero, raid.one)
    if constants != RAID_CONSTANTS or not 1 <= raid.mirror_count <= MIRRORS_MAX:
        findings.add(raid_row(stream.data_offset, RaidStream.size, "other numbers"))
    elif 1 <= raid.family_number <= raid.family_count <= FAMILIES_MAX:
        findings.matched(MEDIA_RAID, stream.data_offset, RaidStream.size)
        return raid
    else:
        families = f"family {raid.family_number} of {raid.family_count}"
        findings.add(raid_row(stream.data_offset, RaidStream.size, families))
    return raid if 1 <= raid.family_number <= raid.family_count <= FAMILIES_MAX else None


def raid_row(offset: int, length: int, actual: str) -> Evidence:
    """Return the row for a media set that cannot be told: the file may be a piece of a larger."""
    return Evidence(
        MEDIA_RAID,
        Outcome.MISMATCHED,
        offset,
        length,
        "the stream RAID as SQL Server writes it",
        actual,
        Bearing.DOUBTFUL,
    )


def media_set_id(raid: RaidStream) -> str:
    """Return the GUID that all families of a media set share."""
    return str(UUID(bytes_le=raid.media_set_id)).upper()


def media_facts(medium: Medium) -> dict[str, object]:
    """Return the fields RESTORE LABELONLY shows, under its names."""
    tape, raid = medium.tape, medium.raid
    date = date_at(tape.media_date) if tape else None
    return {
        "MediaName": medium.media_name or None,
        "MediaDescription": medium.media_description or None,
        "MediaSetId": media_set_id(raid) if raid else None,
        "FamilyCount": raid.family_count if raid else None,
        "FamilySequenceNumber": raid.family_number if raid else None,
        "MirrorCount": raid.mirror_count if raid else None,
        "MediaFamilyId": tape.media_family_id if tape else None,
        "MediaSequenceNumber": tape.media_sequence if tape else None,
        "MediaLabelPresent": bool(tape.attributes & MEDIA_LABEL_BIT) if tape else None,
        "MediaDate": date.isoformat() if date else None,
        "SoftwareName": medium.software_name or None,
        "SoftwareVendorId": tape.vendor_id if tape else None,
        "MtfMajorVersion": tape.major_version if tape else None,
    }
