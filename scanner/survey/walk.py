"""Walk a repository: every regular file once, in order, without following links.

Folders that cannot be read are reported and do not stop the walk, unless it would begin there.
Files with several names (hard links) are handed out under the name that sorts first. Nothing is
opened here.
"""

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scanner.config import DIRECTORY_DEPTH_MAX, FILES_MAX
from scanner.errors import NotThereError, ScannerError
from scanner.results import Stamps, stamps_of


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as the survey met it; ``path`` is relative to the repository, with slashes."""

    path: str
    stamps: Stamps
    device: int
    links: int


@dataclass
class Survey:
    """What a walk found."""

    files: list[Seen] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    linked: dict[str, str] = field(default_factory=dict)
    """Further names of hard-linked files, and the name each was handed out under."""

    def names_of(self) -> dict[str, tuple[str, ...]]:
        """Return the further names of each file that has some."""
        names: dict[str, tuple[str, ...]] = {}
        for name, first in self.linked.items():
            names[first] = (*names.get(first, ()), name)
        return names


def walk(root: Path, scope: Path, excludes: Sequence[str], skip: frozenset[Path]) -> Survey:
    """Walk ``scope`` (a folder or a file) inside the repository ``root``.

    ``excludes`` are globs matched against names and against paths relative to ``root``; ``skip``
    are resolved folders never entered (the ledger's own). Raises `NotThereError` where ``scope``
    itself cannot be looked into.
    """
    survey = Survey()
    first_names: dict[tuple[int, int], str] = {}
    for seen in found(root, scope, excludes, skip, survey):
        if len(survey.files) >= FILES_MAX:
            message = f"{scope}: more than {FILES_MAX} files"
            raise ScannerError(message)
        if seen.links > 1:
            key = (seen.device, seen.stamps.inode)
            if key in first_names:
                survey.linked[seen.path] = first_names[key]
                continue
            first_names[key] = seen.path
        survey.files.append(seen)
    return survey


def found(
    root: Path, scope: Path, excludes: Sequence[str], skip: frozenset[Path], survey: Survey
) -> Iterator[Seen]:
    """Yield files in order of path, folder by folder."""
    if not scope.is_dir():
        try:
            status = scope.lstat()
        except OSError as error:
            message = f"{str(scope)!r}: {error.strerror}"
            raise NotThereError(message) from error
        if stat.S_ISREG(status.st_mode):
            yield seen_file(relative(root, scope), status)
        return
    pending = [(scope, 0)] if scope not in skip else []
    patterns = compiled(excludes)
    while pending:
        folder, depth = pending.pop()
        below: list[Path] = []
        prefix = f"{above}/" if (above := relative(root, folder)) else ""
        for entry in listed(root, folder, survey, first=folder == scope):
            path = prefix + entry.name
            if not matched(patterns, entry.name, path):
                yield from looked_at(entry, path, below, survey)
        for path_below in reversed(below):
            if depth >= DIRECTORY_DEPTH_MAX:
                survey.unreadable.append((relative(root, path_below), "nested too deeply"))
            elif path_below not in skip:
                pending.append((path_below, depth + 1))


def listed(root: Path, folder: Path, survey: Survey, *, first: bool) -> Sequence[os.DirEntry[str]]:
    """Return what a folder holds, sorted by name; nothing where it cannot be read.

    Where the ``first`` folder cannot be read, nothing was looked into, and nothing can be said.
    """
    try:
        with os.scandir(folder) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        if first:
            message = f"{str(folder)!r}: {error.strerror}"
            raise NotThereError(message) from error
        survey.unreadable.append((relative(root, folder), str(error.strerror)))
        return ()


def looked_at(
    entry: os.DirEntry[str], path: str, below: list[Path], survey: Survey
) -> Iterator[Seen]:
    """Yield a file, or note a folder to enter; links, sockets and devices are passed by."""
    try:
        if entry.is_dir(follow_symlinks=False):
            below.append(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield seen_file(path, entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        return  # it went away between the listing and the look
    except OSError as error:
        survey.unreadable.append((path, str(error.strerror)))


def seen_file(path: str, status: os.stat_result) -> Seen:
    """Return what a stat says of a file."""
    return Seen(path, stamps_of(status), status.st_dev, status.st_nlink)


def relative(root: Path, path: Path) -> str:
    """Return a path relative to the repository; the repository itself is an empty name."""
    name = path.relative_to(root).as_posix()
    return "" if name == "." else name


def excluded(name: str, path: str, excludes: Sequence[str]) -> bool:
    """Whether a name or a path is not to be looked at."""
    return matched(compiled(excludes), name, path)


def compiled(excludes: Sequence[str]) -> re.Pattern[str]:
    """Return one pattern for all globs: it is asked twice for every file there is."""
    # Without globs there is a class of no characters, which matches nothing.
    return re.compile("|".join(map(fnmatch.translate, excludes)) or "[^\\s\\S]")


def matched(patterns: re.Pattern[str], name: str, path: str) -> bool:
    """Whether a name, or a path, is matched as a whole."""
    return patterns.match(name) is not None or patterns.match(path) is not None


def hidden_part(path: str, excludes: Sequence[str]) -> str | None:
    """Return the part of a path that is not to be looked at: a folder on it, or the file itself."""
    parts = path.split("/")
    on_path = ("/".join(parts[: number + 1]) for number in range(len(parts)))
    return next(
        (part for name, part in zip(parts, on_path, strict=True) if excluded(name, part, excludes)),
        None,
    )
