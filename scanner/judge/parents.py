"""Link images to the images they need: by identity first, by name where a format has no identity.

Names come from the machine that wrote the image (Windows paths, relative paths, bare names). A
file that stands where the name leads, or beside the child, has that name; one that lies elsewhere
is another file, unless the name is of another machine and only one file can be meant.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from formats.core.model import Bearing, Identity, Outcome, ParentRef
from scanner.judge.cases import Case, Shelf, folder_of, synthetic
from scanner.judge.model import BY_IDENTITY, BY_NAME, ParentLink
from scanner.ledger.rows import EvidenceRow

RENEWED_BY_WRITING = frozenset({"vhdx.data_write_guid"})
"""Schemes of identities that a program must renew before it writes (MS-VHDX 2.2.2.1)."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where to look for a parent: by identity; by repository and path, or last part of the path.

    Files that are still there come first, then whose path sorts first.
    """

    by_identity: Mapping[Identity, Sequence[Case]]
    by_path: Mapping[tuple[int, str], Sequence[Case]]
    by_name: Mapping[tuple[int, str], Sequence[Case]]


def index_cases(all_cases: Sequence[Case]) -> Index:
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
    return Index(by_identity, by_path, by_name)


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
        named = meant(case, wanted, index)
        if named is not None:
            return named, ParentLink(label, named.key, BY_NAME), None
        return None, ParentLink(label, None, BY_NAME), absent(case, label, None, shelf)
    found = nearest(case, wanted, index)
    if found is not None:
        return found, ParentLink(label, found.key, BY_IDENTITY), None
    alike = next(named_so(case, wanted, index), None)
    return None, ParentLink(label, None, BY_IDENTITY), absent(case, label, alike, shelf)


def rewritten_since(case: Case, parent: Case) -> bool:
    """Whether a parent was proven once, and written over after this image was there.

    What this image leaves out is then read from other bytes than it was made on. An identity that
    is new with every write tells that by itself. Where the image was written later still, a whole
    chain may have been replaced, parent first.
    """
    if not RENEWED_BY_WRITING.isdisjoint(item.scheme for item in parent.image.identities):
        return False
    rewritten = [file.rewritten_at for file in parent.files if file.rewritten_at is not None]
    there_since = max(file.first_seen_at for file in case.files)
    return any(at > there_since for at in rewritten) and last_written(parent) > last_written(case)


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


def nearest(case: Case, wanted: ParentRef, index: Index) -> Case | None:
    """Choose among images with the wanted identity: one that is there, of that name, close by."""
    file = case.files[0]
    names = last_parts(wanted)
    found = (
        other
        for identity in wanted.identities
        for other in index.by_identity.get(identity, ())
        if other.key != case.key
    )
    return min(
        found,
        key=lambda other: (
            other.gone,
            other.files[0].repository_id != file.repository_id,
            posixpath.basename(other.files[0].path) not in names,
            folder_of(other.files[0].path) != folder_of(file.path),
            place(other),
        ),
        default=None,
    )


def meant(case: Case, wanted: ParentRef, index: Index) -> Case | None:
    """Return the image a mere name means, also where it is gone; None if it may mean any."""
    here = list(standing_there(case, wanted, index))
    if here:
        return min(here, key=lambda other: other.gone)
    if not any(is_foreign(name) for name in wanted.names):
        return None
    living = (other for other in named_so(case, wanted, index) if not other.gone)
    only = next(living, None)
    if only is None or any(other.files[0].path != only.files[0].path for other in living):
        return None
    return only


def named_so(case: Case, wanted: ParentRef, index: Index) -> Iterator[Case]:
    """Yield images of the wanted name, those at the right place first."""
    yield from standing_there(case, wanted, index)
    for name in last_parts(wanted):
        for other in index.by_name.get((case.files[0].repository_id, name), ()):
            if other.key != case.key:
                yield other


def standing_there(case: Case, wanted: ParentRef, index: Index) -> Iterator[Case]:
    """Yield images in the file the name leads to, then in one of that name beside the child."""
    file = case.files[0]
    names = [*(slashes(name) for name in wanted.names), *last_parts(wanted)]
    paths = [posixpath.normpath(posixpath.join(folder_of(file.path), name)) for name in names]
    for path in dict.fromkeys(paths):
        for other in index.by_path.get((file.repository_id, path), ()):
            if other.key != case.key:
                yield other


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
