"""What can be wrong with bytes. Storage that fails raises ``OSError`` instead."""


class FormatError(Exception):
    """The bytes contradict their format; carries everything an evidence row needs.

    ``check`` is the full check id; ``offset`` and ``length`` are bytes in the file; ``expected``
    and ``actual`` are short printable values, never content of the backup.
    """

    def __init__(
        self,
        check: str,
        *,
        offset: int | None = None,
        length: int | None = None,
        expected: str | None = None,
        actual: str | None = None,
    ) -> None:
        where = "" if offset is None else f" at 0x{offset:x}+{length or 0}"
        super().__init__(f"{check}{where}: expected {expected}, found {actual}")
        self.check = check
        self.offset = offset
        self.length = length
        self.expected = expected
        self.actual = actual


class Truncated(FormatError):
    """A read ran past the end of the source: ``offset + length`` does not exist."""

    def __init__(self, offset: int, length: int, size: int, *, check: str = "source.read") -> None:
        super().__init__(
            check,
            offset=offset,
            length=length,
            expected=f"{offset + length} bytes",
            actual=f"{size} bytes",
        )
        self.size = size


class Unsupported(FormatError):
    """A variant that is known to exist and that this code does not read."""
