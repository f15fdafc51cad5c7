"""The footer at the end of every VHD, and its copy at the start of those that grow."""

from dataclasses import dataclass

from formats.core.findings import Findings
from formats.core.model import Bearing, Evidence, Outcome, Source
from formats.vhd.structures import (
    FOOTER_COOKIE,
    MAJOR_VERSION,
    OLD_CREATOR,
    OLD_FOOTER_BYTES,
    TYPE_DIFFERENCING,
    TYPE_DYNAMIC,
    TYPE_FIXED,
    Footer,
    sum_without,
)

KNOWN_TYPES = (TYPE_FIXED, TYPE_DYNAMIC, TYPE_DIFFERENCING)

SUM_FIRST_BYTE = 0xFF
"""Every checksum of so few bytes begins so: their sum is below 2**24, and stored complemented."""


@dataclass(frozen=True, slots=True)
class FooterCopy:
    """One footer as stored: 512 bytes, or 511 in old files."""

    offset: int
    stored: bytes
    fields: Footer
    checksum: int

    @property
    def intact(self) -> bool:
        """Whether the stored checksum is that of the stored bytes."""
        return self.checksum == self.fields.checksum


@dataclass(frozen=True, slots=True)
class Footers:
    """Both footers, where they are there, and the one whose fields are used."""

    last: FooterCopy | None
    first: FooterCopy | None
    chosen: FooterCopy

    @property
    def end(self) -> int | None:
        """Where the footer at the end begins; None unless it is intact."""
        return self.last.offset if self.last is not None and self.last.intact else None


def probe(source: Source) -> bool:
    """Whether a footer stands at the end, or its copy at the start."""
    return find_footers(source) is not None


def find_footers(source: Source) -> Footers | None:
    """Read what is there of the two; None where there is neither."""
    last = read_copy(source, source.size - Footer.size, Footer.size)
    if last is None:
        last = read_copy(source, source.size - OLD_FOOTER_BYTES, OLD_FOOTER_BYTES)
    first = read_copy(source, 0, Footer.size)
    if last is not None and last.offset == 0:
        # The file is one footer long. Of a fixed disk that is the last one, of others the first.
        fixed = last.fields.disk_type == TYPE_FIXED
        last, first = (last, None) if fixed else (None, last)
    # [VHD] "Checksum": where the footer fails, products use the copy at the start.
    there = [copy for copy in (last, first) if copy is not None]
    if not there:
        return None
    chosen = next((copy for copy in there if copy.intact), there[0])
    if chosen is last and chosen.fields.disk_type == TYPE_FIXED:
        # A fixed disk begins with its first sector, whatever that looks like.
        first = None
    return Footers(last, first, chosen)


def read_copy(source: Source, offset: int, length: int) -> FooterCopy | None:
    """Read a footer of ``length`` bytes at ``offset``; None where there is none.

    A fixed disk has nothing but its footer to be known by. So a footer whose cookie is damaged is
    still one if it has the checksum that it had with its cookie.
    """
    if offset < 0 or offset + length > source.size:
        return None
    stored = source.read_at(offset, length)
    if not stored.startswith(FOOTER_COOKIE) and stored[Footer.checksum.offset] != SUM_FIRST_BYTE:
        return None  # looked at first, because every file there is passes here
    fields = Footer.parse(stored.ljust(Footer.size, b"\0"))
    whole = FOOTER_COOKIE + stored[len(FOOTER_COOKIE) :]
    checksum = sum_without(stored, Footer.checksum.offset)
    if stored != whole and sum_without(whole, Footer.checksum.offset) != fields.checksum:
        return None
    return FooterCopy(offset, stored, fields, checksum)


def check_footers(footers: Footers, findings: Findings) -> None:
    """Compare each footer with its checksum, and the two with each other."""
    copies = [copy for copy in (footers.last, footers.first) if copy is not None]
    # [VHD] "Checksum": a file is corrupt when both fail. One good copy is enough for a restore.
    bearing = Bearing.REDUNDANT if footers.chosen.intact else Bearing.NEEDED
    for copy in copies:
        length = len(copy.stored)
        if copy.intact:
            findings.matched("vhd.footer.checksum", copy.offset, length, vouched_bytes=length)
            continue
        findings.add(
            Evidence(
                "vhd.footer.checksum",
                Outcome.MISMATCHED,
                copy.offset,
                length,
                f"0x{copy.fields.checksum:08x}",
                f"0x{copy.checksum:08x}",
                bearing,
            )
        )
    check_missing_first(footers, findings)
    match copies:
        case [last, first] if last.intact and first.intact:
            check_agreement(last, first, findings)


