"""Judge everything: each image alone, then along its path of parents, then chains and the rest.

Pure: rows in, judgement out. Judging twice, or in another order, gives the same.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from scanner.judge.cases import Case, Shelf, cases, folder_of, shelve
from scanner.judge.model import (
    Chain,
    JudgedImage,
    JudgedOther,
    Judgement,
    ParentLink,
    Proof,
    Ruling,
    Verdict,
)
from scanner.judge.parents import find_parents, index_cases
from scanner.judge.proof import proof_of
from scanner.judge.rules import judge_alone
from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow, RepositoryRow
from scanner.results import BUG_CHECK, FileState

ZERO_FILE_BYTES_MIN = 1 << 20
"""An all-zero file of this size is a backup that was preallocated and never written."""


OTHER_RULES = (
    (Verdict.UNPROVEN, "bug", BUG_CHECK),
    (Verdict.UNPROVEN, "refused", "storage.refused"),
    (Verdict.UNPROVEN, "changing", "storage.changed"),
    (Verdict.DAMAGED, "storage-fails", "storage.unreadable"),
    (Verdict.DAMAGED, "bytes-wrong", "baseline.block.xxh3"),
    (Verdict.EMPTY, "only-zeros", "generic.content"),
    (Verdict.EMPTY, "nothing-stored", "generic.size"),
)
"""Rules for files no format knows. An empty or small file of zeros is nothing unusual, unless its
name calls it a backup."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the judge must know of formats: which are read, and how backups are usually named."""

    supported: frozenset[str]
    suffixes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Alone:
    """An image judged by itself, with its links."""

    case: Case
    links: tuple[ParentLink, ...]
    ruling: Ruling
    proof: Proof


def judge(
    repositories: Iterable[RepositoryRow],
    files: Sequence[FileRow],
    images: Sequence[ImageRow],
    evidence: Iterable[EvidenceRow],
    vocabulary: Vocabulary,
    settle: timedelta,
    acknowledged: frozenset[str] = frozenset(),
) -> Judgement:
    """Judge all rows; evidence whose finding is ``acknowledged`` is left out."""
    counted = (row for row in evidence if row.finding_id not in acknowledged)
    shelf = shelve(repositories, files, images, counted)
    everything = list(cases(shelf, vocabulary.supported))
    index = index_cases(everything)
    alone: dict[int, Alone] = {}
    for case in everything:
        links, missing = find_parents(case, index, shelf)
        own = without(case, acknowledged)
        open_rows = tuple(row for row in missing if row.finding_id not in acknowledged)
        ruling = judge_alone(replace(own, evidence=(*own.evidence, *open_rows)), settle)
        whole = replace(case, evidence=(*case.evidence, *missing))
        alone[case.key] = Alone(whole, links, ruling, proof_of(own))
    paths = {key: along(key, alone) for key in alone}
    members = member_files(everything)
    needed = needed_by_the_living(alone.values())
    judged = sorted(
        (
            judged_image(one, *paths[key])
            for key, one in alone.items()
            if (key in needed or not lost(one.case)) and not is_member(one.case, members)
        ),
        key=lambda item: (item.path, item.image.image_index, item.key),
    )
    return Judgement(
        tuple(judged),
        tuple(judge_others(shelf, vocabulary, members)),
        tuple(chains(judged)),
    )


def without(case: Case, acknowledged: frozenset[str]) -> Case:
    """Leave out evidence that follows from rows and was acknowledged."""
    kept = tuple(row for row in case.evidence if row.finding_id not in acknowledged)
    return replace(case, evidence=kept)


def judged_image(one: Alone, ruling: Ruling, deciding_key: int) -> JudgedImage:
    """Put together what the judge says of one image."""
    return JudgedImage(
        one.case.key,
        one.case.pieces,
        one.case.files,
        one.case.evidence,
        one.ruling,
        one.proof,
        one.links,
        ruling,
        deciding_key,
    )


def along(key: int, alone: Mapping[int, Alone]) -> tuple[Ruling, int]:
    """Return the worst ruling along an image's path of parents, and whose it is."""
    worst, deciding = alone[key].ruling, key
    visited = {key}
    queue = [key]
    while queue:
        for link in alone[queue.pop()].links:
            parent = link.image_key
            if parent is None:
                continue
            if parent == key and worst.verdict < Verdict.INCOMPLETE:
                worst, deciding = Ruling(Verdict.INCOMPLETE, "parent-cycle"), key
            if parent in visited:
                continue
            visited.add(parent)
            queue.append(parent)
            if alone[parent].ruling.verdict > worst.verdict:
                worst, deciding = alone[parent].ruling, parent
    return worst, deciding


