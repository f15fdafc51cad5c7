"""Checks for files no format speaks for: whether there is anything in them at all."""

import numpy as np

from formats.core.model import Bearing, Evidence, Outcome
from scanner.config import DIGEST_BLOCK_BYTES, DIGEST_BYTES
from scanner.engine.reading import ZERO_DIGEST, zero_digest
from scanner.results import Stamps

CHECKS = {
    "generic.size": "The file has any bytes at all.",
    "generic.content": "The file holds a byte that is not zero.",
    "generic.tail": "The file does not end in whole blocks of zeros.",
    "generic.allocation": "The file system has allocated the blocks the file's size asks for.",
}

TAIL_BLOCKS_MIN = 1
ALLOCATED_MIN = 0.5
"""A file with less of its size allocated than this is sparse or was never filled."""


def checks(stamps: Stamps, digests: bytes) -> tuple[Evidence, ...]:
    """Return evidence about a file whose format is unknown; ``digests`` is one per block."""
    if not stamps.size:
        return (row("generic.size", 0, 0, "some bytes", "0 bytes"),)
    last = (stamps.size - 1) % DIGEST_BLOCK_BYTES + 1
    blocks = np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)
    zeros = (blocks == np.frombuffer(ZERO_DIGEST, np.uint8)).all(axis=1)
    zeros[-1] = digests[-DIGEST_BYTES:] == zero_digest(last)
    if zeros.all():
        return (row("generic.content", 0, stamps.size, "a byte that is not zero", "zeros"),)
    rows = []
    tail = int(np.argmin(zeros[::-1]))
    if tail > TAIL_BLOCKS_MIN:
        start = (len(zeros) - tail) * DIGEST_BLOCK_BYTES
        rows.append(row("generic.tail", start, stamps.size - start, "content", "zeros"))
    allocated = stamps.allocated_bytes
    if allocated is not None and allocated < stamps.size * ALLOCATED_MIN:
        expected, actual = f"about {stamps.size} bytes allocated", f"{allocated} bytes"
        rows.append(row("generic.allocation", 0, stamps.size, expected, actual))
    return tuple(rows)


def row(check: str, offset: int, length: int, expected: str, actual: str) -> Evidence:
    """Return one row; nothing here is sure enough to condemn a file by itself."""
    return Evidence(check, Outcome.MISMATCHED, offset, length, expected, actual, Bearing.DOUBTFUL)
