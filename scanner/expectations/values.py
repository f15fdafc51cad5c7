"""Single values of a configuration: what TOML gives is read into what the program works with.

A reader takes any TOML value. What it does not take is answered by `Unfit`, which says what was
expected; what was found is said by whoever knows the place.
"""

import difflib
import json
import posixpath
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeAlias

from scanner.expectations.globs import name_glob, path_glob
from scanner.expectations.quantities import SIZE_BYTES_MAX, parse_duration, parse_size
from scanner.expectations.schedule import is_schedule

Reader: TypeAlias = Callable[[object], object]

SHOWN_CHARACTERS_MAX = 60


class Unfit(Exception):
    """A value is not what belongs there; the message says what does."""


def text(value: object) -> str:
    """Read a name, which is shown in reports as it is."""
    if isinstance(value, str) and value.strip() == value != "" and value.isprintable():
        return value
    message = "a text without spaces around it"
    raise Unfit(message)


def flag(value: object) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    message = "true or false"
    raise Unfit(message)


def count(value: object) -> int:
    """Read a number of things, of which there is at least one."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= SIZE_BYTES_MAX:
        return value
    message = "a whole number of at least 1"
    raise Unfit(message)


def size(value: object) -> int:
    """Read a size: bytes, or a text with a unit."""
    number = isinstance(value, int) and not isinstance(value, bool)
    found = parse_size(value) if isinstance(value, str) else value if number else None
    if isinstance(found, int) and 1 <= found <= SIZE_BYTES_MAX:
        return found
    message = 'a size such as "800 GB", "500 GiB", or a number of bytes, of at least 1 byte'
    raise Unfit(message)


def duration(value: object) -> timedelta:
    """Read a duration, which may be none at all."""
    found = parse_duration(value) if isinstance(value, str) else None
    if found is not None:
        return found
    message = 'a duration such as "26 h"'
    raise Unfit(message)


def period(value: object) -> timedelta:
    """Read a duration that is longer than nothing."""
    found = duration(value)
    if found:
        return found
    message = 'a duration such as "26 h", longer than nothing'
    raise Unfit(message)


def schedule(value: object) -> str:
    """Read a schedule."""
    if isinstance(value, str) and is_schedule(value):
        return value
    message = 'a schedule in five fields of cron, such as "0 22 * * FRI"'
    raise Unfit(message)


def path(value: object) -> str:
    """Read the path of a folder, and make it plain."""
    if isinstance(value, str) and value.startswith("/") and "\0" not in value:
        # POSIX lets two slashes at the front mean something else; no system here makes use of it.
        return posixpath.normpath("/" + value.lstrip("/"))
    message = "an absolute path"
    raise Unfit(message)


def globs(value: object) -> tuple[str, ...]:
    """Read globs of paths."""
    return listed(value, path_glob, '["clinic/**"]')


def database_globs(value: object) -> tuple[str, ...]:
    """Read globs of databases."""
    return listed(value, name_glob, '["CLINIC/*"]')


def excludes(value: object) -> tuple[str, ...]:
    """Read globs of what is left out; the survey understands them as the shell does."""
    return listed(value, str, '["*.tmp"]')


def listed(value: object, compile_glob: Callable[[str], object], example: str) -> tuple[str, ...]:
    """Read a list of globs."""
    given = value if isinstance(value, list) else [None]
    for item in given:
        if not isinstance(item, str) or not item.strip():
            message = f"a list of globs such as {example}"
            raise Unfit(message)
        try:
            compile_glob(item)
        except ValueError as error:
            message = f"a glob ({error})"
            raise Unfit(message) from error
    return tuple(given)


def choice(words: tuple[str, ...]) -> Reader:
    """Return the reader of one word out of several."""

    def chosen(value: object) -> object:
        if value in words:
            return value
        message = " or ".join(f'"{word}"' for word in words)
        raise Unfit(message)

    return chosen


def shown(value: object) -> str:
    """Return a value as it stands in TOML, or nearly so: short, and harmless to a terminal."""
    match value:
        case bool() | str():
            plain = json.dumps(value, ensure_ascii=False)
        case dict():
            plain = "a table"
        case list():
            plain = f"[{', '.join(shown(item) for item in value)}]"
        case _:
            plain = str(value)
    clean = "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain)
    over = len(clean) > SHOWN_CHARACTERS_MAX
    return f"{clean[: SHOWN_CHARACTERS_MAX - 3]}..." if over else clean


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a question after the known word that is most like one, or nothing."""
    found = difflib.get_close_matches(word, sorted(known), n=1)
    return f', did you mean "{found[0]}"?' if found else ""
