"""Assemble what is known of each image: its pieces, its files, and all evidence about them."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from formats.core.model import Bearing, Evidence, Outcome
from scanner.findings import finding_id
from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow, RepositoryRow
from scanner.results import FileState, PayloadSeen


@dataclass(frozen=True, slots=True)
class Case:
    """One image before the judge: ``pieces`` and ``files`` run in parallel.

    ``supported`` says that the image's format is read, not only recognised. ``bad`` is the evidence
    that speaks against the image: most images have none, and every rule asks for it. ``states`` are
    those of its files, which nearly every rule asks for as well.
    """

    pieces: tuple[ImageRow, ...]
    files: tuple[FileRow, ...]
    evidence: tuple[EvidenceRow, ...]
    supported: bool
    own_bytes: int | None
    bad: tuple[EvidenceRow, ...] = field(init=False)
    states: frozenset[FileState] = field(init=False)

    def __post_init__(self) -> None:
        bad = tuple([row for row in self.evidence if row.evidence.bad])
        object.__setattr__(self, "bad", bad)
        object.__setattr__(self, "states", frozenset([file.state for file in self.files]))

    @property
    def key(self) -> int:
        """The id of the first piece's row."""
        return self.pieces[0].id

    @property
    def image(self) -> ImageRow:
        """The row that speaks for the image."""
        return self.pieces[0]

    @property
    def gone(self) -> bool:
        """Whether any file of the image is not there any more."""
        return FileState.GONE in self.states

    @property
    def read(self) -> bool:
        """Whether every byte of every file was read, or asked for."""
        return self.states == {FileState.READ}

    @property
    def payload_seen(self) -> PayloadSeen:
        """What was seen of the stored source data, over all pieces."""
        return sum((piece.payload_seen for piece in self.pieces), PayloadSeen())

    @property
    def payload_bytes(self) -> int | None:
        """How much source data is stored, over all pieces; None if any does not say."""
        sizes = [piece.payload_bytes for piece in self.pieces]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


@dataclass(frozen=True, slots=True)
class Shelf:
    """All rows of the judged repositories, indexed once."""

    repositories: Mapping[int, RepositoryRow]
    files: Mapping[int, FileRow]
    images: Sequence[ImageRow]
    of_image: Mapping[int, Sequence[EvidenceRow]]
    of_file: Mapping[int, Sequence[EvidenceRow]]
    by_path: Mapping[tuple[int, str], FileRow]


def shelve(
    repositories: Iterable[RepositoryRow],
    files: Iterable[FileRow],
    images: Sequence[ImageRow],
    evidence: Iterable[EvidenceRow],
) -> Shelf:
    """Index rows by what they speak of."""
    everywhere = tuple(files)
    of_image: dict[int, list[EvidenceRow]] = {}
    of_file: dict[int, list[EvidenceRow]] = {}
    for row in evidence:
        if row.image_id is None:
            of_file.setdefault(row.file_id, []).append(row)
        else:
            of_image.setdefault(row.image_id, []).append(row)
    return Shelf(
        {row.id: row for row in repositories},
        {row.id: row for row in everywhere},
        images,
        of_image,
        of_file,
        {(row.repository_id, row.path): row for row in everywhere},
    )


NAME_CHECK = "generic.name"


def cases(shelf: Shelf, supported: frozenset[str]) -> Iterator[Case]:
    """Yield every image, pieces of one set joined. Order of discovery changes nothing."""
    shares = own_shares(shelf.images)
    for group in grouped(shelf):
        files = tuple(shelf.files[piece.file_id] for piece in group)
        rows = [row for piece in group for row in shelf.of_image.get(piece.id, ())]
        every = unique([*files, *member_files_of(shelf, group)])
        rows.extend(row for file in every for row in shelf.of_file.get(file.id, ()))
        if len(every) > len(files):
            # A further file need not be what its suffix says: the image's own file tells.
            own = {file.id for file in files}
            rows = [row for row in rows if row.file_id in own or row.evidence.check != NAME_CHECK]
        rows.extend(missing_pieces(shelf, group, files))
        sizes = [shares.get(piece.id) for piece in group]
        known = [size for size in sizes if size is not None]
        yield Case(
            group,
            files,
            tuple(rows),
            all(file.format in supported for file in files),
            sum(known) if len(known) == len(sizes) else None,
        )


def member_files_of(shelf: Shelf, group: Sequence[ImageRow]) -> Iterator[FileRow]:
    """Yield the further files an image is stored in, as far as they are known."""
    for piece in group:
        file = shelf.files[piece.file_id]
        for name in piece.members:
            found = shelf.by_path.get((file.repository_id, member_path(file.path, name)))
            if found is not None:
                yield found


def member_path(path: str, name: str) -> str:
    """Return where a further file of an image lies, from the image's path and the file's name."""
    return posixpath.normpath(posixpath.join(folder_of(path), name))


