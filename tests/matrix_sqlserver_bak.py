"""What damage to a SQL Server backup is noticed, measured on real files.

`python -m tests.matrix_sqlserver_bak [files [rounds]]` prints the table; the suite asserts a small
part of it. Places are drawn evenly over the file, or over one kind of structure.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from formats.core.source import BytesSource
from formats.mtf.walk import Block, Walker
from formats.sqlserver_bak import FORMAT
from formats.sqlserver_bak.sets import KINDS
from tests import damage
from tests.drive import drive
from tests.samples import corpus_root

# A dozen files: plain, with backup checksums, log, differential, appended, torn, compressed.
FILES = (
    "02_DBWithoutOwner.bak",
    "07_OlaMsFilterTest.bak",
    "18_OlaMsFilterTest.bak",
    "30_RestoreTimeStripe.trn",
    "42_DB_QLBH.bak",
    "43_EF_QLSCXeMay.bak",
    "60_RestoreTimeClean.trn",
    "67_TutorialDB.bak",
    "72_MyDB.bak",
    "83_SpsSecurity.trn",
    "84_SpsSecurity.bak",
    "91_Chinook.bak",
)
PAGE_BYTES = 8192
HEADER_BYTES, STREAM_HEADER_BYTES = 52, 22

Range = tuple[int, int]


@dataclass(frozen=True)
class Subject:
    """One file, and the bytes of each kind of structure in it."""

    name: str
    content: bytes
    structures: dict[str, list[Range]]
    before: Counter

    @property
    def family(self) -> str:
        """Return which column of the table the file belongs to."""
        if self.content.startswith(b"MSSQLBAK"):
            return "compressed"
        return "with CHECKSUM" if b"CSUM" in self.content else "plain"


def load(path: Path) -> Subject:
    """Read a file and find its structures."""
    content = path.read_bytes()
    structures = dict(structures_of(content)) if content.startswith(b"TAPE") else {}
    return Subject(path.name, content, structures, bad_rows(content))


def structures_of(content: bytes) -> Iterator[tuple[str, list[Range]]]:
    """Yield the ranges of each kind of structure."""
    found: dict[str, list[Range]] = {}
    walker = Walker(BytesSource(content), 0, KINDS)
    for block in walker:
        assert isinstance(block, Block)
        found.setdefault("block header", []).append((block.offset, HEADER_BYTES))
        body = block.offset + HEADER_BYTES
        name = "filemark" if block.kind == b"SFMB" else "block body"
        found.setdefault(name, []).append((body, len(block.body) - HEADER_BYTES))
        for stream in block.streams:
            found.setdefault("stream header", []).append((stream.offset, STREAM_HEADER_BYTES))
            kind = {b"SPAD": "padding", b"APAD": "padding", b"OTCP": "padding"}.get(stream.name)
            name = kind or stream.name.decode("ascii")
            found.setdefault(name, []).append((stream.data_offset, stream.length))
    yield from found.items()


def bad_rows(content: bytes) -> Counter:
    """Return everything that speaks against a file."""
    return Counter(drive(FORMAT, BytesSource(content)).bad)


def cut(subject: Subject, random: Random) -> bytes:
    """Cut the file anywhere behind its first block."""
    return damage.cut(subject.content, random.randrange(1, len(subject.content)))


def cut_one(subject: Subject, _random: Random) -> bytes:
    """Cut the last byte off."""
    return damage.cut(subject.content, len(subject.content) - 1)


def zero_tail(subject: Subject, random: Random) -> bytes:
    """Zero everything behind a place, and keep the size."""
    start = random.randrange(512, len(subject.content) - 512) // 512 * 512
    return damage.zero(subject.content, start, len(subject.content) - start)


def hole(length: int) -> Callable[[Subject, Random], bytes | None]:
    """Zero a stretch of the file."""

    def dig(subject: Subject, random: Random) -> bytes | None:
        if len(subject.content) <= length + PAGE_BYTES:
            return None
        start = random.randrange(0, (len(subject.content) - length) // 4096) * 4096
        if not any(subject.content[start : start + length]):
            return None
        return damage.zero(subject.content, start, length)

    return dig


def swap(subject: Subject, random: Random) -> bytes | None:
    """Exchange two ranges of the size of a page."""
    places = sorted(random.sample(range(len(subject.content) // PAGE_BYTES), 2))
    one, two = (place * PAGE_BYTES for place in places)
    first, second = (subject.content[place : place + PAGE_BYTES] for place in (one, two))
    return None if first == second else damage.swap(subject.content, one, two, PAGE_BYTES)


def flip(subject: Subject, random: Random) -> bytes:
    """Flip a bit anywhere."""
    return damage.flip(subject.content, random.randrange(len(subject.content)), random.randrange(8))


def flip_in(structure: str) -> Callable[[Subject, Random], bytes | None]:
    """Flip a bit in one kind of structure."""

    def change(subject: Subject, random: Random) -> bytes | None:
        ranges = [item for item in subject.structures.get(structure, []) if item[1] > 0]
        if not ranges:
            return None
        start, length = random.choices(ranges, [item[1] for item in ranges])[0]
        return damage.flip(subject.content, start + random.randrange(length), random.randrange(8))

    return change


DAMAGES: dict[str, Callable[[Subject, Random], bytes | None]] = {
    "cut anywhere": cut,
    "cut by one byte": cut_one,
    "tail zeroed, same size": zero_tail,
    "hole of 1 MiB": hole(1 << 20),
    "hole of 4 KiB": hole(4096),
    "two pages' bytes exchanged": swap,
    "bit anywhere": flip,
    "bit in block header": flip_in("block header"),
    "bit in stream header": flip_in("stream header"),
    "bit in padding": flip_in("padding"),
    "bit in filemark": flip_in("filemark"),
    "bit in page data": flip_in("MQDA"),
    "bit in log": flip_in("MQTL"),
    "bit in configuration": flip_in("MQCI"),
    "bit in set map": flip_in("TSMP"),
    "bit in media stream": flip_in("RAID"),
    "bit in block body": flip_in("block body"),
}


def measure(
    subjects: Sequence[Subject], kinds: Sequence[str], rounds: int, random: Random
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return for each damage and family of files how often it was noticed, and how often tried."""
    table: dict[tuple[str, str], tuple[int, int]] = {}
    for kind in kinds:
        for subject in subjects:
            for _ in range(rounds):
                damaged = DAMAGES[kind](subject, random)
                if damaged is None:
                    continue
                noticed, tried = table.get((kind, subject.family), (0, 0))
                found = bad_rows(damaged) != subject.before
                table[kind, subject.family] = (noticed + found, tried + 1)
    return table


def load_all(names: Sequence[str] = FILES) -> list[Subject]:
    """Read the files from the corpus, as far as it is there."""
    root = corpus_root()
    return [load(root / "sqlserver" / name) for name in names] if root else []


def main() -> None:
    """Print the table."""
    files, rounds = (int(text) for text in (*sys.argv[1:3], *("12", "10")[len(sys.argv) - 1 :]))
    subjects = load_all(FILES[:files])
    table = measure(subjects, tuple(DAMAGES), rounds, Random(1))  # noqa: S311 - no secret
    families = ("plain", "with CHECKSUM", "compressed")
    sys.stdout.write(f"{'':28}" + "".join(f"{name:>18}" for name in families) + "\n")
    for kind in DAMAGES:
        cells = [table.get((kind, family)) for family in families]
        texts = [f"{100 * cell[0] / cell[1]:.0f} % of {cell[1]}" if cell else "-" for cell in cells]
        sys.stdout.write(f"{kind:28}" + "".join(f"{text:>18}" for text in texts) + "\n")


if __name__ == "__main__":
    main()
