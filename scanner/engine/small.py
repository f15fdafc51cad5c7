"""Small files: read in one go when they are opened, and looked at in memory from then on.

What tells the format, what is parsed and what is digested are then the same bytes, and a file of a
few KiB costs one read instead of one for each of these.
"""

import xxhash

from formats.core.errors import Truncated
from formats.core.source import require_range
from scanner.config import SMALL_FILE_BYTES_MAX
from scanner.engine.storage import Storage
from scanner.engine.trouble import MEDIA_ERRORS
from scanner.results import Stamps


class KeptStorage:
    """An open file whose content is in memory; all but reading is the file's own."""

    def __init__(self, storage: Storage, content: bytes) -> None:
        self._storage = storage
        self._content = content
        self.size = len(content)

    def digest(self) -> bytes:
        """Return the digest of all there is: a small file is one block."""
        return xxhash.xxh3_128_digest(self._content)

    def stamps(self) -> Stamps:
        """Return the present stamps of the open file."""
        return self._storage.stamps()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Copy at most ``len(buffer)`` bytes; fewer only at the end of the file."""
        piece = self._content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes, or raise `Truncated`."""
        require_range(offset, length, self.size)
        return self._content[offset : offset + length]

    def next_data(self, offset: int) -> int:
        """Return ``offset``: a file that is one hole is not kept."""
        return offset

    def uncached(self) -> Storage:
        """Return the same file read past the page cache, where the platform allows it."""
        return self._storage.uncached()

    def approach(self, offset: int, length: int) -> None:
        """Do nothing: everything was read."""

    def leave(self, offset: int, length: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Give the file back, and the memory: results may wait a while to be recorded."""
        self._content = b""
        self._storage.close()


def kept(storage: Storage, stamps: Stamps) -> Storage:
    """Return a small file with its content in memory; any other file as it is.

    So is one that is a single hole, or that the storage refuses bytes of: there is more to find
    out about these than one read tells. Raises `Truncated` for a file that shrank meanwhile.
    """
    size = storage.size
    if not 0 < size <= SMALL_FILE_BYTES_MAX:
        return storage
    full = stamps.allocated_bytes is not None and stamps.allocated_bytes >= size
    if not full and storage.next_data(0) >= size:
        return storage
    storage.approach(0, size)
    try:
        content = storage.read_at(0, size)
    except Truncated:
        raise
    except OSError as error:
        if error.errno not in MEDIA_ERRORS:
            raise
        return storage
    storage.leave(0, size)
    return KeptStorage(storage, content)
