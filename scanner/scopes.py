"""What a scan was asked to look at, and what of a judgement is about that."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scanner.errors import NotThereError, UsageError
from scanner.judge.chains import newest_restorable
from scanner.judge.model import Chain, JudgedImage, Judgement
from scanner.ledger.rows import FileRow, RepositoryRow
from scanner.ledger.store import Ledger
from scanner.survey.filesystems import place_of
from scanner.survey.walk import relative


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a repository that one scan looks at; ``path`` lies in ``root``."""

    repository: RepositoryRow
    root: Path
    path: Path


def find_scopes(paths: Sequence[Path], ledger: Ledger) -> list[Scope]:
    """Return what the paths on the command line mean, each part of a repository once."""
    # Folders come before what lies in them, so that the inner one is not a repository of its own.
    real = sorted({real_path(path) for path in paths}, key=lambda item: (len(item.parts), item))
    scopes = [find_scope(path, ledger) for path in real]
    return [scope for scope in scopes if not any(covers(other, scope) for other in scopes)]


def covers(outer: Scope, inner: Scope) -> bool:
    """Whether a scope is looked at with another one anyway."""
    same = outer.repository.id == inner.repository.id
    return same and inner.path != outer.path and inner.path.is_relative_to(outer.path)


def real_path(path: Path) -> Path:
    """Return where a path leads.

    Raises `NotThereError` where that is nowhere, or a folder that cannot be listed: a repository
    nobody could look into has no verdict. Raises `UsageError` for a pipe, a socket or a device.
    """
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(real).close()
    except OSError as error:
        message = f"{str(path)!r}: {error.strerror}"
        raise NotThereError(message) from error
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        message = f"{str(path)!r}: neither a folder nor a regular file"
        raise UsageError(message)
    return real


def find_scope(real: Path, ledger: Ledger) -> Scope:
    """Return what a real path means.

    Inside a repository that is known already it is a part of that repository; otherwise it is a
    repository of its own (for a single file: the folder it lies in).
    """
    place = place_of(real)
    known = [
        row
        for row in ledger.repositories()
        if row.filesystem == place.filesystem and Path(place.root).is_relative_to(row.root)
    ]
    if known:
        row = max(known, key=lambda item: len(item.root))
        inside = Path(place.root).relative_to(row.root)
        root = real
        for _part in inside.parts:
            root = root.parent
        return Scope(ledger.repository(row.filesystem, row.root, str(root)), root, real)
    folder = real if real.is_dir() else real.parent
    at = place_of(folder)
    return Scope(ledger.repository(at.filesystem, at.root, str(folder)), folder, real)


def in_scope(judgement: Judgement, scopes: Sequence[Scope]) -> Judgement:
    """Keep what the scan was asked about, and the images that those need."""
    places = {(scope.repository.id, relative(scope.root, scope.path)) for scope in scopes}

    def asked(file: FileRow) -> bool:
        return any(
            file.repository_id == number
            and (not place or file.path == place or file.path.startswith(place + "/"))
            for number, place in places
        )

    by_key = {item.key: item for item in judgement.images}
    kept = {item.key for item in judgement.images if any(map(asked, item.files))}
    waiting = list(kept)
    while waiting:
        for link in by_key[waiting.pop()].parents:
            if link.image_key in by_key and link.image_key not in kept:
                kept.add(link.image_key)
                waiting.append(link.image_key)
    return Judgement(
        tuple(item for item in judgement.images if item.key in kept),
        tuple(item for item in judgement.others if asked(item.file)),
        tuple(
            shortened(item, [by_key[key] for key in item.image_keys if key in kept])
            for item in judgement.chains
            if kept.intersection(item.image_keys)
        ),
    )


def shortened(chain: Chain, kept: Sequence[JudgedImage]) -> Chain:
    """Return a chain of only some of its images."""
    return replace(
        chain,
        image_keys=tuple(item.key for item in kept),
        verdict=max(item.ruling.verdict for item in kept),
        restorable_key=newest_restorable(kept),
    )
