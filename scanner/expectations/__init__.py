"""What an administrator expects of his backups: types, how TOML becomes them, what they match.

All of it is pure: nothing here opens a file, asks a clock or knows the ledger.
"""

from scanner.expectations.matching import Matcher, database_of, matcher, matches
from scanner.expectations.model import (
    Defaults,
    Expectations,
    Limits,
    RepositoryExpectation,
    SourceExpectation,
    Undeclared,
)
from scanner.expectations.reading import parse
from scanner.expectations.schedule import last_time, next_time

__all__ = [
    "Defaults",
    "Expectations",
    "Limits",
    "Matcher",
    "RepositoryExpectation",
    "SourceExpectation",
    "Undeclared",
    "database_of",
    "last_time",
    "matcher",
    "matches",
    "next_time",
    "parse",
]
