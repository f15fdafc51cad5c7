"""The words every format speaks: who an image is, which bytes to check, and what came out.

A format is a record of pure functions (`Format`). The scanner drives them in this order:

    probe(source)                      is it this format?
    inspect(source, neighbours)        one `Inspection` per image: facts, and evidence so far
    extents(source, inspections)       `ExtentBatch`es: which bytes to check, and how
    conclude(parts)                    what can be judged only when every byte has been seen

Between `extents` and `conclude` the engine reads the whole file once, runs the checks of every
batch on the bytes as they pass, and gathers evidence and tallies. Everything here is plain data:
it pickles, it can be stored, and it may be handled in any order by any number of workers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Columns: TypeAlias = npt.NDArray[np.void]
"""A structured array: one row per fact, one field per column."""

Tally: TypeAlias = Mapping[str, Columns]
"""Named tables that can be judged only together with other bytes. Two tallies of one image are
merged by concatenating their tables, in any order; a row therefore carries its own position."""

EXTENT_ROWS_MAX = 65_536

PAYLOAD_TABLE = "payload"
PAYLOAD_ROWS = np.dtype([("bytes", "<u8"), ("nonzero_bytes", "<u8")])
"""Rows of the tally table `PAYLOAD_TABLE`: what a kernel saw of the source's own bytes, where only
the kernel can see them because it decodes them. ``nonzero_bytes`` is an upper bound, 0 is exact.
They count as what `Payload` says of bytes that are stored as they are."""


class Source(Protocol):
    """Bytes that can be read at any offset by any thread; no cursor."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes, or raise `Truncated`; ``OSError`` passes through."""


class Neighbours(Protocol):
    """How a format reaches a second file: confined to the repository, bounded, read-only."""

    def names(self) -> Sequence[str]:
        """Names of the files in the same folder, sorted."""

    def open(self, name: str) -> Source | None:
        """Open a file by its name relative to the folder; None where there is none."""


class Kind(StrEnum):
    """What an image holds, relative to other images of its source."""

    FULL = "full"
    DIFFERENTIAL = "differential"  # against the last full
    INCREMENTAL = "incremental"  # against the image before it
    LOG = "log"


class Outcome(StrEnum):
    """What came out of one check on some bytes."""

    MATCHED = "matched"
    MISMATCHED = "mismatched"
    UNSTEADY = "unsteady"  # failed, then matched when read again: hardware, not damage
    ABSENT = "absent"  # the format declares nothing here
    TRUNCATED = "truncated"  # the bytes are missing
    UNREADABLE = "unreadable"  # the storage refuses them
    UNSUPPORTED = "unsupported"  # not readable by this code, or locked


class Bearing(StrEnum):
    """What a bad outcome means for a restore. The format knows; the verdict only obeys."""

    NEEDED = "needed"  # the restore needs these bytes
    REDUNDANT = "redundant"  # a second copy or a derivable value; the restore works without
    DOUBTFUL = "doubtful"  # either harmless or fatal, and nothing in the file tells which


class WriteModel(StrEnum):
    """What a program does to a finished file, so what a changed byte means."""

    WRITE_ONCE = "write-once"
    APPEND_ONLY = "append-only"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True)
class Evidence:
    """This check, on these bytes, had this outcome: one type for good and bad news.

    ``offset`` and ``length`` are bytes in ``member`` (a name relative to the image's folder; empty
    for the file itself). ``count`` is how many elements the row speaks of. ``vouched_bytes`` is how
    many bytes any single changed byte of which this check would have noticed, and that no other
    row of the same image counts; structural plausibility vouches for none. ``expected`` and
    ``actual`` are short printable values, never content.
    """

    check: str
    outcome: Outcome
    offset: int | None = None
    length: int | None = None
    expected: str | None = None
    actual: str | None = None
    bearing: Bearing = Bearing.NEEDED
    member: str = ""
    count: int = 1
    vouched_bytes: int = 0

    @property
    def bad(self) -> bool:
        """Whether this row speaks against the image."""
        return self.outcome not in (Outcome.MATCHED, Outcome.ABSENT)


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """A name an image calls itself by, within a scheme; compared, never interpreted."""

    scheme: str
    value: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.value}"