def check_missing_first(footers: Footers, findings: Findings) -> None:
    """Report a growing disk whose copy at the start is gone."""
    growing = footers.chosen.fields.disk_type in (TYPE_DYNAMIC, TYPE_DIFFERENCING)
    if footers.first is not None or not growing:
        return
    findings.add(
        Evidence(
            "vhd.footer.present",
            Outcome.MISMATCHED,
            0,
            Footer.size,
            "a copy of the footer",
            "no footer",
            Bearing.REDUNDANT,
        )
    )


def check_missing_last(footers: Footers, size: int, needed: int | None, findings: Findings) -> None:
    """Report a file that does not end with its footer.

    Where every block is there and the copy at the start is intact, nothing of the backup is
    lost: [VHD] "Dynamic Hard Disk Image" keeps that copy for this case, and QEMU 7.2 reads such
    a file to the same bytes. Others refuse the file until the copy is put back (libvhdi 20210425).
    """
    if footers.last is not None:
        check_length(footers.last, findings)
        return
    short = needed is not None and size < needed + Footer.size
    findings.add(
        Evidence(
            "vhd.footer.present",
            Outcome.TRUNCATED if short else Outcome.MISMATCHED,
            size if short else max(size - Footer.size, 0),
            Footer.size,
            "a footer at the end",
            "the file ends before it" if short else "no footer",
            Bearing.REDUNDANT if footers.chosen.intact else Bearing.NEEDED,
        )
    )


def check_length(last: FooterCopy, findings: Findings) -> None:
    """Take a footer of 511 bytes from Virtual PC only; others wrote one more, and it was cut."""
    length = len(last.stored)
    if length == Footer.size or last.fields.creator_application == OLD_CREATOR:
        findings.matched("vhd.footer.present", last.offset, length)
        return
    findings.add(
        Evidence(
            "vhd.footer.present",
            Outcome.TRUNCATED,
            last.offset + length,
            Footer.size - length,
            f"{Footer.size} bytes",
            f"{length} bytes",
            Bearing.REDUNDANT,
        )
    )


def check_agreement(last: FooterCopy, first: FooterCopy, findings: Findings) -> None:
    """Compare two intact footers. Which of two that differ is the newer one, nothing tells."""
    length = min(len(last.stored), len(first.stored))
    if last.stored[:length] == first.stored[:length]:
        findings.matched("vhd.footer.copies", first.offset, length)
        return
    bearing = Bearing.REDUNDANT if shape(last.fields) == shape(first.fields) else Bearing.DOUBTFUL
    findings.add(
        Evidence(
            "vhd.footer.copies",
            Outcome.MISMATCHED,
            first.offset,
            length,
            f"as at 0x{last.offset:x}",
            "another footer",
            bearing,
        )
    )


def shape(fields: Footer) -> tuple[int, int, int, bytes]:
    """Return what decides how a disk is read, and which disk it is."""
    return fields.disk_type, fields.current_size, fields.data_offset, fields.unique_id


def check_kind(copy: FooterCopy, findings: Findings) -> bool:
    """Whether the footer is of a version and a disk type that this code reads."""
    fields = copy.fields
    checks = (
        (
            "vhd.footer.version",
            fields.file_format_version >> 16 == MAJOR_VERSION,
            Footer.file_format_version.offset,
            f"version {MAJOR_VERSION}",
            f"version {fields.file_format_version >> 16}",
        ),
        (
            "vhd.footer.disk_type",
            fields.disk_type in KNOWN_TYPES,
            Footer.disk_type.offset,
            "type 2, 3 or 4",
            f"type {fields.disk_type}",
        ),
    )
    for check, holds, field_offset, expected, actual in checks:
        offset = copy.offset + field_offset
        outcome = Outcome.MATCHED if holds else Outcome.UNSUPPORTED
        findings.add(Evidence(check, outcome, offset, 4, expected, actual))
    return all(holds for _, holds, _, _, _ in checks)
