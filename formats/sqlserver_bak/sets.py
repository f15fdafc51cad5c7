"""Cut a medium's walk into backup sets, across whatever is broken in between.

Seen, and the same in every file of SQL Server 2005 to 2025:

    TAPE SFMB { SSET VOLB MSCI (MSDA)* (MSTL)* MSLS SFMB ESET ESET SFMB }*

Where the walk ends before the file does, the filemarks that the file's last block lists tell where
to go on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from formats.core.model import Evidence, Source
from formats.mtf.filemarks import filemarks_behind
from formats.mtf.structures import FILEMARK, KINDS_OF_MTF
from formats.mtf.walk import Block, End, Gap, Stop, Walker

SET = b"SSET"
VOLUME = b"VOLB"
CONFIG = b"MSCI"
DATA = b"MSDA"
LOG = b"MSTL"
SUMMARY = b"MSLS"
SET_END = b"ESET"
TAPE = b"TAPE"

KINDS = KINDS_OF_MTF | {CONFIG, DATA, LOG, SUMMARY}
SETS_MAX = 16_384
WALKS_MAX = 1_024


@dataclass(slots=True)
class Chunk:
    """The blocks of one backup set, or those outside of any, in order; gaps among them."""

    is_set: bool
    items: list[Block | Gap] = field(default_factory=list)
    stop: Stop | None = None

    @property
    def blocks(self) -> Iterator[Block]:
        """Its blocks."""
        return (item for item in self.items if isinstance(item, Block))

    @property
    def gaps(self) -> Iterator[Gap]:
        """What lies between its blocks and is none."""
        return (item for item in self.items if isinstance(item, Gap))

    def kind(self, kind: bytes) -> list[Block]:
        """Return its blocks of one kind."""
        return [item for item in self.blocks if item.kind == kind]

    def first(self, kind: bytes) -> Block | None:
        """Return its first block of one kind."""
        return next((item for item in self.blocks if item.kind == kind), None)

    @property
    def closed(self) -> bool:
        """Whether its last filemark was seen whole: the one behind the end-of-set blocks."""
        last = self.items[-1] if self.items else None
        if not isinstance(last, Block) or last.kind != FILEMARK or not last.whole:
            return False
        return bool(self.kind(SET_END))

    @property
    def end(self) -> int:
        """Where its last block ends."""
        return max((item.end for item in self.items), default=0)


def chunks(source: Source) -> Iterator[Chunk]:
    """Yield what stands before the first set, then every set; the last chunk has the stop."""
    current = Chunk(is_set=False)
    found = 0
    for item in items(source):
        if isinstance(item, Stop):
            current.stop = item
            break
        if begins_set(current, item):
            found += 1
            yield current
            if found > SETS_MAX:
                return
            current = Chunk(is_set=True)
        current.items.append(item)
    yield current


def begins_set(current: Chunk, item: Block | Gap) -> bool:
    """Whether ``item`` belongs to the next set already."""
    if isinstance(item, Gap):
        # Lost bytes behind a finished set, or behind the tape header, are the next set's.
        return current.closed or (not current.is_set and current.first(FILEMARK) is not None)
    if item.kind == SET:
        return not (current.is_set and not any(current.blocks))
    return current.closed or (not current.is_set and item.kind not in (TAPE, FILEMARK))


def items(source: Source) -> Iterator[Block | Gap | Stop]:
    """Yield blocks and gaps to the end of the medium, and at last why there are no more."""
    start = 0
    marks: tuple[int, ...] | None = None
    for _ in range(WALKS_MAX):
        walker = Walker(source, start, KINDS)
        yield from walker
        stop = walker.stop
        assert stop is not None, "the walk has ended"
        if stop.end in (End.ZEROS, End.BROKEN) and marks is None:
            marks = filemarks_behind(source, stop.offset + 1)
        behind = next((item for item in marks or () if item > stop.offset), None)
        if behind is None or stop.end not in (End.ZEROS, End.BROKEN) or stop.evidence is None:
            yield stop
            return
        yield Gap(stop.offset, behind, stop.evidence)
        start = behind


def block_rows(chunk: Chunk) -> Iterator[Evidence]:
    """Yield what the walk found wrong in a chunk."""
    for item in chunk.items:
        if isinstance(item, Gap):
            yield item.evidence
        else:
            yield from item.evidence
