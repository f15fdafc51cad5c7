"""Formats made for tests: small, with every kind of check, and nothing of a real one."""

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyzstd
from isal import isal_zlib

from formats.core.errors import FormatError
from formats.core.model import (
    Algorithm,
    Bearing,
    Check,
    Codec,
    Declared,
    Evidence,
    Examined,
    ExtentBatch,
    Format,
    Identity,
    Inspection,
    KernelResult,
    Kind,
    Neighbours,
    Outcome,
    ParentRef,
    Part,
    Payload,
    Source,
    WriteModel,
)
from formats.core.source import starts_with
from tests.drive import DIGESTS

MAGIC = b"TOY!"
BLOCK = "toy.block.sum"
CLAIM = "toy.extent.sum"
PADDING = "toy.padding.zeros"
SEEN = "toy.block.seen"
LOST = FormatError("toy.map.entry", offset=123, length=8, expected="a place", actual="none")
TABLE = np.dtype([("offset", "<i8"), ("length", "<i4"), ("first", "u1")])


def block_sums(stride: int) -> Examined:
    """Return a check by kernel: the last byte of each element is the sum of those before it.

    A shorter last element has no sum. Every element is put down in a tally.
    """

    def kernel(elements: np.ndarray, offset: int, origin: int) -> KernelResult:
        assert elements.flags.c_contiguous
        assert (offset - origin) % stride == 0
        whole = len(elements) // stride
        blocks = elements[: whole * stride].reshape(whole, stride)
        sums = blocks[:, :-1].sum(axis=1, dtype=np.uint64).astype(np.uint8)
        wrong = np.flatnonzero(sums != blocks[:, -1])
        rows = [
            Evidence(
                BLOCK,
                Outcome.MISMATCHED,
                offset + int(index) * stride,
                stride,
                f"{blocks[index, -1]:02x}",
                f"{sums[index]:02x}",
            )
            for index in wrong
        ]
        if whole > len(wrong):
            good = whole - len(wrong)
            rows.append(
                Evidence(BLOCK, Outcome.MATCHED, count=good, vouched_bytes=good * (stride - 1))
            )
        return KernelResult(tuple(rows), {"seen": seen(elements, offset, stride)})

    return Examined(kernel, stride, {"seen": TABLE})


def seen(elements: np.ndarray, offset: int, stride: int) -> np.ndarray:
    """Return one row per element, the last one perhaps shorter."""
    starts = np.arange(0, len(elements), stride)
    table = np.zeros(len(starts), TABLE)
    table["offset"] = offset + starts
    table["length"] = np.minimum(stride, len(elements) - starts)
    table["first"] = elements[starts]
    return table


def with_sums(content: bytes, stride: int) -> bytes:
    """Return content whose elements end in their sums."""
    whole = len(content) // stride * stride
    blocks = np.frombuffer(content[:whole], np.uint8).reshape(-1, stride).copy()
    blocks[:, -1] = blocks[:, :-1].sum(axis=1, dtype=np.uint64).astype(np.uint8)
    return blocks.tobytes() + content[whole:]


def batch(
    check: Check,
    extents: Sequence[tuple[int, int]],
    *,
    check_id: str = CLAIM,
    image_index: int = 0,
    plain: Sequence[int] | None = None,
    digests: Sequence[bytes] | None = None,
    bearing: Bearing = Bearing.NEEDED,
) -> ExtentBatch:
    """Return a batch of (offset, length) extents."""
    width = len(digests[0]) if digests else 0
    joined = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, width) if digests else None
    return ExtentBatch(
        check,
        check_id,
        image_index,
        np.array([offset for offset, _ in extents], np.int64),
        np.array([length for _, length in extents], np.int64),
        None if plain is None else np.array(plain, np.int64),
        joined,
        bearing,
    )


def claims(
    content: bytes, extents: Sequence[tuple[int, int]], algorithm: Algorithm, **more: object
) -> ExtentBatch:
    """Return a batch that declares the sums these extents have in ``content``."""
    digests = [DIGESTS[algorithm](content[start : start + length]) for start, length in extents]
    return batch(Declared(algorithm), extents, digests=digests, **more)


def packed(plain: bytes, codec: Codec) -> bytes:
    """Return what ``plain`` is stored as."""
    match codec:
        case Codec.ZSTD:
            return pyzstd.compress(plain)
        case Codec.DEFLATE:
            stream = isal_zlib.compressobj(1, wbits=-15)
            return stream.compress(plain) + stream.flush()


def digest_of(plain: bytes, algorithm: Algorithm | None) -> bytes | None:
    """Return the sum of an extent, where one is declared."""
    return None if algorithm is None else DIGESTS[algorithm](plain)


