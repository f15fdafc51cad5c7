"""SQL Server backup sets (.bak, .trn, .dif): every page, log block and block header of them.

A file is a medium in Microsoft Tape Format (`formats.mtf`) with any number of backup sets on it;
each set is an image. `inspect` walks the medium and reads what the sets say of themselves,
`extents` sends every page and log block through a kernel, `conclude` judges them by the database's
own allocation maps. A set on several stripes is concluded from all of them.

Nothing of this but the tape format is documented. What is said of it here was seen in two hundred
backups of SQL Server 2005 to 2025, or is documented for RESTORE HEADERONLY and FILELISTONLY.
"""

from collections.abc import Iterator, Sequence

from formats.core.model import (
    Evidence,
    ExtentBatch,
    Format,
    Inspection,
    Neighbours,
    Part,
    Source,
    WriteModel,
)
from formats.core.source import starts_with
from formats.mtf import CHECKS as MTF_CHECKS
from formats.mtf import software_name, tape_body
from formats.mtf.structures import BlockHeader, SetBody, sum_holds
from formats.sqlserver_bak import (
    compressed,
    conclude,
    configs,
    extents,
    framing,
    inspect,
    judge_csum,
    judge_extents,
    judge_log,
    judge_pages,
    media,
    repeats,
    set_map,
    streams,
)

# Where the first set begins: behind a tape header and a filemark of 512 or of 4096 bytes.
FIRST_SETS = (1024 + 512, 4096 + 4096)


def probe(source: Source) -> bool:
    """Whether the file is a medium of SQL Server, or one whose first blocks were lost."""
    if compressed.is_compressed(source):
        return True
    body = tape_body(source)
    if body is not None:
        name = software_name(source) or ""
        return body.vendor_id == media.VENDOR_ID or name.startswith(media.SOFTWARE_NAME)
    return any(set_begins(source, offset) for offset in FIRST_SETS)


def set_begins(source: Source, offset: int) -> bool:
    """Whether a backup set of SQL Server begins at ``offset``."""
    if not starts_with(source, b"SSET", offset) or offset + SetBody.size > source.size:
        return False
    stored = source.read_at(offset, SetBody.size)
    vendor = SetBody.parse(stored).vendor_id
    return sum_holds(stored[: BlockHeader.size]) and vendor == media.VENDOR_ID


def inspect_file(source: Source, _neighbours: Neighbours) -> tuple[Inspection, ...]:
    """Return one inspection per backup set of the medium."""
    if compressed.is_compressed(source):
        return compressed.inspect_compressed(source)
    return inspect.inspect_media(source)


def extents_of(_source: Source, inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Yield everything that is to be looked at."""
    yield from extents.extents_of(inspections)
    yield from compressed.extents_of(inspections)


def conclude_image(parts: Sequence[Part]) -> tuple[Evidence, ...]:
    """Judge one backup set."""
    return (*conclude.conclude_set(parts), *compressed.conclude_set(parts))


FORMAT = Format(
    name="sqlserver_bak",
    title="SQL Server backup",
    suffixes=(".bak", ".trn", ".dif"),
    references=(
        "Microsoft Tape Format Specification, version 1.00a, revision 1.8",
        "Microsoft Learn: RESTORE HEADERONLY, FILELISTONLY, LABELONLY, VERIFYONLY",
        "[MS-XCA] Xpress Compression Algorithm, 2.2: LZ77+Huffman",
        "Paul Randal, Inside the Storage Engine: Anatomy of a page; GAM, SGAM, PFS",
    ),
    revision=2,
    write_model=WriteModel.APPEND_ONLY,
    integrity=(
        "page checksums, log block checksums, the database's own allocation maps, backup "
        "checksums where the set has them; header sums, padding, and all that is stored twice"
    ),
    limitations=(
        "compressed backups are verified as stored, and looked into where numba is installed (the "
        "extra decompress); encrypted ones are not looked into; "
        "pages without a checksum are only counted; a log spread over several stripes is not read"
    ),
    samples="SQL Server 2005 to 2025: full, differential, log, copy-only, striped, appended",
    checks={
        **MTF_CHECKS,
        **media.CHECKS,
        **inspect.CHECKS,
        **framing.CHECKS,
        **configs.CHECKS,
        **set_map.CHECKS,
        **repeats.CHECKS,
        **streams.CHECKS,
        **extents.CHECKS,
        **judge_pages.CHECKS,
        **judge_extents.CHECKS,
        **judge_csum.CHECKS,
        **judge_log.CHECKS,
        **conclude.CHECKS,
        **compressed.CHECKS,
    },
    probe=probe,
    inspect=inspect_file,
    extents=extents_of,
    conclude=conclude_image,
)
