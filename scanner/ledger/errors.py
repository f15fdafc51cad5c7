"""What can go wrong with the ledger itself; each ends the command with a message."""

from typing import ClassVar

from scanner.errors import ScannerError


class LedgerStorageError(ScannerError):
    """The disk under the ledger is full or failing, or another process does not let go of it."""

    exit_code: ClassVar[int] = 10


class LedgerForeignError(ScannerError):
    """The file is the ledger of a newer version, or none of ours at all."""

    exit_code: ClassVar[int] = 10
