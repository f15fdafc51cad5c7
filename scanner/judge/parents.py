"""Link images to the images they need: by identity first, by name where a format has no identity.

Names come from the machine that wrote the image (Windows paths, relative paths, bare names). A
file that stands where the name leads, or beside the child, has that name; one that lies elsewhere
is another file, unless the name is of another machine and only one file can be meant.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from formats.core.model import Bearing, Identity, Outcome, ParentRef
from scanner.judge.cases import Case, Shelf, folder_of, synthetic
from scanner.judge.model import BY_IDENTITY, BY_NAME, ParentLink, Verdict
from scanner.judge.rules import judge_alone
from scanner.ledger.rows import EvidenceRow
from scanner.results import FileState

RENEWED_BY_WRITING = frozenset({"vhdx.data_write_guid"})
"""Schemes of identities that a program must renew before it writes (MS-VHDX 2.2.2.1)."""

SAME_SCAN = timedelta(hours=12)
"""One scan may take so long from one file to the next: files read in it may have come together."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where to look for a parent: by identity; by repository and path, or last part of the path.

    Files that are still there come first, then whose path sorts first. ``spoilt`` are the verdicts
    of copies that do not restore by themselves, by key.
    """

    by_identity: Mapping[Identity, Sequence[Case]]
    by_path: Mapping[tuple[int, str], Sequence[Case]]
    by_name: Mapping[tuple[int, str], Sequence[Case]]
    spoilt: Mapping[int, Verdict]


def index_cases(all_cases: Sequence[Case], settle: timedelta) -> Index:
    """Index images by what they call themselves and by their files' names."""
    by_identity: dict[Identity, list[Case]] = {}
    by_path: dict[tuple[int, str], list[Case]] = {}
    by_name: dict[tuple[int, str], list[Case]] = {}
    for case in sorted(all_cases, key=place):
        for identity in case.image.identities:
            by_identity.setdefault(identity, []).append(case)
        file = case.files[0]
        by_path.setdefault((file.repository_id, file.path), []).append(case)
        by_name.setdefault((file.repository_id, posixpath.basename(file.path)), []).append(case)
    copies = (group for name, group in by_identity.items() if name.scheme in RENEWED_BY_WRITING)
    return Index(by_identity, by_path, by_name, dict(spoilt_copies(copies, settle)))


def spoilt_copies(
    groups: Iterable[Sequence[Case]], settle: timedelta
) -> Iterator[tuple[int, Verdict]]:
    """Yield the copies of one image that do not restore by themselves: another one may.

    Only of an identity that writing renews: two disks cloned from one keep any other.
    """
    for copies in groups:
        for case in copies if len(copies) > 1 else ():
            verdict = judge_alone(case, settle).verdict
            if verdict > Verdict.WEAKENED:
                yield case.key, verdict


def place(case: Case) -> tuple[bool, str, int, int]:
    """Return what images are sorted by, so that the order they were found in changes nothing."""
    return case.gone, case.files[0].path, case.image.image_index, case.key


def find_parents(
    case: Case, index: Index, shelf: Shelf
) -> tuple[tuple[ParentLink, ...], tuple[EvidenceRow, ...]]:
    """Return the images this one needs, and evidence for those that are not there."""
    links = []
    rows = []
    for wanted in case.image.parents:
        found, link, row = find_parent(case, wanted, index, shelf)
        links.append(link)
        if row is not None:
            rows.append(row)
        elif found is not None and rewritten_since(case, found):
            rows.append(changed(case, found, shelf))
    return tuple(links), tuple(rows)


def find_parent(
    case: Case, wanted: ParentRef, index: Index, shelf: Shelf
) -> tuple[Case | None, ParentLink, EvidenceRow | None]:
    """Return one image this one needs, or evidence that it is missing."""
    label = describe(wanted)
    if wanted.weak:
        named = meant(case, wanted, index, shelf)
        if named is not None:
            return named, ParentLink(label, named.key, BY_NAME), None
        if names_itself(case, wanted):
            return None, ParentLink(label, case.key, BY_NAME), None
        row = unknown_file(case, wanted, shelf) or absent(case, label, None, shelf)
        return None, ParentLink(label, None, BY_NAME), row
    found = nearest(case, wanted, index)
    if found is not None:
        return found, ParentLink(label, found.key, BY_IDENTITY), None
    alike = next(named_so(case, wanted, index, shelf), None)
    return None, ParentLink(label, None, BY_IDENTITY), absent(case, label, alike, shelf)