def lost(case: Case) -> bool:
    """Whether nothing of an image is there any more."""
    return all(file.state is FileState.GONE for file in case.files)


def needed_by_the_living(alone: Iterable[Alone]) -> frozenset[int]:
    """Return the images that images still there need: only these are missed when they are gone."""
    return frozenset(
        link.image_key
        for one in alone
        for link in one.links
        if link.image_key is not None and not one.case.gone
    )


def member_files(everything: Sequence[Case]) -> frozenset[tuple[int, str]]:
    """Return the files that are part of another file's image (external data, split extents)."""
    return frozenset(
        (file.repository_id, posixpath.normpath(posixpath.join(folder_of(file.path), name)))
        for case in everything
        for piece, file in zip(case.pieces, case.files, strict=True)
        for name in piece.members
    )


def is_member(case: Case, members: frozenset[tuple[int, str]]) -> bool:
    """Whether a file is only recognised, and speaks through the image it belongs to."""
    file = case.files[0]
    return not case.supported and (file.repository_id, file.path) in members


def judge_others(
    shelf: Shelf, vocabulary: Vocabulary, members: frozenset[tuple[int, str]]
) -> Iterable[JudgedOther]:
    """Yield the files that are no known backup."""
    with_images = {image.file_id for image in shelf.images}
    for file in sorted(shelf.files.values(), key=lambda item: (item.repository_id, item.path)):
        if file.id in with_images or file.state is FileState.GONE:
            continue
        if (file.repository_id, file.path) in members:
            continue
        rows = tuple(shelf.of_file.get(file.id, ()))
        yield JudgedOther(file, rows, judge_other(file, rows, vocabulary))


def judge_other(
    file: FileRow, rows: Sequence[EvidenceRow], vocabulary: Vocabulary
) -> Ruling | None:
    """Return a ruling on a file no format knows, if anything calls it a backup."""
    named = posixpath.splitext(file.path)[1].lower() in vocabulary.suffixes
    found = {row.evidence.check: row for row in rows if row.evidence.bad}
    for verdict, rule, check in OTHER_RULES:
        small = rule == "only-zeros" and file.size < ZERO_FILE_BYTES_MIN
        if check in found and (named or not (small or rule == "nothing-stored")):
            return Ruling(verdict, rule, found[check])
    return Ruling(Verdict.UNPROVEN, "named-like-a-backup") if named else None


def chains(judged: Sequence[JudgedImage]) -> Iterable[Chain]:
    """Yield the images linked by parents, in order from the root."""
    by_key = {image.key: image for image in judged}
    root = {key: find_root(key, by_key) for key in by_key}
    groups: dict[int, list[JudgedImage]] = {}
    for image in judged:
        groups.setdefault(root[image.key], []).append(image)
    for key, group in groups.items():
        ordered = sorted(group, key=lambda item: (depth(item, by_key), order_of(item), item.path))
        restorable = [item for item in ordered if item.ruling.verdict <= Verdict.WEAKENED]
        yield Chain(
            by_key[key].image.source or by_key[key].path,
            tuple(item.key for item in ordered),
            max(item.ruling.verdict for item in ordered),
            restorable[-1].key if restorable else None,
        )


def find_root(key: int, by_key: Mapping[int, JudgedImage]) -> int:
    """Return the image at the end of the first-parent path; a cycle ends at its smallest key."""
    seen: list[int] = []
    while key not in seen:
        seen.append(key)
        parent = next(
            (link.image_key for link in by_key[key].parents if link.image_key in by_key), None
        )
        if parent is None:
            return key
        key = parent
    return min(seen[seen.index(key) :])


def depth(image: JudgedImage, by_key: Mapping[int, JudgedImage]) -> int:
    """Return how many images lie between an image and its root."""
    seen = {image.key}
    steps = 0
    while True:
        parent = next((link.image_key for link in image.parents if link.image_key in by_key), None)
        if parent is None or parent in seen:
            return steps
        seen.add(parent)
        image = by_key[parent]
        steps += 1


def order_of(image: JudgedImage) -> str:
    """Return when an image was made, as sortable text; local times sort among themselves."""
    created = image.image.created_at
    return created.isoformat() if created else ""
