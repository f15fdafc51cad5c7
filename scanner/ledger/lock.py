"""One scan per repository: a lock file beside the ledger, held by the kernel, not by its content.

The file stays when the lock is released: whoever removes a lock file can remove one that another
process has just locked.
"""

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import xxhash

from scanner.errors import LedgerPlaceError, LockedError
from scanner.ledger.opening import LOCK_SUFFIX
from scanner.ledger.packing import to_text

HOLDER_BYTES_MAX = 200


def lock_path(ledger: Path, filesystem: str, root: str) -> Path:
    """Return where the lock of a repository lies."""
    named = msgspec.json.encode((to_text(filesystem), to_text(root)))
    return ledger.with_name(f"{ledger.name}{LOCK_SUFFIX}{xxhash.xxh3_64_hexdigest(named)[:10]}")


class RepositoryLock:
    """A held lock; released by `close`, and by the kernel when the process dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def take(
        cls, ledger: Path, filesystem: str, root: str, repository: Path, now: datetime
    ) -> Self:
        """Lock a repository for this process, or raise `LockedError` naming who holds it."""
        path = lock_path(ledger, filesystem, root)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"lock file {str(path)!r} cannot be made: {error.strerror}"
            raise LedgerPlaceError(message) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, HOLDER_BYTES_MAX, 0).decode(errors="replace").strip()
            os.close(descriptor)
            message = (
                f"repository {str(repository)!r} is being scanned by {holder or 'another run'}"
            )
            raise LockedError(message) from error
        os.ftruncate(descriptor, 0)
        holder = f"process {os.getpid()} since {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC\n"
        os.pwrite(descriptor, holder.encode(), 0)
        return cls(path, descriptor)

    def close(self) -> None:
        """Release the lock; doing it twice does no harm."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()