@dataclass(frozen=True, slots=True)
class ParentRef:
    """An image this one needs. Any of ``identities`` may match; ``names`` are hints only.

    ``weak`` says that the format declares no identity for its parent, so a name is all there is.
    """

    identities: tuple[Identity, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def weak(self) -> bool:
        """Whether only a name links the two."""
        return not self.identities


@dataclass(frozen=True, slots=True)
class Position:
    """Where an image stands in its chain: a number, or a half-open range (LSNs)."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PieceOf:
    """This file is one piece of something larger: piece ``number`` (from 1) of ``count``.

    Pieces with the same ``identity`` are joined; image *i* of one piece belongs to image *i* of
    the others.
    """

    identity: Identity
    number: int
    count: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of one image, even of a damaged one. Unknown is None, never 0.

    Sizes are bytes. ``source_bytes`` is the size of what was backed up, ``used_bytes`` how much of
    it was in use, ``payload_bytes`` how much of it this image stores, ``needed_bytes`` the smallest
    file that holds everything the image's own map refers to. A ``created_at`` without a zone is
    local time of the machine that made the backup. ``facts`` are the format's own fields under
    their vendor's names: text, numbers, booleans, None, or lists and mappings of these.
    ``state`` is for the format's own later steps and means nothing to anyone else.
    """

    kind: Kind | None = None
    title: str | None = None
    identities: tuple[Identity, ...] = ()
    lineage: str | None = None
    parents: tuple[ParentRef, ...] = ()
    position: Position | None = None
    piece: PieceOf | None = None
    source: str | None = None
    created_at: datetime | None = None
    source_bytes: int | None = None
    used_bytes: int | None = None
    payload_bytes: int | None = None
    needed_bytes: int | None = None
    members: tuple[str, ...] = ()
    in_progress: bool = False
    complete: bool = True
    facts: Mapping[str, object] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    state: object = None


class Algorithm(StrEnum):
    """Sums a format may declare over an extent."""

    CRC32 = "crc32"
    CRC32C = "crc32c"
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    ZEROS = "zeros"  # every byte is zero; no digest column


class Codec(StrEnum):
    """How an extent is stored."""

    DEFLATE = "deflate"  # raw deflate, no header
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True)
class Declared:
    """Each extent's bytes (decoded where ``codec`` is given) must have the digest of its row.

    Without an ``algorithm`` the extent must decode to exactly ``plain_length`` bytes, which is a
    weak test and vouches for nothing. ``slack`` allows stored bytes after the end of the stream
    (writers that round up to sectors).
    """

    algorithm: Algorithm | None
    codec: Codec | None = None
    slack: bool = False


@dataclass(frozen=True, slots=True)
class KernelResult:
    """What a kernel says of one run of elements: bad evidence, good evidence, and tallies."""

    evidence: tuple[Evidence, ...] = ()
    tally: Tally = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Examined:
    """A format's own kernel over elements of ``stride`` bytes, counted from the extent's offset.

    ``kernel(elements, offset, origin)`` gets whole elements, C-contiguous, starting at ``offset``
    in the file, of an extent that starts at ``origin``; a last element shorter than the stride is
    handed over as it is. It must be pure, must not keep the buffer, and gets each element exactly
    once, in any grouping and any order. ``tables`` gives the dtype of each tally table.

    Sums embedded every so many bytes are kernels too: the stride is the distance between them.
    """

    kernel: Callable[[npt.NDArray[np.uint8], int, int], KernelResult]
    stride: int
    tables: Mapping[str, np.dtype[np.void]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes of the source itself: nothing to compare, but an image of only zeros is empty."""


Check: TypeAlias = Declared | Examined | Payload


@dataclass(frozen=True, slots=True)
class ExtentBatch:
    """Up to `EXTENT_ROWS_MAX` extents under one check of one image.

    Columns are int64 bytes, as stored; ``offset`` is sorted and rows are disjoint and inside the
    member. Batches may overlap each other. Bytes under no check are not listed: the engine reads
    the whole file anyway. ``check_id`` is where results are filed.
    """

    check: Check
    check_id: str
    image_index: int
    offset: npt.NDArray[np.int64]
    stored_length: npt.NDArray[np.int64]
    plain_length: npt.NDArray[np.int64] | None = None
    digest: npt.NDArray[np.uint8] | None = None
    bearing: Bearing = Bearing.NEEDED


@dataclass(frozen=True, slots=True)
class Part:
    """One member of an image as `conclude` sees it: its facts, and the tallies of all its bytes."""

    inspection: Inspection
    tally: Tally
    member: str = ""
    unreadable: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A backup format: facts about it, and pure functions that read it.

    ``revision`` rises when evidence of an older revision must be gathered again. ``checks`` maps
    every check id to one sentence saying what it proves. ``integrity`` is what an undamaged file
    lets us prove, ``samples`` which program versions the tested files came from. A format that is
    only recognised has ``supported`` False and reports itself as unsupported. ``first_bytes`` are
    the values a file's first byte must have for ``probe`` to be worth asking; None is any.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    references: tuple[str, ...]
    revision: int
    write_model: WriteModel
    integrity: str
    limitations: str
    samples: str
    checks: Mapping[str, str]
    probe: Callable[[Source], bool]
    inspect: Callable[[Source, Neighbours], tuple[Inspection, ...]]
    extents: Callable[[Source, Sequence[Inspection]], Iterator[ExtentBatch]]
    conclude: Callable[[Sequence[Part]], tuple[Evidence, ...]]
    supported: bool = True
    open_ended: bool = False
    first_bytes: frozenset[int] | None = None


def no_extents(_source: Source, _inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Return no batches: everything this format can check was checked by `inspect`."""
    return iter(())


def no_conclusion(_parts: Sequence[Part]) -> tuple[Evidence, ...]:
    """Return no evidence: nothing in this format is judged from tallies."""
    return ()
