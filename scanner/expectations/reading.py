"""TOML into expectations. All mistakes of a file are found before any is told."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, get_args

import msgspec

from scanner.errors import ConfigError
from scanner.expectations import values
from scanner.expectations.model import (
    Defaults,
    Expectations,
    Limits,
    RepositoryExpectation,
    SourceExpectation,
    Undeclared,
)
from scanner.expectations.values import Reader, Unfit

Table: TypeAlias = Mapping[str, object]

LIMITS: Mapping[str, Reader] = {
    "jobs": values.count,
    "settle": values.duration,
    "max_proof_age": values.duration,
    "exclude": values.excludes,
}
DEFAULTS: Mapping[str, Reader] = {
    "rpo": values.period,
    "rto": values.period,
    "database_age": values.period,
    "undeclared": values.choice(get_args(Undeclared)),
}
REPOSITORY: Mapping[str, Reader] = {
    "path": values.path,
    "allotment": values.size,
    "exclude": values.excludes,
}
SOURCE: Mapping[str, Reader] = {
    "name": values.text,
    "match": values.globs,
    "database": values.database_globs,
    "machine": values.text,
    "expected": values.size,
    "allotment": values.size,
    "schedule": values.schedule,
    "rpo": values.period,
    "rto": values.period,
    "required": values.flag,
}
SINGLE: Mapping[str, Mapping[str, Reader]] = {"limits": LIMITS, "defaults": DEFAULTS}
REPEATED: Mapping[str, Mapping[str, Reader]] = {"repository": REPOSITORY, "source": SOURCE}
NAMING: Mapping[str, str] = {"repository": "path", "source": "name"}
"""The key by which each repeated table is known; it must be there, and differ."""


def parse(text: str, file: str) -> Expectations:
    """Return what a configuration says; ``file`` is what it is called in messages.

    Raises `ConfigError` with everything that is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, [f"no TOML: {error}"]) from error
    problems: list[str] = []
    problems.extend(unknown(document, [*SINGLE, *REPEATED], "", "table"))
    single = {
        name: read_table(table_of(document, name, problems), keys, f"[{name}]", problems)
        for name, keys in SINGLE.items()
    }
    repeated = {
        name: [
            read_table(table, keys, place(name, number, table), problems)
            for number, table in enumerate(tables_of(document, name, problems), 1)
        ]
        for name, keys in REPEATED.items()
    }
    for name, tables in repeated.items():
        problems.extend(alike(tables, name))
    problems.extend(matching_nothing(document, repeated["source"]))
    if problems:
        raise ConfigError(file, problems)
    return Expectations(
        limits=msgspec.convert(single["limits"], Limits),
        defaults=msgspec.convert(single["defaults"], Defaults),
        repositories=msgspec.convert(repeated["repository"], tuple[RepositoryExpectation, ...]),
        sources=msgspec.convert(repeated["source"], tuple[SourceExpectation, ...]),
    )


def table_of(document: Table, name: str, problems: list[str]) -> Table:
    """Return a table that may stand in the file once."""
    found = document.get(name, {})
    if isinstance(found, dict):
        return found
    problems.append(f"expected one table [{name}], found {values.shown(found)}")
    return {}


def tables_of(document: Table, name: str, problems: list[str]) -> Sequence[Table]:
    """Return the tables of a kind that may stand in the file several times."""
    found = document.get(name, [])
    if isinstance(found, list) and all(isinstance(item, dict) for item in found):
        return found
    instead = f"[{name}]" if isinstance(found, dict) else values.shown(found)
    problems.append(f"expected tables [[{name}]], found {instead}")
    return ()


def place(kind: str, number: int, table: Table) -> str:
    """Return what a repeated table is called in messages."""
    name = table.get(NAMING[kind])
    return f"{kind} {number}" + (f" ({values.shown(name)})" if isinstance(name, str) else "")


def read_table(
    table: Table, keys: Mapping[str, Reader], where: str, problems: list[str]
) -> dict[str, object]:
    """Return the values of a table that are right, and note those that are not."""
    read: dict[str, object] = {}
    problems.extend(unknown(table, keys, f"{where}, ", "key"))
    for key, reader in keys.items():
        if key not in table:
            continue
        try:
            read[key] = reader(table[key])
        except Unfit as expected:
            found = values.shown(table[key])
            problems.append(f'{where}, key "{key}": expected {expected}, found {found}')
    problems.extend(
        f'{where}, key "{key}": missing'
        for key in NAMING.values()
        if key in keys and key not in table
    )
    return read


def unknown(
    table: Table, known: Mapping[str, Reader] | Sequence[str], where: str, noun: str
) -> Iterator[str]:
    """Yield what a table has that means nothing here."""
    for key in table:
        if key not in known:
            guess = values.nearest(key, known)
            yield f"{where}{noun} {values.shown(key)}: unknown{guess}"


def alike(tables: Sequence[Table], kind: str) -> Iterator[str]:
    """Yield the names that several tables of one kind have."""
    key = NAMING[kind]
    counts = Counter(table[key] for table in tables if key in table)
    for name, count in counts.items():
        if count > 1:
            numbers = [str(i) for i, table in enumerate(tables, 1) if table.get(key) == name]
            told = f"{', '.join(numbers[:-1])} and {numbers[-1]}"
            yield f'{kind} {told}, key "{key}": {values.shown(name)} {count} times, expected once'


def matching_nothing(document: Table, read: Sequence[Table]) -> Iterator[str]:
    """Yield the sources that could not match any image; globs that are wrong were told already."""
    tables = document.get("source")
    for number, table in enumerate(read, 1):
        assert isinstance(tables, list)
        written = tables[number - 1]
        wrong = any(key in written and key not in table for key in ("match", "database"))
        if not wrong and not table.get("match") and not table.get("database"):
            yield f'{place("source", number, written)}: expected "match" or "database", found none'
