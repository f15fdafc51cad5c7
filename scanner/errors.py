"""What a user, or the set-up, can have wrong; each with its exit code."""

from typing import ClassVar


class ScannerError(Exception):
    """Base of everything that ends a command with a message instead of a traceback."""

    exit_code: ClassVar[int] = 2


class UsageError(ScannerError):
    """The command line asks for something that cannot be done."""


class NotThereError(ScannerError):
    """The repository or the ledger is not there."""

    exit_code = 10


class LockedError(ScannerError):
    """Another run holds the repository."""

    exit_code = 11


class LedgerPlaceError(ScannerError):
    """The ledger would lie where it must not: in the repository, or on a network file system."""

    exit_code = 10
