"""Goal: warm is warm and cold is cold, before a run and after. Method: ask for pages without
waiting for the disk (preadv2(2), RWF_NOWAIT).
"""

import errno
import os

import pytest

from benchmarks import caches, engines, machine
from benchmarks.options import MIB

IN_MEMORY = {"tmpfs", "ramfs", "unknown"}


@pytest.fixture
def path(tmp_path):
    if machine.file_system(tmp_path)[1] in IN_MEMORY:
        pytest.skip("this file system has no disk behind its cache")
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(os.urandom(MIB) * 32)
        file.flush()
        os.fsync(file.fileno())  # pages that are not written yet cannot be dropped by anybody
    return path


def resident_mebibytes(path):
    """Return in which MiB of a file the last page is in the cache."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no reading ahead
        return [index for index in range(32) if is_resident(file.fileno(), (index + 1) * MIB - 1)]


def is_resident(descriptor, offset):
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("this file system cannot say what is in the cache")


def test_evicted_files_are_on_the_disk_only(path):
    caches.evict([path], drop_all=False)
    assert resident_mebibytes(path) == []


def test_warmed_files_are_in_memory(path):
    caches.evict([path], drop_all=False)
    caches.warm([path])
    assert resident_mebibytes(path) == list(range(32))


def test_the_engine_leaves_a_cold_file_cold(path):
    caches.evict([path], drop_all=False)
    engines.engine(path, 1)()
    assert resident_mebibytes(path) == []


def test_the_engine_leaves_a_warm_file_warm(path):
    caches.warm([path])
    engines.engine(path, 1)()
    assert resident_mebibytes(path) == list(range(32))
