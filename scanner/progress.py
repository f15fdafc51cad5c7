"""What a running scan tells whoever watches. Calls come from several threads."""

from typing import Protocol

from scanner.results import FileResult


class Watcher(Protocol):
    """Receives what a scan is doing; must be quick and must not raise."""

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """So many files are to be read in this repository, of so many bytes in all."""

    def started(self, path: str, size: int) -> None:
        """Note that a file is being read from now on."""

    def read(self, path: str, length: int) -> None:
        """So many more bytes of the file are done (holes and resumed units count as done)."""

    def finished(self, result: FileResult) -> None:
        """Note that a file is done, one way or the other."""

    def note(self, text: str) -> None:
        """Something the operator should know that belongs to no file."""


class Silent:
    """A watcher that does not look."""

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """Ignore."""

    def started(self, path: str, size: int) -> None:
        """Ignore."""

    def read(self, path: str, length: int) -> None:
        """Ignore."""

    def finished(self, result: FileResult) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""