def names_itself(case: Case, wanted: ParentRef) -> bool:
    """Whether the name of the parent leads to the image's own file: files were swapped, or renamed.

    A whole path of another machine says nothing of where its file would lie here.
    """
    here = case.files[0].path
    near = (slashes(name) for name in wanted.names if not is_foreign(name))
    return any(posixpath.normpath(posixpath.join(folder_of(here), name)) == here for name in near)


def rewritten_since(case: Case, parent: Case) -> bool:
    """Whether a parent was proven once, and written over after this image was there.

    What this image leaves out is then read from other bytes than it was made on. An identity that
    is new with every write tells that by itself. Where the image was written later still, a whole
    chain may have been replaced, parent first; but not where its own bytes were proven a while
    before and have been the same ever since: an old file may be put back with its old time.
    """
    if is_renewed(parent):
        return False
    there_since = max(file.first_seen_at for file in case.files)
    found = (file.rewritten_at for file in parent.files)
    rewritten = [at for at in found if at is not None and at > there_since]
    if not rewritten:
        return False
    return last_written(parent) > last_written(case) or is_older(case, max(rewritten))


def is_older(case: Case, at: datetime) -> bool:
    """Whether every byte of an image is known to be the same since well before a moment."""
    since = [file.unchanged_since for file in case.files]
    replaced = any(file.rewritten_at is not None for file in case.files)
    return not replaced and all(one is not None and at - one > SAME_SCAN for one in since)


def last_written(case: Case) -> int:
    """Return when any file of an image was last written to, in nanoseconds since 1970."""
    return max(file.mtime_ns for file in case.files)


def changed(case: Case, parent: Case, shelf: Shelf) -> EvidenceRow:
    """Return evidence that a parent was written over: perhaps harmless, and the file cannot tell.

    Merging an image into its parent, for one, leaves what both say together as it was.
    """
    file = parent.files[0]
    row = synthetic(
        shelf,
        case.image,
        "chain.parent.unmodified",
        "the parent as it was when this image was first seen",
        f"{file.path!r} was written over since",
    )
    doubtful = replace(row.evidence, outcome=Outcome.MISMATCHED, bearing=Bearing.DOUBTFUL)
    return replace(row, evidence=doubtful)


def absent(case: Case, label: str, alike: Case | None, shelf: Shelf) -> EvidenceRow:
    """Return evidence of a missing parent; an image of that name with another identity is named."""
    if alike is not None:
        path = alike.files[0].path
        return synthetic(
            shelf,
            case.image,
            "chain.parent.identity",
            label,
            f"another identity in {path!r}: replaced, or written to since",
        )
    return synthetic(shelf, case.image, "chain.parent.present", label, "no such image")


def unknown_file(case: Case, wanted: ParentRef, shelf: Shelf) -> EvidenceRow | None:
    """Return evidence of a parent that is there, and no image of any known format.

    A raw disk has no mark of its own: nothing tells whether it is what the image was made on.
    """
    files = (shelf.by_path.get(place_meant) for place_meant in places_meant(case, wanted, shelf))
    there = next((file for file in files if file and file.state is not FileState.GONE), None)
    if there is None or there.id in {file.id for file in case.files}:
        return None
    found = f"{there.path!r} is of no known format"
    row = synthetic(shelf, case.image, "chain.parent.present", "an image that can be told", found)
    return replace(row, evidence=replace(row.evidence, bearing=Bearing.DOUBTFUL))


def nearest(case: Case, wanted: ParentRef, index: Index) -> Case | None:
    """Choose among images with the wanted identity: there, whole, of that name, and close by."""
    found = [
        other
        for identity in wanted.identities
        for other in index.by_identity.get(identity, ())
        if other.key != case.key
    ]
    if len(found) < 2:  # noqa: PLR2004 - there is nothing to choose
        return found[0] if found else None
    names = last_parts(wanted)
    best = min(
        found,
        key=lambda other: (
            other.gone,
            index.spoilt.get(other.key, Verdict.SOUND),
            *distance(case, other, names),
            place(other),
        ),
    )
    return lost_for_a_clone(case, best, found, names) or best


