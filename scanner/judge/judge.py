"""Judge everything: each image alone, then along its path of parents, then chains and the rest.

Pure: rows in, judgement out. Judging twice, or in another order, gives the same.
"""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from formats.core.model import Bearing
from scanner.judge.by_name import NOTHING, parents_by_name
from scanner.judge.cases import Case, Shelf, cases, member_path, shelve
from scanner.judge.chains import chains
from scanner.judge.model import (
    JudgedImage,
    JudgedOther,
    Judgement,
    ParentLink,
    Proof,
    Ruling,
    Verdict,
)
from scanner.judge.no_room import no_room
from scanner.judge.parents import find_parents, index_cases
from scanner.judge.paths import along_paths
from scanner.judge.proof import proof_of
from scanner.judge.rules import judge_alone, touched_just_now
from scanner.judge.sqlserver.links import link_backups, sets_of
from scanner.judge.swapped import swapped, swapped_places
from scanner.ledger.rows import EvidenceRow, FileRow, ImageRow, RepositoryRow
from scanner.results import BUG_CHECK, FileState

ZERO_FILE_BYTES_MIN = 1 << 20
"""An all-zero file of this size is a backup that was preallocated and never written."""


OTHER_RULES = (
    (Verdict.DAMAGED, "storage-fails", "storage.unreadable", Bearing.NEEDED),
    (Verdict.DAMAGED, "bytes-wrong", "baseline.block.xxh3", Bearing.NEEDED),
    (Verdict.EMPTY, "only-zeros", "generic.content", None),
    (Verdict.EMPTY, "nothing-stored", "generic.size", None),
    (Verdict.UNPROVEN, "bug", BUG_CHECK, None),
    (Verdict.UNPROVEN, "refused", "storage.refused", None),
    (Verdict.UNPROVEN, "changing", "storage.changed", None),
    (Verdict.UNPROVEN, "doubtful", "baseline.block.xxh3", Bearing.DOUBTFUL),
)
"""Rules for files no format knows, worst first. An empty or small file of zeros is nothing unusual,
unless its name calls it a backup."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the judge must know of formats: which are read, and how backups are usually named.

    In those that are ``open_ended`` a copy that broke off can look whole.
    """

    supported: frozenset[str]
    suffixes: frozenset[str]
    open_ended: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Terms:
    """What every image is judged under: how long a writer may rest, and what was accepted."""

    settle: timedelta
    acknowledged: frozenset[str]


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
    terms = Terms(settle, acknowledged)
    counted = (row for row in evidence if row.finding_id not in acknowledged)
    shelf = shelve(repositories, files, images, counted)
    everything = list(cases(shelf, vocabulary.supported))
    index = index_cases(everything, settle)
    alone: dict[int, Alone] = {}
    by_name = parents_by_name(everything, shelf)
    mixed_up = swapped_places(everything)
    for case in everything:
        links, missing = find_parents(case, index, shelf)
        named = by_name.get(case.key, NOTHING)
        missing += named.missing + no_room(case, vocabulary.open_ended, shelf)
        missing += swapped(case, links, mixed_up, shelf)
        alone[case.key] = judged_alone(case, (*links, *named.links), missing, terms)
    own = {key: one.ruling for key, one in alone.items()}
    by_key = {case.key: case for case in everything}
    sets = sets_of(everything, own)
    for key, linked in link_backups(everything, sets, shelf):
        case, before = by_key[key], alone[key]
        if before.case is case and not linked.missing:
            alone[key] = replace(before, links=linked.links)
        else:
            alone[key] = judged_alone(case, linked.links, linked.missing, terms)
    paths = along_paths(
        {key: one.ruling for key, one in alone.items()},
        {key: parent_keys(one.links) for key, one in alone.items()},
    )
    members = member_files(everything)
    needed = needed_by_the_living(alone.values())
    judged = sorted(
        (
            judged_image(one, *paths[key])
            for key, one in alone.items()
            if key in needed or not (lost(one.case) or is_member(one.case, members))
        ),
        key=lambda item: (item.path, item.image.image_index, item.key),
    )
    return Judgement(
        tuple(judged),
        tuple(judge_others(shelf, vocabulary, members, settle)),
        tuple(chains(judged, sets)),
    )


