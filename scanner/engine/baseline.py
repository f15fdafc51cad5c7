"""Compare a reading with the file's baseline, and decide what becomes of the baseline.

A baseline is our own digest of every block, taken after the structure was proven. It belongs to
the images inside: another identity in the file means other images, not changed ones.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from formats.core.model import Bearing, Evidence, Outcome, WriteModel
from scanner.config import DIGEST_BLOCK_BYTES, DIGEST_BYTES, EVIDENCE_PER_CHECK_MAX
from scanner.engine.reading import UNREAD_DIGEST
from scanner.ledger.rows import Baseline
from scanner.results import BaselineAction, BaselineResult, Stamps

CHECK = "baseline.block.xxh3"
IMAGES_CHECK = "baseline.images.present"

Blocks: TypeAlias = npt.NDArray[np.int64]

IMAGES_SEPARATOR = "|"
"""Between the identities of a file's images in its identity key."""

MOSTLY_SAME = 0.9
"""A file that names no identity and shares this much with its baseline is the same one, changed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file this time."""

    identity_key: str | None
    write_model: WriteModel
    stamps: Stamps
    digests: bytes
    proven: bool
    read_at: datetime
    tail_digest: bytes | None = None
    """Digest of what now stands where the baseline's last, partial block was."""


def compare(
    reading: Reading, baseline: Baseline | None
) -> tuple[BaselineResult, tuple[Evidence, ...]]:
    """Return what becomes of the baseline, and evidence of every changed block."""
    if baseline is None:
        action = BaselineAction.ADOPT if reading.proven else BaselineAction.NONE
        return BaselineResult(action, reading.read_at), ()
    if not reading.proven:
        found = changes(reading, baseline, still=False)
        return BaselineResult(BaselineAction.KEEP, reading.read_at), found
    fewer = images_lost(reading, baseline)
    if not fewer and not same_images(reading, baseline):
        return BaselineResult(BaselineAction.ADOPT, reading.read_at, 0, replaced=True), ()
    evidence = (lost(reading, baseline),) if fewer else changes(reading, baseline, still=True)
    compared = min(reading.stamps.size, baseline.size)
    if evidence:
        return BaselineResult(BaselineAction.KEEP, baseline.taken_at, compared), evidence
    if changed_blocks(reading, baseline).size or reading.stamps.size != baseline.size:
        since = (
            baseline.taken_at if reading.write_model is WriteModel.APPEND_ONLY else reading.read_at
        )
        return BaselineResult(BaselineAction.ADOPT, since, compared), ()
    return BaselineResult(BaselineAction.RENEW, baseline.taken_at, compared), ()


def same_images(reading: Reading, baseline: Baseline) -> bool:
    """Whether the images of the baseline are still what lies in the file."""
    now, before = reading.identity_key, baseline.identity_key
    if now is None or before is None:
        return now == before
    if reading.write_model is WriteModel.APPEND_ONLY:
        return now == before or now.startswith(before + IMAGES_SEPARATOR)
    return now == before


def images_lost(reading: Reading, baseline: Baseline) -> bool:
    """Whether a file that only grows ends before its last images now; nothing in it says so."""
    now, before = reading.identity_key, baseline.identity_key
    if reading.write_model is not WriteModel.APPEND_ONLY or now is None or before is None:
        return False
    return before.startswith(now + IMAGES_SEPARATOR)


def lost(reading: Reading, baseline: Baseline) -> Evidence:
    """Return evidence of images that are not in the file any more; the others are as they were."""
    return Evidence(
        IMAGES_CHECK,
        Outcome.TRUNCATED,
        expected=f"{image_count(baseline.identity_key)} images in {baseline.size} bytes",
        actual=f"{image_count(reading.identity_key)} in {reading.stamps.size} bytes",
        bearing=Bearing.DOUBTFUL,
    )


def image_count(key: str | None) -> int:
    """Return how many images an identity key speaks of."""
    return len(key.split(IMAGES_SEPARATOR)) if key else 0


