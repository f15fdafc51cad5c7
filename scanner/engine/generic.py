"""Checks for files no format speaks for: whether there is anything in them at all."""

import posixpath
from collections.abc import Mapping, Sequence

import numpy as np

import formats
from formats.core.model import Bearing, Evidence, Format, Outcome
from scanner.config import DIGEST_BLOCK_BYTES, DIGEST_BYTES
from scanner.engine.reading import ZERO_DIGEST, zero_digest
from scanner.results import Stamps

CHECKS: Mapping[str, str] = {
    "generic.size": "The file has any bytes at all.",
    "generic.content": "The file holds a byte that is not zero.",
    "generic.name": "A file named like a format this version reads is of that format.",
    "generic.tail": "The file does not end in whole blocks of zeros.",
    "generic.allocation": "The file system has allocated the blocks the file's size asks for.",
}

BY_SUFFIX: Mapping[str, Sequence[Format]] = formats.suffixes()

TAIL_BLOCKS_MIN = 1
ALLOCATED_MIN = 0.5
"""A file with less of its size allocated than this is sparse or was never filled."""


def checks(stamps: Stamps, digests: bytes) -> tuple[Evidence, ...]:
    """Return evidence about a file whose format is unknown; ``digests`` is one per block."""
    if not stamps.size:
        return (row("generic.size", 0, 0, "some bytes", "0 bytes"),)
    tail, blocks = zero_tail(stamps.size, digests), len(digests) // DIGEST_BYTES
    if tail == blocks:
        return (row("generic.content", 0, stamps.size, "a byte that is not zero", "zeros"),)
    rows = []
    if tail > TAIL_BLOCKS_MIN:
        start = (blocks - tail) * DIGEST_BLOCK_BYTES
        rows.append(row("generic.tail", start, stamps.size - start, "content", "zeros"))
    allocated = stamps.allocated_bytes
    if allocated is not None and allocated < stamps.size * ALLOCATED_MIN:
        expected, actual = f"about {stamps.size} bytes allocated", f"{allocated} bytes"
        rows.append(row("generic.allocation", None, None, expected, actual))
    return tuple(rows)


def zero_tail(size: int, digests: bytes) -> int:
    """Return how many whole blocks at the end of a file are zeros."""
    last = (size - 1) % DIGEST_BLOCK_BYTES + 1
    if digests[-DIGEST_BYTES:] != zero_digest(last):
        return 0
    blocks = np.frombuffer(digests[:-DIGEST_BYTES], np.uint8).reshape(-1, DIGEST_BYTES)
    zeros = (blocks == np.frombuffer(ZERO_DIGEST, np.uint8)).all(axis=1)
    return 1 + (len(zeros) if zeros.all() else int(np.argmin(zeros[::-1])))


def of_stranger(
    path: str, stamps: Stamps, digests: bytes, known: Format | None
) -> tuple[Evidence, ...]:
    """Return all evidence about a file that no format reads."""
    if known is not None:
        return misnamed(path, known)
    rows = checks(stamps, digests)
    nothing_there = any(item.check in ("generic.size", "generic.content") for item in rows)
    return rows if nothing_there else (*rows, *misnamed(path, known))


def misnamed(path: str, known: Format | None) -> tuple[Evidence, ...]:
    """Return evidence that a file is not what its name says.

    A backup that lost the end (or start) it is known by looks like something else, or like
    nothing at all; its name is the only trace left.
    """
    suffix = posixpath.splitext(path)[1].lower()
    alike = BY_SUFFIX.get(suffix, ())
    # A recognised format that has the name of another one is nothing unusual (.img, .raw).
    named = next((item for item in alike if item.supported or known is None), None)
    if named is None:
        return ()
    actual = known.title if known is not None else "no mark of any known format"
    # Suffixes of raw disks are those of every file system: to name one of them would mislead.
    several = len(alike) > 1 and not named.supported
    return (
        Evidence(
            "generic.name",
            Outcome.MISMATCHED,
            expected=f"one of {len(alike)} formats with this suffix" if several else named.title,
            actual=actual,
            bearing=Bearing.DOUBTFUL,
        ),
    )


def row(check: str, offset: int | None, length: int | None, expected: str, actual: str) -> Evidence:
    """Return one row; nothing here is sure enough to condemn a file by itself."""
    return Evidence(check, Outcome.MISMATCHED, offset, length, expected, actual, Bearing.DOUBTFUL)
