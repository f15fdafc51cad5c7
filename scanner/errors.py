"""What a user, or the set-up, can have wrong; each with its exit code."""

from collections.abc import Sequence
from typing import ClassVar


class ScannerError(Exception):
    """Base of everything that ends a command with a message instead of a traceback."""

    exit_code: ClassVar[int] = 2


class UsageError(ScannerError):
    """The command line asks for something that cannot be done."""


class ConfigError(ScannerError):
    """The configuration says what cannot be meant; ``problems`` has a line for each mistake."""

    def __init__(self, file: str, problems: Sequence[str]) -> None:
        self.file = file
        self.problems = tuple(problems)
        count = f" has {len(self.problems)} mistakes" if len(self.problems) > 1 else ""
        between = "\n  " if count else " "
        super().__init__(f"{file!r}{count}:" + "".join(between + item for item in self.problems))


class NotThereError(ScannerError):
    """The repository or the ledger is not there."""

    exit_code = 10


class LockedError(ScannerError):
    """Another run holds the repository."""

    exit_code = 11


class LedgerPlaceError(ScannerError):
    """The ledger would lie where it must not: in the repository, or on a network file system."""

    exit_code = 10