def grouped(shelf: Shelf) -> Iterator[tuple[ImageRow, ...]]:
    """Yield the pieces of each image; most images are one piece of one file.

    Copies of a whole set in several folders are several images: pieces are joined per folder
    where a folder holds a piece of every number, and across folders otherwise.
    """
    sets: dict[tuple[object, ...], list[ImageRow]] = {}
    for image in shelf.images:
        if image.piece is None:
            yield (image,)
            continue
        repository_id = shelf.files[image.file_id].repository_id
        sets.setdefault((repository_id, image.piece.identity, image.image_index), []).append(image)
    for pieces in sets.values():
        yield from split_copies(shelf, pieces)


def split_copies(shelf: Shelf, pieces: list[ImageRow]) -> Iterator[tuple[ImageRow, ...]]:
    """Yield one image per complete folder of pieces, then what the rest makes together.

    No piece is passed over: what is left of one image is another one, whole or not.
    """
    folders: dict[str, list[ImageRow]] = {}
    for piece in pieces:
        folders.setdefault(folder_of(shelf.files[piece.file_id].path), []).append(piece)
    left: list[ImageRow] = []
    for _folder, inside in sorted(folders.items()):
        living = [piece for piece in inside if is_there(shelf, piece)]
        numbers = {piece.piece.number for piece in living if piece.piece}
        count = max(piece.piece.count for piece in inside if piece.piece)
        groups = one_of_each(shelf, inside)
        if len(numbers) >= count:
            yield groups.pop(0)
        left.extend(piece for group in groups for piece in group)
    yield from one_of_each(shelf, left)


def one_of_each(shelf: Shelf, pieces: list[ImageRow]) -> list[tuple[ImageRow, ...]]:
    """Group pieces so that each group has at most one of every number.

    The first group has of each number the piece that is there and whose path sorts first.
    """
    by_number: dict[int, list[ImageRow]] = {}
    ordered = sorted(
        pieces,
        key=lambda piece: (not is_there(shelf, piece), shelf.files[piece.file_id].path),
    )
    for piece in ordered:
        assert piece.piece is not None
        by_number.setdefault(piece.piece.number, []).append(piece)
    groups: list[list[ImageRow]] = []
    for number in sorted(by_number):
        for index, piece in enumerate(by_number[number]):
            if index == len(groups):
                groups.append([])
            groups[index].append(piece)
    return [tuple(group) for group in groups]


def is_there(shelf: Shelf, piece: ImageRow) -> bool:
    """Whether a piece's file still lies in the repository."""
    return shelf.files[piece.file_id].state is not FileState.GONE


def folder_of(path: str) -> str:
    """Return the folder part of a path relative to the repository."""
    return path.rpartition("/")[0]


def missing_pieces(
    shelf: Shelf, group: tuple[ImageRow, ...], files: tuple[FileRow, ...]
) -> Iterator[EvidenceRow]:
    """Yield evidence for pieces of the set that are not there."""
    first = group[0].piece
    if first is None:
        return
    living = [
        piece.piece
        for piece, file in zip(group, files, strict=True)
        if piece.piece and file.state is not FileState.GONE
    ]
    numbers = {piece.number for piece in living}
    count = max((piece.count for piece in living), default=first.count)
    missing = sorted(set(range(1, min(count, PIECES_MAX) + 1)) - numbers)
    if missing:
        names = ", ".join(str(number) for number in missing[:8])
        yield synthetic(
            shelf,
            group[0],
            "set.pieces.present",
            f"{count} pieces",
            f"{len(numbers)} pieces; missing number {names}",
        )


PIECES_MAX = 4096


def synthetic(shelf: Shelf, image: ImageRow, check: str, expected: str, actual: str) -> EvidenceRow:
    """Return evidence that follows from rows, not from bytes: something needed is missing."""
    file = shelf.files[image.file_id]
    repository = shelf.repositories[file.repository_id]
    name = f"{repository.filesystem}\0{repository.root}"
    return EvidenceRow(
        file.id,
        image.id,
        Evidence(
            check,
            Outcome.TRUNCATED,
            expected=expected,
            actual=actual,
            bearing=Bearing.NEEDED,
        ),
        None,
        file.seen_at,
        finding_id(name, file.path, "", image.image_index, check, None),
    )


def own_shares(images: Sequence[ImageRow]) -> Mapping[int, int | None]:
    """Return how many bytes of its file each image needs for itself.

    Images appended to one another each need the file up to their own end; the share of one is
    what it needs beyond the image before it.
    """
    shares: dict[int, int | None] = {}
    by_file: dict[int, list[ImageRow]] = {}
    for image in images:
        by_file.setdefault(image.file_id, []).append(image)
    for same_file in by_file.values():
        before = 0
        for image in sorted(same_file, key=lambda item: item.image_index):
            needed = image.needed_bytes
            if needed is None:
                shares[image.id] = None
                continue
            shares[image.id] = max(needed - before, 0)
            before = max(before, needed)
    return shares


def unique(files: Iterable[FileRow]) -> list[FileRow]:
    """Return each file once, in order."""
    return list({file.id: file for file in files}.values())
