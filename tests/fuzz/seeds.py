"""Files to start from: own fixtures, what builders write, and small real files where there are any.

Files of the corpus may be damaged and read, but never kept: what is found with one of them is
shrunk until nothing of it is left but what makes the code go wrong.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import formats
from formats.core.model import Format, Neighbours, Source
from formats.core.source import BytesSource, NoNeighbours
from tests.builders import qcow2_cases, sqlserver_bak, sqlserver_packed, vhd, vhdx
from tests.contract import Subject
from tests.fuzz.seals import Seal, find_seals
from tests.samples import samples_of
from tests.strategies import hot_places

SEED_BYTES_MAX = 24 << 20
TAPE_BYTES_MAX = 1 << 20
SEEDS_MAX = 48
# A file with more findings than this takes too long to drive.
ROWS_MAX = 512


@dataclass(frozen=True)
class Seed:
    """One undamaged file, where its structures stand, and its sums."""

    label: str
    source: Source
    neighbours: Neighbours
    hot: Sequence[int]
    seals: tuple[Seal, ...]


def seeds_of(subject: Format) -> tuple[Seed, ...]:
    """Return the seeds of a format, own ones first."""
    found = (seed_of(subject, *item) for item in files_of(subject))
    return tuple(islice((item for item in found if item is not None), SEEDS_MAX))


def files_of(subject: Format) -> Iterator[tuple[str, Source, Neighbours]]:
    """Yield label, bytes and folder of every file to start from."""
    for label, content in built(subject.name):
        yield label, BytesSource(content), NoNeighbours()
    limit = TAPE_BYTES_MAX if subject.name == "sqlserver_bak" else SEED_BYTES_MAX
    # One of each length: logs that differ only in what is logged teach nothing new.
    lengths = set()
    for sample in samples_of(subject):
        source = sample.source()
        if source.size <= limit and source.size not in lengths:
            lengths.add(source.size)
            yield sample.label, source, sample.neighbours()


def seed_of(subject: Format, label: str, source: Source, neighbours: Neighbours) -> Seed | None:
    """Drive an undamaged file to see where its structures stand; None where that takes long."""
    driven = Subject(subject, source, neighbours).drive()
    if len(driven.evidence) > ROWS_MAX:
        return None
    hot = hot_places(driven, source.size) or [0]
    return Seed(label, source, neighbours, hot, find_seals(subject.name, source))


def built(format_name: str) -> Iterator[tuple[str, bytes]]:
    """Yield what the builders write, small variants that no fixture has."""
    match format_name:
        case "vhd":
            yield "built/growing", vhd.growing(4 << 16, {0: b"a" * 65536, 2: b"b" * 65536})
            yield (
                "built/child",
                vhd.growing(
                    4 << 16,
                    {1: b"c" * 65536},
                    parent=bytes(range(16)),
                    parent_name="parent.vhd",
                    paths={b"W2ku": "C:\\parent.vhd", b"W2ru": ".\\parent.vhd"},
                ),
            )
            yield "built/fixed", vhd.fixed(b"d" * 65536)
        case "vhdx":
            yield "built/dynamic", vhdx.dynamic()
            yield "built/differencing", vhdx.differencing()
            yield "built/log", vhdx_with_log()
        case "qcow2":
            for make in QCOW2_MAKERS:
                yield f"built/{make.__name__}", make()
        case "sqlserver_bak":
            for protection in ("checksum", "torn", "none"):
                yield f"built/{protection}", tape(protection)
            yield "built/packed", packed()
            # What does not shrink is stored as it is.
            yield "built/packed plain", packed(byte_values=256, log_blocks=1)
        case "mtf":
            # The same framing under another program's name and number.
            yield "built/foreign", foreign(tape("none"))


QCOW2_MAKERS = (
    qcow2_cases.snapshotted,
    qcow2_cases.extended,
    qcow2_cases.compressed,
    qcow2_cases.bitmapped,
    qcow2_cases.external,
    qcow2_cases.locked,
    qcow2_cases.child,
)


def vhdx_with_log() -> bytes:
    """A disk whose log has two entries that wait to be replayed."""
    head = vhdx.header(7, log_guid=vhdx.LOG_GUID)
    plain = vhdx.disk({0: vhdx.entry(6, 4)}, blocks={4: b"\1" * vhdx.MIB})
    table = plain[vhdx.BAT_AT : vhdx.BAT_AT + 4096]
    first = vhdx.log_entry(5, [vhdx.data_update(vhdx.BAT_AT, table)], tail=0, flushed=len(plain))
    second = vhdx.log_entry(6, [vhdx.zero_update(4 * vhdx.MIB, 4096)], tail=0, flushed=len(plain))
    return vhdx.disk(
        {0: vhdx.entry(6, 4)},
        blocks={4: b"\1" * vhdx.MIB},
        headers=(vhdx.header(6, log_guid=vhdx.LOG_GUID), head),
        log={0: first, len(first): second},
    )


def tape(protection: str) -> bytes:
    """A backup of a small database, and its log, on one medium."""
    file = io.BytesIO()
    medium = sqlserver_bak.Medium(file, 512)
    for letter in "DL":
        medium.add_set(
            sqlserver_bak.Recipe(
                database_bytes=512 << 10,
                letter=letter,
                protection=protection,
                checksum=protection == "torn",
                empty_pages=2,
                again=(1,) if letter == "D" else (),
                compressible=True,
                log_blocks=3,
            )
        )
    return file.getvalue()


def packed(**recipe) -> bytes:
    """A compressed backup of a small database."""
    file = io.BytesIO()
    recipe = {"database_bytes": 512 << 10, "mark_bytes": 512, "log_blocks": 3} | recipe
    sqlserver_packed.write_packed(file, **recipe)
    return file.getvalue()


def foreign(content: bytes) -> bytes:
    """Put another vendor's number and name into the tape header."""
    name, other = ("Microsoft " + last for last in ("SQL Server", "Windows NT"))
    renamed = content.replace(name.encode("utf-16-le"), other.encode("utf-16-le"))
    assert renamed != content
    return renamed[:86] + (0x0FFE).to_bytes(2, "little") + renamed[88:]


def subject_named(name: str) -> Format:
    """Return a format by its name."""
    found = formats.by_name(name)
    assert found is not None, f"no format is called {name!r}"
    return found
