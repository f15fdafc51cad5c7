"""Which images are of which source."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from scanner.expectations.globs import Pattern, any_path_glob, composed, name_glob
from scanner.expectations.model import SourceExpectation

Matcher: TypeAlias = Callable[[str, str, str | None], bool]
"""Takes the path relative to its repository, the repository's path, and SERVER/DATABASE or None."""


def matches(
    source: SourceExpectation, path: str, repository_path: str, database: str | None
) -> bool:
    """Whether an image is of a source; `matcher` is the same for many images.

    ``path`` is relative to its repository; globs of paths are tried on it and on the whole path.
    ``database`` is SERVER/DATABASE where the image is a database backup. Where a source has globs
    of both kinds an image must match both, so that a wide folder does not make the backup of one
    database pass for that of another.
    """
    return matcher(source)(path, repository_path, database)


def matcher(source: SourceExpectation) -> Matcher:
    """Return the question whether an image is of a source, prepared for many images."""
    paths = any_path_glob(source.match)
    # Only these can match a path that begins with a slash; most globs need not be tried on it.
    whole_paths = any_path_glob(glob for glob in source.match if glob.startswith(("/", "**/")))
    databases = tuple(database_globs(glob) for glob in source.database)

    def matching(path: str, repository_path: str, database: str | None) -> bool:
        if databases and (database is None or not named(databases, composed(database))):
            return False
        if paths is None:
            return bool(databases)
        if paths.fullmatch(composed(path)):
            return True
        whole = f"{repository_path.rstrip('/')}/{path}"
        return whole_paths is not None and whole_paths.fullmatch(composed(whole)) is not None

    return matching


def database_globs(glob: str) -> tuple[Pattern | None, Pattern]:
    """Return what matches the server (None: any) and the database."""
    server, slash, name = glob.partition("/")
    return (name_glob(server), name_glob(name)) if slash else (None, name_glob(server))


def named(globs: tuple[tuple[Pattern | None, Pattern], ...], database: str) -> bool:
    """Whether any pair of globs matches SERVER/DATABASE."""
    server, _, name = database.partition("/")
    return any(
        (of_server is None or of_server.fullmatch(server) is not None)
        and of_name.fullmatch(name) is not None
        for of_server, of_name in globs
    )


def database_of(facts: Mapping[str, object]) -> str | None:
    """Return SERVER/DATABASE of an image's facts; None where it is no database backup."""
    server, name = facts.get("ServerName"), facts.get("DatabaseName")
    if not isinstance(name, str) or not name:
        return None
    return f"{server if isinstance(server, str) and server else '?'}/{name}"
