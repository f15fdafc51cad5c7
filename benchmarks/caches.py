"""Bring files into the page cache, or out of it, before something is measured."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
PIECE_BYTES = 1 << 20


def files_under(path: Path) -> Iterator[Path]:
    """Yield a file itself, or all files below a folder."""
    if path.is_file():
        yield path
        return
    for folder, _folders, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def warm(paths: Iterable[Path]) -> None:
    """Read every file once."""
    buffer = memoryview(bytearray(PIECE_BYTES))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def evict(paths: Iterable[Path], *, drop_all: bool) -> None:
    """Take files out of the page cache; ``drop_all`` empties the whole cache where permitted."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # dirty pages are not dropped
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    if drop_all and may_drop_all():
        DROP_CACHES.write_text("3\n", "ascii")


def may_drop_all() -> bool:
    """Whether this process may empty the machine's page cache."""
    return os.access(DROP_CACHES, os.W_OK)


def may_read_directly(path: Path) -> bool:
    """Whether the file system takes O_DIRECT; one in memory may not."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return True


def way_of_dropping(*, drop_all: bool) -> str:
    """Say how `evict` works here."""
    if drop_all and may_drop_all():
        return "posix_fadvise(DONTNEED) on the files, then drop_caches for the whole machine"
    return "posix_fadvise(DONTNEED) on the files only"
