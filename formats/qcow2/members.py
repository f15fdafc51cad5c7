"""The external data file: a second file that holds the guest's clusters."""

from formats.core.model import Evidence, Neighbours, Outcome
from formats.qcow2.extensions import Extensions
from formats.qcow2.findings import Findings
from formats.qcow2.header import Header, HeaderLayout


def check_data_file(
    header: Header,
    extensions: Extensions,
    data_end: int,
    neighbours: Neighbours,
    findings: Findings,
) -> tuple[str, ...]:
    """Report a data file that is missing or too short, and return its name as the member."""
    if not header.external_data:
        return ()
    name = extensions.data_file
    if not name:
        # [spec] allows it, the user then names the file: here nobody can.
        findings.mismatch(
            "qcow2.data_file.name",
            HeaderLayout.incompatible_features.offset,
            8,
            "the name of the data file",
            "none",
        )
        return ()
    findings.match("qcow2.data_file.name")
    member, size = find_member(name, neighbours)
    if size is None:
        findings.add(
            Evidence(
                "qcow2.data_file.present",
                Outcome.TRUNCATED,
                expected="the data file",
                actual="none",
                member=member,
            )
        )
        return (member,)
    findings.add(Evidence("qcow2.data_file.present", Outcome.MATCHED, member=member))
    # [spec] "Raw external data bit": then every byte of the disk is in the data file. Otherwise
    # clusters that are not allocated need not be.
    needed = header.size if header.raw_external_data else data_end
    short = size < needed
    findings.add(
        Evidence(
            "qcow2.data_file.size",
            Outcome.TRUNCATED if short else Outcome.MATCHED,
            size if short else None,
            needed - size if short else None,
            f"{needed} bytes",
            f"{size} bytes",
            member=member,
        )
    )
    return (member,)


def find_member(name: str, neighbours: Neighbours) -> tuple[str, int | None]:
    """Return the name under which the data file is, and its size; None where it is not."""
    # An absolute path is that of the machine that wrote the image; a copy of both files has the
    # data file beside the image.
    for candidate in (name, name.rsplit("/", 1)[-1]):
        found = neighbours.open(candidate)
        if found is not None:
            return candidate, found.size
    return name, None
