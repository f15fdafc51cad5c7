"""Link images to the images they need: by identity first, by name where a format has no identity.

Names come from the machine that wrote the image (Windows paths, relative paths, bare names); they
are compared by their last component within the repository, nearest folder first.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from formats.core.model import Identity, ParentRef
from scanner.judge.cases import Case, Shelf, folder_of, synthetic
from scanner.judge.model import ParentLink
from scanner.ledger.rows import EvidenceRow


@dataclass(frozen=True, slots=True)
class Index:
    """Where to look for a parent."""

    by_identity: Mapping[Identity, Sequence[Case]]
    by_name: Mapping[tuple[int, str], Sequence[Case]]


def index_cases(all_cases: Sequence[Case]) -> Index:
    """Index images by what they call themselves and by their files' names."""
    by_identity: dict[Identity, list[Case]] = {}
    by_name: dict[tuple[int, str], list[Case]] = {}
    for case in sorted(all_cases, key=lambda item: item.files[0].path):
        for identity in case.image.identities:
            by_identity.setdefault(identity, []).append(case)
        file = case.files[0]
        by_name.setdefault((file.repository_id, posixpath.basename(file.path)), []).append(case)
    return Index(by_identity, by_name)


def find_parents(
    case: Case, index: Index, shelf: Shelf
) -> tuple[tuple[ParentLink, ...], tuple[EvidenceRow, ...]]:
    """Return the images this one needs, and evidence for those that are not there."""
    links = []
    rows = []
    for wanted in case.image.parents:
        link, row = find_parent(case, wanted, index, shelf)
        links.append(link)
        if row is not None:
            rows.append(row)
    return tuple(links), tuple(rows)


def find_parent(
    case: Case, wanted: ParentRef, index: Index, shelf: Shelf
) -> tuple[ParentLink, EvidenceRow | None]:
    """Return one image this one needs, or evidence that it is missing."""
    label = describe(wanted)
    same = [
        other for identity in wanted.identities for other in index.by_identity.get(identity, ())
    ]
    alike = named_like(case, wanted, index)
    if not wanted.weak:
        found = nearest(case, [other for other in same if other.key != case.key], alike)
        if found is not None:
            return ParentLink(label, found.key, "identity"), None
        return ParentLink(label, None, "identity"), absent(case, label, alike, shelf)
    if alike:
        return ParentLink(label, alike[0].key, "name"), None
    return ParentLink(label, None, "name"), absent(case, label, (), shelf)


def absent(case: Case, label: str, alike: Sequence[Case], shelf: Shelf) -> EvidenceRow:
    """Return evidence of a missing parent; an image of that name with another identity is named."""
    if alike:
        path = alike[0].files[0].path
        return synthetic(
            shelf,
            case.image,
            "chain.parent.identity",
            label,
            f"another identity in {path!r}: replaced, or written to since",
        )
    return synthetic(shelf, case.image, "chain.parent.present", label, "no such image")


def nearest(case: Case, found: Sequence[Case], alike: Sequence[Case]) -> Case | None:
    """Choose among images with the wanted identity: one that is there, of that name, close by."""
    keys = {other.key for other in alike}
    file = case.files[0]
    return min(
        found,
        key=lambda other: (
            other.gone,
            other.files[0].repository_id != file.repository_id,
            other.key not in keys,
            folder_of(other.files[0].path) != folder_of(file.path),
            other.files[0].path,
        ),
        default=None,
    )


def named_like(case: Case, wanted: ParentRef, index: Index) -> list[Case]:
    """Return images of the wanted name, exact relative path first, then nearest folder."""
    file = case.files[0]
    folder = folder_of(file.path)
    exact = {
        posixpath.normpath(posixpath.join(folder, name.replace("\\", "/"))) for name in wanted.names
    }
    bases = {posixpath.basename(name.replace("\\", "/")) for name in wanted.names} - {""}
    found = {
        other.key: other
        for base in sorted(bases)
        for other in index.by_name.get((file.repository_id, base), ())
        if other.key != case.key
    }
    return sorted(
        found.values(),
        key=lambda other: (
            other.gone,
            other.files[0].path not in exact,
            folder_of(other.files[0].path) != folder,
            other.files[0].path,
            other.image.image_index,
        ),
    )


def describe(wanted: ParentRef) -> str:
    """Say which image is wanted: its identity where there is one, its name otherwise."""
    if wanted.identities:
        return str(wanted.identities[0])
    return wanted.names[0] if wanted.names else "an unnamed parent"