def distance(case: Case, other: Case, names: Sequence[str]) -> tuple[bool, bool, bool]:
    """Return how far another image is from where a parent is looked for: nothing but False, there.

    It counts most whether it is in the same repository, then the name, then the folder.
    """
    file, its = case.files[0], other.files[0]
    return (
        its.repository_id != file.repository_id,
        posixpath.basename(its.path) not in names,
        folder_of(its.path) != folder_of(file.path),
    )


def lost_for_a_clone(
    case: Case, best: Case, found: Sequence[Case], names: Sequence[str]
) -> Case | None:
    """Return the parent that is gone where another image only bears its identity.

    Cloned disks keep their identity and go on differently, unless writing renews it: an image that
    lies elsewhere is the same only if its file is.
    """
    if best.gone or is_renewed(best) or not any(distance(case, best, names)):
        return None
    here = (one for one in found if one.gone and not any(distance(case, one, names)))
    return next((one for one in here if stamps(one) != stamps(best)), None)


def is_renewed(case: Case) -> bool:
    """Whether writing to an image would have changed its identity."""
    return not RENEWED_BY_WRITING.isdisjoint(item.scheme for item in case.image.identities)


def stamps(case: Case) -> tuple[tuple[int, int], ...]:
    """Return what a copy of a file, made with its times, has in common with it."""
    return tuple((file.size, file.mtime_ns) for file in case.files)


def meant(case: Case, wanted: ParentRef, index: Index, shelf: Shelf) -> Case | None:
    """Return the image a mere name means, also where it is gone; None if it may mean any."""
    here = list(standing_there(case, wanted, index, shelf))
    if here:
        return min(here, key=lambda other: other.gone)
    if not any(is_foreign(name) for name in wanted.names):
        return None
    living = (other for other in named_so(case, wanted, index, shelf) if not other.gone)
    only = next(living, None)
    if only is None or any(other.files[0].path != only.files[0].path for other in living):
        return None
    return only


def named_so(case: Case, wanted: ParentRef, index: Index, shelf: Shelf) -> Iterator[Case]:
    """Yield images of the wanted name, those at the right place first."""
    yield from standing_there(case, wanted, index, shelf)
    for name in last_parts(wanted):
        for other in index.by_name.get((case.files[0].repository_id, name), ()):
            if other.key != case.key:
                yield other


def standing_there(case: Case, wanted: ParentRef, index: Index, shelf: Shelf) -> Iterator[Case]:
    """Yield images in the file the name leads to, then in one of that name beside the child."""
    for place_meant in places_meant(case, wanted, shelf):
        for other in index.by_path.get(place_meant, ()):
            if other.key != case.key:
                yield other


def places_meant(case: Case, wanted: ParentRef, shelf: Shelf) -> Iterable[tuple[int, str]]:
    """Return repository and path of all that the names may lead to, nearest first.

    A name may lead into another repository, as they were mounted when they were last scanned.
    """
    file = case.files[0]
    names = [*(slashes(name) for name in wanted.names), *last_parts(wanted)]
    paths = [posixpath.normpath(posixpath.join(folder_of(file.path), name)) for name in names]
    places = [(file.repository_id, path) for path in paths]
    root = shelf.repositories[file.repository_id].path
    for path in paths:
        places += leads_to(posixpath.normpath(posixpath.join(root, path)), shelf)
    return dict.fromkeys(places)


def leads_to(whole: str, shelf: Shelf) -> Iterator[tuple[int, str]]:
    """Yield the repositories that a whole path leads into, with the path in each."""
    for number, row in sorted(shelf.repositories.items()):
        inside = f"{row.path.rstrip('/')}/"
        if whole.startswith(inside):
            yield number, whole.removeprefix(inside)


def last_parts(wanted: ParentRef) -> list[str]:
    """Return the last part of each name, without what names no file."""
    parts = (posixpath.basename(slashes(name)) for name in wanted.names)
    return [part for part in dict.fromkeys(parts) if part]


def is_foreign(name: str) -> bool:
    """Whether a name is a whole path of the machine that wrote it, of no use in the repository."""
    return slashes(name).startswith("/") or name[1:3] in (":\\", ":/")


def slashes(name: str) -> str:
    """Return a name with the slashes of this world."""
    return name.replace("\\", "/")


def describe(wanted: ParentRef) -> str:
    """Say which image is wanted: its identity where there is one, its name otherwise."""
    if wanted.identities:
        return str(wanted.identities[0])
    return wanted.names[0] if wanted.names else "an unnamed parent"