def changes(reading: Reading, baseline: Baseline, *, still: bool) -> tuple[Evidence, ...]:
    """Return evidence of changed blocks, where a change means something.

    ``still`` False says that the structure is not proven any more: then only bytes that changed
    behind unchanged stamps are news; the structure's own evidence says the rest.
    """
    blocks = changed_blocks(reading, baseline)
    if not blocks.size:
        return ()
    bearing = meaning(reading, baseline, len(blocks))
    if bearing is None or (not still and bearing is not Bearing.NEEDED):
        return ()
    return rows(blocks, reading, baseline, bearing)


def meaning(reading: Reading, baseline: Baseline, changed: int) -> Bearing | None:
    """Return what changed blocks mean; None means nothing."""
    before, stamps = baseline.stamps, reading.stamps
    if before.same_content(stamps):
        return Bearing.NEEDED  # nobody wrote, and yet the bytes are others
    if not same_images(reading, baseline):
        return None
    if reading.write_model is not WriteModel.REWRITTEN and reading.identity_key is not None:
        return Bearing.NEEDED
    if (before.size, before.mtime_ns) == (stamps.size, stamps.mtime_ns):
        return Bearing.DOUBTFUL  # the content changed and its time did not
    total = max(len(baseline.digests) // DIGEST_BYTES, 1)
    mostly_same = total - changed >= total * MOSTLY_SAME
    if reading.write_model is WriteModel.WRITE_ONCE and mostly_same:
        return Bearing.DOUBTFUL
    return None


def changed_blocks(reading: Reading, baseline: Baseline) -> Blocks:
    """Return the indexes of the blocks that both sides know and that differ."""
    whole = min(reading.stamps.size, baseline.size) // DIGEST_BLOCK_BYTES
    now = np.frombuffer(reading.digests, np.uint8).reshape(-1, DIGEST_BYTES)
    before = np.frombuffer(baseline.digests, np.uint8).reshape(-1, DIGEST_BYTES)
    if reading.stamps.size != baseline.size:
        now, before = now[:whole], before[:whole]
    unread = np.frombuffer(UNREAD_DIGEST, np.uint8)
    known = (now != unread).any(axis=1) & (before != unread).any(axis=1)
    different = np.flatnonzero(known & (now != before).any(axis=1)).astype(np.int64)
    last = baseline.digests[-DIGEST_BYTES:]
    if reading.tail_digest is not None and last not in (reading.tail_digest, UNREAD_DIGEST):
        different = np.append(different, len(baseline.digests) // DIGEST_BYTES - 1)
    return different


def rows(
    blocks: Blocks,
    reading: Reading,
    baseline: Baseline,
    bearing: Bearing,
) -> tuple[Evidence, ...]:
    """Return one row per changed block, up to the limit, and one for the rest."""
    made = [
        Evidence(
            CHECK,
            Outcome.MISMATCHED,
            int(block) * DIGEST_BLOCK_BYTES,
            min(DIGEST_BLOCK_BYTES, baseline.size - int(block) * DIGEST_BLOCK_BYTES),
            block_digest(baseline.digests, int(block)),
            present_digest(reading, baseline, int(block)),
            bearing,
        )
        for block in blocks[:EVIDENCE_PER_CHECK_MAX]
    ]
    if len(blocks) > EVIDENCE_PER_CHECK_MAX:
        more = len(blocks) - EVIDENCE_PER_CHECK_MAX
        made.append(Evidence(CHECK, Outcome.MISMATCHED, bearing=bearing, count=more))
    return tuple(made)


def present_digest(reading: Reading, baseline: Baseline, block: int) -> str:
    """Return the digest of what stands now where a block of the baseline was."""
    partial = (block + 1) * DIGEST_BLOCK_BYTES > baseline.size
    if partial and reading.tail_digest is not None:
        return reading.tail_digest.hex()
    return block_digest(reading.digests, block)


def block_digest(digests: bytes, block: int) -> str:
    """Return one block's digest in hex."""
    return digests[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES].hex()