def no_blocks(_source: Source, _inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Return no batches."""
    return iter(())


def judged_by_tally(parts: Sequence[Part]) -> tuple[Evidence, ...]:
    """Return one row that says which elements were seen: lost or doubled ones change it."""
    tables = [part.tally["seen"] for part in parts if "seen" in part.tally]
    if not tables:
        return ()
    table = np.sort(np.concatenate(tables), order="offset")
    said = hashlib.sha256(table.tobytes()).hexdigest()[:16]
    row = Evidence(SEEN, Outcome.MATCHED, count=len(table), expected=said)
    return (row,)


def toy(
    batches: Callable[[Source], Sequence[ExtentBatch]] | None = None,
    *,
    identity: str | None = "one",
    name: str = "toy",
    write_model: WriteModel = WriteModel.REWRITTEN,
    revision: int = 1,
    **inspection: object,
) -> Format:
    """Return a format of one image per file, with these batches."""
    identities = () if identity is None else (Identity("toy", identity),)
    facts = {
        "identities": identities,
        "evidence": (Evidence("toy.magic.bytes", Outcome.MATCHED, 0, 4, vouched_bytes=4),),
    }
    image = Inspection(**(facts | inspection))

    def extents(source: Source, _inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
        return iter(batches(source) if batches else ())

    return Format(
        name=name,
        title="A format of tests",
        suffixes=(f".{name}",),
        references=(),
        revision=revision,
        write_model=write_model,
        integrity="",
        limitations="",
        samples="",
        checks={},
        probe=lambda source: starts_with(source, MAGIC),
        inspect=lambda _source, _neighbours: (image,),
        extents=extents,
        conclude=judged_by_tally,
    )


def blocks_and_padding(stride: int, blocks: int) -> tuple[Format, bytes]:
    """Return a format whose file is a head, blocks with sums, padding, and payload; and a file."""
    head = 4096
    end = head + stride * blocks
    body = with_sums(bytes((7 * at + at // 251) & 0xFF for at in range(stride * blocks)), stride)
    content = MAGIC.ljust(head, b"h") + body + bytes(9000) + b"p" * 5000

    def batches(_source: Source) -> Sequence[ExtentBatch]:
        return (
            batch(block_sums(stride), [(head, stride * blocks)], check_id=BLOCK),
            batch(Declared(Algorithm.ZEROS), [(end, 9000)], check_id=PADDING),
            batch(Payload(), [(end + 9000, 5000)]),
        )

    return toy(batches), content


def failing(subject: Format, **steps: Exception) -> Format:
    """Return a format one of whose steps raises."""

    def raising(error: Exception) -> Callable[..., object]:
        def step(*_arguments: object) -> object:
            raise error

        return step

    return replace(subject, **{name: raising(error) for name, error in steps.items()})


# Disks and tapes: formats whose files say who they are, for scans of a whole repository

SET = struct.Struct("<4s16s16sq")
SET_BYTES = 4096
DISK_STRIDE = 1024


def disk(name: str, parent: str = "", blocks: int = 2000, seed: int = 0) -> bytes:
    """Return one backup set: a head with its name, its parent's and its length; then blocks."""
    numbers = np.random.default_rng([seed, *name.encode()])
    body = with_sums(numbers.bytes(DISK_STRIDE * blocks), DISK_STRIDE)
    length = SET_BYTES + len(body)
    head = SET.pack(b"DISK", name.encode(), parent.encode(), length)
    return head.ljust(SET_BYTES, b"h") + body


def sets_in(source: Source) -> list[tuple[int, str, str, int]]:
    """Return offset, name, parent and length of every set in a file."""
    found = []
    at = 0
    while at + SET.size <= source.size:
        magic, name, parent, length = SET.unpack(source.read_at(at, SET.size))
        if magic != b"DISK" or length < SET_BYTES:
            break
        names = (name.rstrip(b"\0").decode(errors="replace"), parent.rstrip(b"\0").decode())
        found.append((at, *names, length))
        at += length
    return found


def inspect_sets(source: Source, _neighbours: object) -> tuple[Inspection, ...]:
    """Return one image per set; the last one may be cut short."""
    images = []
    for at, name, parent, length in sets_in(source):
        rows = [Evidence("disk.set.head", Outcome.MATCHED, at, SET_BYTES, vouched_bytes=SET_BYTES)]
        missing = at + length - source.size
        if missing > 0:
            actual = f"{source.size} bytes"
            rows.append(
                Evidence("disk.set.length", Outcome.TRUNCATED, at, length, f"{length}", actual)
            )
        images.append(
            Inspection(
                kind=Kind.INCREMENTAL if parent else Kind.FULL,
                identities=(Identity("disk", name),),
                parents=(ParentRef((Identity("disk", parent),)),) if parent else (),
                needed_bytes=at + length,
                payload_bytes=length - SET_BYTES,
                complete=missing <= 0,
                evidence=tuple(rows),
            )
        )
    return tuple(images)


def batches_of_sets(source: Source, _inspections: Sequence[Inspection]) -> Iterator[ExtentBatch]:
    """Yield the blocks of every set, as far as they are there."""
    for index, (at, _name, _parent, length) in enumerate(sets_in(source)):
        start, end = at + SET_BYTES, min(at + length, source.size)
        if end > start:
            check = block_sums(DISK_STRIDE)
            yield batch(check, [(start, end - start)], check_id=BLOCK, image_index=index)
            yield batch(Payload(), [(start, end - start)], image_index=index)


DISK = Format(
    name="disk",
    title="A disk of tests",
    suffixes=(".disk",),
    references=(),
    revision=1,
    write_model=WriteModel.REWRITTEN,
    integrity="",
    limitations="",
    samples="",
    checks={},
    probe=lambda source: starts_with(source, b"DISK"),
    inspect=inspect_sets,
    extents=batches_of_sets,
    conclude=judged_by_tally,
)


def inspect_owner(source: Source, neighbours: Neighbours) -> tuple[Inspection, ...]:
    """Return an image whose data lies in another file, named in its head."""
    name = source.read_at(4, source.size - 4).decode()
    member = neighbours.open(name)
    if member is None:
        row = Evidence("owner.data.present", Outcome.TRUNCATED, member=name)
    else:
        right = starts_with(member, b"good")
        outcome = Outcome.MATCHED if right else Outcome.MISMATCHED
        row = Evidence("owner.data.start", outcome, 0, 4, member=name)
    head = Evidence("owner.head.name", Outcome.MATCHED, 0, 4)
    return (Inspection(members=(name,), evidence=(head, row)),)


OWNER = replace(
    DISK,
    name="owner",
    suffixes=(".owner",),
    probe=lambda source: starts_with(source, b"OWNR"),
    inspect=inspect_owner,
    extents=no_blocks,
)
