"""The only code that opens a backup: read-only, without a cursor, without touching its times.

`Storage` is what the rest of the engine reads through, so that tests can put storage that lies in
its place. Nothing here maps a file into memory: a failing disk would become SIGBUS.
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self, TypeAlias

import numpy as np

from formats.core.errors import Truncated
from formats.core.source import require_range
from scanner.config import SMALL_FILE_BYTES_MAX
from scanner.results import Stamps, stamps_of

DIRECT_ALIGNMENT = 4096
"""O_DIRECT wants offset, length and memory aligned to the logical block; 4096 suits all disks."""


class Storage(Protocol):
    """An open file. Offsets and lengths are bytes; every method may raise OSError."""

    size: int

    def stamps(self) -> Stamps:
        """Return the present stamps of the open file."""

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read at most ``len(buffer)`` bytes; fewer only at the end of the file."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes, or raise `Truncated`."""

    def next_data(self, offset: int) -> int:
        """Return the first offset from ``offset`` on that is not in a hole."""

    def uncached(self) -> "Storage":
        """Return the same file read past the page cache, where the platform allows it."""

    def leave(self, offset: int, length: int) -> None:
        """Say that a range will not be read again by this scan."""

    def approach(self, offset: int, length: int) -> None:
        """Say that a range will be read soon, in order."""

    def close(self) -> None:
        """Give the file back."""


Opener: TypeAlias = Callable[[Path], Storage]


class FileStorage:
    """A file on a real file system."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = open_read_only(path)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        self.size = status.st_size
        if self.size > SMALL_FILE_BYTES_MAX:
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        self._brought_in: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def stamps(self) -> Stamps:
        """Return the present stamps of the open file."""
        return stamps_of(os.fstat(self._descriptor))

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read at most ``len(buffer)`` bytes; fewer only at the end of the file."""
        done = 0
        while done < len(buffer):
            count = os.preadv(self._descriptor, [buffer[done:]], offset + done)
            if count == 0:
                break
            done += count
        return done

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes, or raise `Truncated`."""
        require_range(offset, length, self.size)
        pieces = []
        done = 0
        while done < length:
            piece = os.pread(self._descriptor, length - done, offset + done)
            if not piece:
                raise Truncated(offset, length, offset + done)
            pieces.append(piece)
            done += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def next_data(self, offset: int) -> int:
        """Return the first offset from ``offset`` on that is not in a hole.

        Only preadv is used for reading, so the descriptor's cursor is free for lseek.
        """
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return self.size  # nothing but a hole up to the end
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                return offset  # the file system does not say: everything is data
            raise

    def uncached(self) -> "Storage":
        """Return the same file read past the page cache, where the platform allows it."""
        return UncachedStorage(self, self._open_direct())

    def approach(self, offset: int, length: int) -> None:
        """Note whether a unit is in the page cache already, before reading brings it there."""
        # Its middle and its end: the beginning may have been read ahead with the unit before.
        # Of what one readahead brings in the end says enough.
        small = length <= SMALL_FILE_BYTES_MAX
        if not (
            self._resident(offset + length - 1) and (small or self._resident(offset + length // 2))
        ):
            self._brought_in.add(offset)

    def leave(self, offset: int, length: int) -> None:
        """Drop a unit from the page cache, if this scan is what brought it in."""
        if offset in self._brought_in:
            self._brought_in.discard(offset)
            os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_DONTNEED)

    def drop(self, offset: int, length: int) -> None:
        """Drop a range from the page cache, so that the next read asks the disk."""
        os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)

    def _open_direct(self) -> int | None:
        """Open the file once more for O_DIRECT; None where that is refused."""
        try:
            descriptor = open_read_only(self._path, os.O_DIRECT)
        except OSError:
            return None
        if os.path.samestat(os.fstat(descriptor), os.fstat(self._descriptor)):
            return descriptor
        # Another file was put in its place meanwhile: it must not speak for this one.
        os.close(descriptor)
        return None

    def _resident(self, offset: int) -> bool:
        try:
            # A page that is missed is fetched all the same, out of order: ask seldom. Sixteen
            # questions a unit cost 15 % of the time of a cold reading.
            return os.preadv(self._descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
        except OSError:
            # EAGAIN: not in the cache. EOPNOTSUPP: the file system cannot say; dropping clean
            # pages of our own reading costs others at most one read.
            return False


class UncachedStorage:
    """A file read with O_DIRECT, or with its cached pages dropped where O_DIRECT is refused.

    Shares the descriptor of the storage it came from for everything else.
    """

    def __init__(self, cached: FileStorage, descriptor: int | None) -> None:
        self._cached = cached
        self.size = cached.size
        self._descriptor = descriptor

    def stamps(self) -> Stamps:
        """Return the present stamps of the open file."""
        return self._cached.stamps()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Read from the disk into ``buffer``."""
        start = offset - offset % DIRECT_ALIGNMENT
        end = -(-(offset + len(buffer)) // DIRECT_ALIGNMENT) * DIRECT_ALIGNMENT
        self._cached.drop(start, end - start)
        if self._descriptor is None:
            return self._cached.read_into(buffer, offset)
        block = aligned_buffer(end - start)
        try:
            count = os.preadv(self._descriptor, [block], start)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            count = 0
        wanted = min(offset + len(buffer), max(self.size, offset)) - start
        if count < wanted:
            # A sector that fails cuts a direct read short without an error. Asked through the
            # cache, the file says which it is: the error, or its end.
            return self._cached.read_into(buffer, offset)
        piece = block[offset - start : wanted]
        buffer[: len(piece)] = piece
        return len(piece)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes, or raise `Truncated`."""
        require_range(offset, length, self.size)
        block = bytearray(length)
        count = self.read_into(memoryview(block), offset)
        if count < length:
            raise Truncated(offset, length, offset + count)
        return bytes(block)

    def next_data(self, offset: int) -> int:
        """Return ``offset``: read again, everything is data."""
        return offset

    def uncached(self) -> "Storage":
        """Return itself."""
        return self

    def approach(self, offset: int, length: int) -> None:
        """Do nothing: there is no cache to spare."""

    def leave(self, offset: int, length: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Give back the second descriptor; the first one belongs to the cached storage."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def open_read_only(path: Path, extra_flags: int = 0) -> int:
    """Open for reading, without following a link and, where allowed, without changing atime."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | extra_flags
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        # O_NOATIME is for the file's owner and for root only.
        return os.open(path, flags)


def aligned_buffer(length: int) -> memoryview:
    """Return ``length`` bytes of memory aligned for O_DIRECT."""
    block = np.empty(length + DIRECT_ALIGNMENT, np.uint8)
    shift = -block.ctypes.data % DIRECT_ALIGNMENT
    return memoryview(block[shift : shift + length])  # type: ignore[arg-type]