def judged_alone(
    case: Case, links: tuple[ParentLink, ...], missing: tuple[EvidenceRow, ...], terms: Terms
) -> Alone:
    """Judge an image by itself; ``missing`` is evidence for parents that are not there."""
    whole = replace(case, evidence=(*case.evidence, *missing)) if missing else case
    ruling = judge_alone(without(whole, terms.acknowledged), terms.settle)
    return Alone(whole, links, ruling, proof_of(without(case, terms.acknowledged)))


def without(case: Case, acknowledged: frozenset[str]) -> Case:
    """Leave out evidence that follows from rows and was acknowledged."""
    if not acknowledged:
        return case
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


def parent_keys(links: Sequence[ParentLink]) -> tuple[int, ...]:
    """Return the images found for an image's parents."""
    return tuple(link.image_key for link in links if link.image_key is not None)


def lost(case: Case) -> bool:
    """Whether nothing of an image is there any more."""
    return case.states == {FileState.GONE}


def needed_by_the_living(alone: Iterable[Alone]) -> frozenset[int]:
    """Return the images that images still there need: only these are missed when they are gone."""
    return frozenset(
        link.image_key
        for one in alone
        for link in one.links
        if link.image_key is not None and not lost(one.case)
    )


def member_files(everything: Sequence[Case]) -> frozenset[tuple[int, str]]:
    """Return the files that are part of another file's image (external data, split extents)."""
    return frozenset(
        (file.repository_id, member_path(file.path, name))
        for case in everything
        for piece, file in zip(case.pieces, case.files, strict=True)
        for name in piece.members
    )


def is_member(case: Case, members: frozenset[tuple[int, str]]) -> bool:
    """Whether a file is only recognised, and speaks through the image it belongs to."""
    file = case.files[0]
    return not case.supported and (file.repository_id, file.path) in members


def judge_others(
    shelf: Shelf,
    vocabulary: Vocabulary,
    members: frozenset[tuple[int, str]],
    settle: timedelta,
) -> Iterable[JudgedOther]:
    """Yield the files that are no known backup."""
    with_images = {image.file_id for image in shelf.images}
    for file in sorted(shelf.files.values(), key=lambda item: (item.repository_id, item.path)):
        if file.id in with_images or file.state is FileState.GONE:
            continue
        if (file.repository_id, file.path) in members:
            continue
        rows = tuple(shelf.of_file.get(file.id, ()))
        yield JudgedOther(file, rows, judge_other(file, rows, vocabulary, settle))


def judge_other(
    file: FileRow, rows: Sequence[EvidenceRow], vocabulary: Vocabulary, settle: timedelta
) -> Ruling | None:
    """Return a ruling on a file no format knows, if anything calls it a backup."""
    named = posixpath.splitext(file.path)[1].lower() in vocabulary.suffixes
    if file.state is FileState.READING:
        return Ruling(Verdict.UNPROVEN, "not-read")
    for verdict, rule, check, bearing in OTHER_RULES:
        small = rule == "only-zeros" and file.size < ZERO_FILE_BYTES_MIN
        found = first_bad(rows, check, bearing)
        if found is None or (not named and (small or rule == "nothing-stored")):
            continue
        if rule == "nothing-stored" and touched_just_now(file, settle):
            return Ruling(Verdict.UNPROVEN, "being-written", found)
        return Ruling(verdict, rule, found)
    if not named:
        return None
    return Ruling(Verdict.UNPROVEN, "named-like-a-backup", first_bad(rows, "generic.name", None))


def first_bad(
    rows: Sequence[EvidenceRow], check: str, bearing: Bearing | None
) -> EvidenceRow | None:
    """Return the first bad evidence of one check, and of one bearing unless any will do."""
    for row in rows:
        evidence = row.evidence
        if evidence.bad and evidence.check == check and bearing in (None, evidence.bearing):
            return row
    return None
