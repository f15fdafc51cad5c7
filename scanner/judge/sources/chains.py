"""What is odd about chains and still restores: copies, forks, parents elsewhere or written later.

What keeps an image from being restored is evidence, and has a verdict. This is what a person should
know before he tidies up.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from formats.core.model import Kind
from scanner.judge.advice import Advice, Severity
from scanner.judge.model import BY_LSN, JudgedImage
from scanner.judge.parents import RENEWED_BY_WRITING
from scanner.judge.sources.model import Source
from scanner.judge.sources.saying import said
from scanner.judge.words import counted

WRITTEN_TOLERANCE_NS = 2_000_000_000
"""FAT keeps times to two seconds."""


@dataclass(frozen=True, slots=True)
class ChainRule:
    """One line of the table: its name, and what it says of a source's images, if anything."""

    name: str
    says: Callable[[Sequence[JudgedImage], Mapping[int, JudgedImage]], str | None]
    severity: Severity = Severity.ADVICE


def chain_advice(source: Source, images: Mapping[int, JudgedImage]) -> Iterator[Advice]:
    """Yield what is to be said of a source's chains; ``images`` are all there are, by key."""
    for rule in RULES:
        sentence = rule.says(source.images, images)
        if sentence is not None:
            yield said(source, rule.name, rule.severity, sentence)


def swapped(own: Sequence[JudgedImage], _images: Mapping[int, JudgedImage]) -> str | None:
    """An image names its own file as its parent: what lies under these names is not what did.

    What needs it by name may then be based on another image than it was made on.
    """
    itself = sorted(
        image.path for image in own if any(link.image_key == image.key for link in image.parents)
    )
    if not itself:
        return None
    more = f", and {counted(len(itself) - 1, 'more image')}" if len(itself) > 1 else ""
    return (
        f"{itself[0]!r} names its own file as its parent{more}: files of this chain were swapped "
        "or renamed, and what needs them by name may be based on the wrong ones"
    )


def duplicated(own: Sequence[JudgedImage], _images: Mapping[int, JudgedImage]) -> str | None:
    """Several images call themselves by one identity."""
    groups: dict[tuple[str, ...], list[JudgedImage]] = {}
    for image in own:
        names = tuple(str(identity) for identity in image.image.identities)
        if names:
            groups.setdefault(names, []).append(image)
    copies = [group for group in groups.values() if len(group) > 1]
    if not copies:
        return None
    alike = [group for group in copies if len({size_of(image) for image in group}) == 1]
    first, second = sorted(image.path for image in copies[0])[:2]
    sizes = "" if len(alike) == len(copies) else "; not all of them are equally long"
    verb = "is" if len(copies) == 1 else "are"
    return (
        f"{counted(len(copies), 'image')} {verb} there more than once under the same identity, "
        f"as {first!r} and {second!r}{sizes}"
    )


def size_of(image: JudgedImage) -> int:
    """Return how long an image's files are together."""
    return sum(file.size for file in image.files)


def forked(own: Sequence[JudgedImage], images: Mapping[int, JudgedImage]) -> str | None:
    """Several increments continue the same image."""
    children: dict[int, list[JudgedImage]] = {}
    for image in own:
        if image.image.kind is not Kind.INCREMENTAL:
            continue
        for link in image.parents:
            if link.image_key is not None:
                children.setdefault(link.image_key, []).append(image)
    forks = {key: group for key, group in children.items() if len(apart(group)) > 1}
    if not forks:
        return None
    key = min(forks, key=lambda number: images[number].path)
    first, second = sorted(apart(forks[key]).values())[:2]
    others = f"; {counted(len(forks) - 1, 'more fork')}" if len(forks) > 1 else ""
    return f"{images[key].path!r} is continued by both {first!r} and {second!r}{others}"


def apart(group: Sequence[JudgedImage]) -> dict[tuple[object, ...], str]:
    """Return images that are not copies of one another, with their paths."""
    return {(image.image.identities or (image.key,)): image.path for image in group}


def elsewhere(own: Sequence[JudgedImage], images: Mapping[int, JudgedImage]) -> str | None:
    """An image needs one in another repository."""
    far = [
        (image, parent)
        for image, parent in links(own, images)
        if parent.files[0].repository_id != image.files[0].repository_id
    ]
    if not far:
        return None
    image, parent = min(far, key=lambda pair: pair[0].path)
    verb = "needs" if len(far) == 1 else "need"
    return (
        f"{counted(len(far), 'image')} {verb} one in another repository: "
        f"{image.path!r} needs {parent.path!r} there"
    )


def written_later(own: Sequence[JudgedImage], images: Mapping[int, JudgedImage]) -> str | None:
    """A parent's file is newer than the image made on it: changed since, or copied without times.

    Where this program itself saw the change it is evidence (``chain.parent.unmodified``).
    """
    later = [
        (image, parent)
        for image, parent in links(own, images)
        if RENEWED_BY_WRITING.isdisjoint(item.scheme for item in parent.image.identities)
        and last_written(parent) > last_written(image) + WRITTEN_TOLERANCE_NS
    ]
    if not later:
        return None
    image, parent = min(later, key=lambda pair: pair[0].path)
    return (
        f"{parent.path!r} was last written after {image.path!r}, which is based on it"
        f"{also(len(later) - 1)}: changed since, unless the files were copied without their times"
    )


def also(count: int) -> str:
    """Return how many more pairs there are."""
    return f" ({count} more like this)" if count else ""


def links(
    own: Sequence[JudgedImage], images: Mapping[int, JudgedImage]
) -> Iterator[tuple[JudgedImage, JudgedImage]]:
    """Yield images with each parent that was found, but for those the log of a database links."""
    for image in own:
        for link in image.parents:
            parent = None if link.image_key is None else images.get(link.image_key)
            if parent is not None and link.by != BY_LSN and "LastLSN" not in image.image.facts:
                yield image, parent


def last_written(image: JudgedImage) -> int:
    """Return when any file of an image was last written to, in nanoseconds since 1970."""
    return max(file.mtime_ns for file in image.files)


RULES: tuple[ChainRule, ...] = (
    ChainRule("chain.swapped", swapped, Severity.WARNING),
    ChainRule("chain.duplicate", duplicated),
    ChainRule("chain.fork", forked),
    ChainRule("chain.elsewhere", elsewhere),
    ChainRule("chain.written-later", written_later),
)
