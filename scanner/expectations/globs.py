"""Globs as regular expressions.

``*`` and ``?`` stand for characters of one name, never for a slash; ``**`` as a whole name stands
for any number of folders, at the end for everything below; ``[abc]``, ``[a-z]`` and ``[!abc]`` for
one character; a glob that ends in a slash means everything below. A bracket that is not closed is
a bracket. A backslash is a backslash: it is part of the names of SQL Server instances.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import zip_longest
from typing import TypeAlias

Pattern: TypeAlias = re.Pattern[str]

STAR = "**"


def path_glob(glob: str) -> Pattern:
    """Return what matches paths. Raises ValueError for a range that runs backwards."""
    return re.compile(path_expression(glob), re.DOTALL)


def any_path_glob(globs: Iterable[str]) -> Pattern | None:
    """Return what matches paths that any of several globs matches; None where there is none."""
    expressions = [f"(?:{path_expression(glob)})" for glob in globs]
    return re.compile("|".join(expressions), re.DOTALL) if expressions else None


def path_expression(glob: str) -> str:
    """Return the expression of a glob of paths."""
    every = composed(glob + STAR if glob.endswith("/") else glob).split("/")
    # Twice any number of folders is any number of them, and takes for ever to try out.
    pairs = zip_longest(every, every[1:])
    names = [name for name, after in pairs if not name == after == STAR]
    last = len(names) - 1
    parts = []
    for index, name in enumerate(names):
        slash = "" if index == last else "/"
        if name != STAR:
            parts.append(translated(name, "[^/]") + slash)
        else:
            # In front it also stands for the root.
            root = "/?" if index == 0 else ""
            parts.append(".+" if index == last else f"{root}(?:[^/]+/)*")
    return "".join(parts)


def name_glob(glob: str) -> Pattern:
    """Return what matches names of servers and databases, whatever their case."""
    return re.compile(translated(composed(glob), "."), re.DOTALL | re.IGNORECASE)


def composed(text: str) -> str:
    """Return text in composed form: macOS stores names decomposed, and both look the same."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def translated(glob: str, anything: str) -> str:
    """Return the expression of a glob; ``anything`` is that of any one character."""
    parts: list[str] = []
    index = 0
    while index < len(glob):
        character = glob[index]
        end = closing(glob, index) if character == "[" else -1
        if end > 0:
            parts.append(one_of(glob[index + 1 : end], anything))
            index = end
        elif character == "*":
            parts.append(f"{anything}*" if glob[index - 1 : index] != "*" else "")
        else:
            parts.append(anything if character == "?" else re.escape(character))
        index += 1
    return "".join(parts)


def closing(glob: str, opening: int) -> int:
    """Return where a bracket is closed, or -1; one right after the opening is a member."""
    first = opening + (2 if glob[opening + 1 : opening + 2] == "!" else 1)
    return glob.find("]", first + 1)


def one_of(members: str, anything: str) -> str:
    """Return the expression of a set of characters and ranges."""
    negated = members.startswith("!")
    rest = members[1:] if negated else members
    parts = []
    while rest:
        if len(rest) > 2 and rest[1] == "-":  # noqa: PLR2004 - a range is three characters
            if rest[0] > rest[2]:
                message = f"range {rest[:3]!r} runs backwards"
                raise ValueError(message)
            parts.append(f"{re.escape(rest[0])}-{re.escape(rest[2])}")
            rest = rest[3:]
        else:
            parts.append(re.escape(rest[0]))
            rest = rest[1:]
    return f"(?={anything})[{'^' if negated else ''}{''.join(parts)}]"
