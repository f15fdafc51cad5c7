"""Where the ledger lies: on a local disk, and never among the backups it speaks of."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import platformdirs

from scanner.errors import LedgerPlaceError

NAME = "ledger.sqlite"


class Place(Protocol):
    """What must be known of a path: its file system, and the path inside that."""

    @property
    def filesystem(self) -> str:
        """The file system's own name, wherever it is mounted."""

    @property
    def root(self) -> str:
        """The path as seen from the root of its file system."""

    @property
    def kind(self) -> str:
        """The kind of file system, as mounts are listed."""

    @property
    def mount_point(self) -> str:
        """Where it is mounted."""

    @property
    def network(self) -> bool:
        """Whether other machines may have it open too."""


PlaceOf: TypeAlias = Callable[[Path], Place]
"""Tells the place of a path that exists; the survey has one."""


def choose_place(
    explicit: Path | None,
    repositories: Sequence[Path],
    environment: Mapping[str, str],
    place_of: PlaceOf,
) -> Path:
    """Return the real path of the ledger, or raise `LedgerPlaceError`.

    A place that was asked for is refused for lying in a repository. The default one may lie deep in
    one (who scans /home scans his own state folder): the survey leaves out the ledger's folder. It
    is refused where that would leave out the repository itself.
    """
    path = Path(os.path.realpath(default_place(environment) if explicit is None else explicit))
    place = place_of(standing(path))
    if place.network:
        message = (
            f"ledger {str(path)!r} would lie on a network file system ({place.kind} at "
            f"{place.mount_point!r}), where SQLite's write-ahead log does not work"
        )
        raise LedgerPlaceError(message)
    for repository in repositories:
        beside = Path(os.path.realpath(repository)) == path.parent
        if beside or (explicit is not None and lies_in(path, repository, place_of)):
            message = f"ledger {str(path)!r} would lie in the repository {str(repository)!r}"
            raise LedgerPlaceError(message)
    return path


def default_place(environment: Mapping[str, str]) -> Path:
    """Return the ledger of a service (`$STATE_DIRECTORY`, systemd.exec(5)), else of this user."""
    folders = environment.get("STATE_DIRECTORY", "")
    if folders:
        return Path(folders.split(":")[0]) / NAME
    return platformdirs.user_state_path("bakproof", appauthor=False) / NAME


def lies_in(path: Path, repository: Path, place_of: PlaceOf) -> bool:
    """Whether a path lies in a repository, also where both are reached through other mounts."""
    root = Path(os.path.realpath(repository))
    if path.is_relative_to(root):
        return True
    if not root.exists():
        return False
    ours, theirs = place_of(standing(path)), place_of(root)
    return ours.filesystem == theirs.filesystem and Path(ours.root).is_relative_to(theirs.root)


def standing(path: Path) -> Path:
    """Return the nearest folder above a path that is there, or the path itself."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
