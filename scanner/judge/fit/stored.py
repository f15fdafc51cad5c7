"""How much of its source one image really stores: what its own map says, less what was cut off.

A map speaks of the whole image, also where the file ends before: its payload counts as stored only
as far as it was there when the file was read.
"""

from dataclasses import dataclass

from formats.core.model import Kind
from scanner.judge import words
from scanner.judge.model import JudgedImage
from scanner.judge.names.reading import read_name
from scanner.judge.sources.model import total
from scanner.ledger.rows import FileRow, ImageRow
from scanner.results import FileState, PayloadSeen

OPEN_RULES = frozenset({"changing", "being-written"})
"""Rules that say of an image that its file is still being written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What one image stores, over all pieces; sizes are bytes, unknown is None.

    ``kind`` is what the format says, else the file's name. ``mapped_bytes`` is what its own map
    refers to, ``stored_bytes`` what of that is there, ``nonzero_bytes`` what of this is not zeros,
    at most. ``absent`` says in a sentence why it is not whole, None of one that is.
    """

    kind: Kind | None
    source_bytes: int | None
    used_bytes: int | None
    mapped_bytes: int | None
    stored_bytes: int | None
    nonzero_bytes: int | None
    absent: str | None


def stored_in(image: JudgedImage) -> Stored:
    """Return what an image stores."""
    row = image.image
    pairs = list(zip(image.pieces, image.files, strict=True))
    stored = total(stored_in_piece(piece, file) for piece, file in pairs)
    return Stored(
        kind=kind_of(row.kind, image.path),
        # Every piece says how large the whole source is.
        source_bytes=row.source_bytes,
        used_bytes=row.used_bytes,
        mapped_bytes=total(piece.payload_bytes for piece in image.pieces),
        stored_bytes=stored,
        nonzero_bytes=nonzero_in(image, stored),
        absent=absent_of(image),
    )


def kind_of(kind: Kind | None, path: str) -> Kind | None:
    """Return the kind the format gives, else the one the file's name says."""
    return read_name(path).kind if kind is None else kind


def stored_in_piece(piece: ImageRow, file: FileRow) -> int | None:
    """Return how much source data of a piece is there.

    What was seen of it is less where clusters are compressed and the format does not count what
    they decode to: then that is the least there is.
    """
    mapped = piece.payload_bytes
    missing = missing_bytes(piece, file)
    if mapped is None or not missing:
        return mapped
    if piece.payload_seen.bytes and file.state is FileState.READ:
        return min(mapped, piece.payload_seen.bytes)
    # None of it was seen: all of it lay behind the end, or nobody looked.
    packed = mapped > (piece.needed_bytes or 0)
    return None if packed else max(0, mapped - missing)


def missing_bytes(piece: ImageRow, file: FileRow) -> int:
    """Return how many bytes a file is too short, as far as its map tells; 0 is none."""
    return 0 if piece.needed_bytes is None else max(0, piece.needed_bytes - file.size)


def nonzero_in(image: JudgedImage, stored: int | None) -> int | None:
    """Return how much of what is stored is not all zeros; None where not all of it was looked at.

    Compressed bytes that were seen as they are say nothing of what they decode to.
    """
    seen = sum((piece.payload_seen for piece in image.pieces), PayloadSeen())
    if not stored or not was_read(image) or seen.bytes < stored:
        return None
    return min(stored, seen.nonzero_bytes)


def only_zeros(image: JudgedImage) -> bool:
    """Whether everything that was read of the source is zeros."""
    seen = sum((piece.payload_seen for piece in image.pieces), PayloadSeen())
    return was_read(image) and seen.bytes > 0 and not seen.nonzero


def was_read(image: JudgedImage) -> bool:
    """Whether every byte of the image's files was read."""
    return all(file.state is FileState.READ for file in image.files)


def is_open(image: JudgedImage) -> bool:
    """Whether an image is still being written."""
    return image.own.rule in OPEN_RULES


def absent_of(image: JudgedImage) -> str | None:
    """Return why an image is not whole, None of one that is."""
    if is_open(image):
        return "it is still being written"
    piece = image.image.piece
    lost = 0 if piece is None else piece.count - len(image.pieces)
    if lost > 0:
        count = words.counted(len(image.pieces) + lost, "piece")
        return f"{lost} of its {count} {'is' if lost == 1 else 'are'} missing"
    pairs = zip(image.pieces, image.files, strict=True)
    missing = sum(missing_bytes(row, file) for row, file in pairs)
    if missing:
        return f"it is cut, at least {words.size(missing)} are missing"
    if any(not row.complete or row.in_progress for row in image.pieces):
        return "its writer never finished"
    return None
