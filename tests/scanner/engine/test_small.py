"""Small files are read in one go: what comes out is what reading them in windows gives, also where
they change, are refused, or hold bytes the storage does not deliver; and beside such a file, all
others come out as ever.
"""

import errno
from random import Random
from unittest import mock

import pytest

from scanner.config import MIB, SMALL_FILE_BYTES_MAX
from scanner.engine import small
from scanner.engine.small import KeptStorage, kept
from scanner.results import FileState, Stamps
from tests import damage
from tests.faulty import Faults, MemoryStorage
from tests.scanner.engine import toys
from tests.scanner.engine.runs import coordinates, lane_over, said

SIZES = [1, 4095, 4096, 4097, *(SMALL_FILE_BYTES_MAX + step for step in (-1, 0, 1))]


def content_of(size: int) -> bytes:
    return Random(size).randbytes(size)  # noqa: S311 - any bytes do


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("start", [b"", toys.MAGIC], ids=["unknown", "known"])
def test_in_memory_and_in_windows_give_the_same(size, start):
    content = (start + content_of(size))[:size]
    run = lane_over({"a": content}, [toys.toy()])
    with mock.patch.object(small, "SMALL_FILE_BYTES_MAX", 0):
        windows = lane_over({"a": content}, [toys.toy()])
    assert said(run.only) == said(windows.only)
    assert run.only.bytes_read == windows.only.bytes_read == size
    assert [unit.digests for unit in run.units("a")] == [
        unit.digests for unit in windows.units("a")
    ]


@pytest.mark.parametrize(("size", "reads"), [(1, 1), (SMALL_FILE_BYTES_MAX, 1)])
def test_a_small_file_is_read_once(size, reads):
    faults = Faults()
    lane_over({"a": content_of(size)}, [toys.toy()], {"a": faults})
    assert faults.reads == [(0, size)] * reads


def test_a_file_too_large_is_read_in_windows():
    faults = Faults()
    size = SMALL_FILE_BYTES_MAX + 1
    lane_over({"a": content_of(size)}, [toys.toy()], {"a": faults})
    assert faults.reads[-1] == (0, size), "after both of its ends"
    assert len(faults.reads) == 3


def test_zeros_and_an_empty_file_are_told():
    run = lane_over({"zeros": bytes(5000), "empty": b""}, [toys.toy()])
    found = {name: coordinates(result.evidence) for name, result in run.records.results.items()}
    assert found == {
        "zeros": [("generic.content", "mismatched", 0, 5000)],
        "empty": [("generic.size", "mismatched", 0, 0)],
    }


def troubles() -> dict[str, Faults]:
    return {
        "grew": Faults(later_size=6000),
        "written": Faults(later_mtime_ns=2_000),
        "shrank": Faults(later_size=100),
        "refused": Faults(open_errno=errno.EACCES),
        "stale": Faults(later_errno=errno.ESTALE),
        "vanished": Faults(open_errno=errno.ENOENT),
        "bad sector": Faults(refused=[(4100, 4200)]),
        "bad start": Faults(refused=[(0, 1)]),
    }


OUTCOMES = {
    "grew": (FileState.CHANGED, [("storage.changed", "mismatched", None, None)]),
    "written": (FileState.CHANGED, [("storage.changed", "mismatched", None, None)]),
    "shrank": (FileState.CHANGED, [("storage.changed", "mismatched", None, None)]),
    "refused": (FileState.REFUSED, [("storage.refused", "unreadable", None, None)]),
    "stale": (FileState.REFUSED, [("storage.refused", "unreadable", None, None)]),
    "vanished": (FileState.GONE, []),
    "bad sector": (FileState.READ, [("storage.unreadable", "unreadable", 4096, 904)]),
    "bad start": (FileState.READ, [("storage.unreadable", "unreadable", 0, 4096)]),
}


@pytest.mark.parametrize("workers", [1, 3])
def test_trouble_with_one_small_file_touches_no_other(workers):
    sound = {f"sound {number}": content_of(5000) for number in range(20)}
    files, faults = {}, troubles()
    for index, name in enumerate(faults):
        files |= {f"sound {index}": sound[f"sound {index}"], name: content_of(5000)}
    run = lane_over(files | sound, [toys.toy()], faults, workers=workers)
    assert run.failure is None
    results = run.records.results
    assert {
        name: (results[name].state, coordinates(results[name].evidence)) for name in faults
    } == OUTCOMES
    assert all(results[name].state is FileState.READ for name in sound)
    assert not any(results[name].evidence for name in sound)
    assert run.watcher.done["sound 0"] == 5000


def test_a_byte_read_wrong_once_is_unsteady_and_not_believed():
    content = toys.MAGIC + toys.with_sums(content_of(9 * 1000), 1000)
    kernel = toys.block_sums(1000)
    subject = toys.toy(
        lambda _source: (toys.batch(kernel, [(len(toys.MAGIC), 9000)], check_id=toys.BLOCK),)
    )
    wrong_once = Faults(misread={len(toys.MAGIC) + 4500: 0x10})
    run = lane_over({"a.toy": content}, [subject], {"a.toy": wrong_once})
    assert coordinates(run.only.evidence) == [("storage.steady", "unsteady", 0, len(content))]
    assert not coordinates(run.only.images[0].evidence)
    wrong = damage.flip(content, len(toys.MAGIC) + 4500)
    run = lane_over({"a.toy": wrong}, [subject])
    assert coordinates(run.only.images[0].evidence) == [
        (toys.BLOCK, "mismatched", len(toys.MAGIC) + 4000, 1000)
    ]


def stamps(size: int, allocated_bytes: int | None) -> Stamps:
    return Stamps(size, 1_000, 1_000, 7, allocated_bytes)


@pytest.mark.parametrize("allocated_bytes", [0, 4096, None])
def test_a_hole_is_not_read(allocated_bytes):
    storage = MemoryStorage(bytes(8192), holes=[(0, 8192)])
    assert kept(storage, stamps(8192, allocated_bytes)) is storage


def test_a_small_file_with_a_hole_in_it_is_kept():
    storage = MemoryStorage(b"a" + bytes(8191), holes=[(4096, 8192)])
    assert isinstance(kept(storage, stamps(8192, 4096)), KeptStorage)


class Told(MemoryStorage):
    """A file that notes what it is told about the page cache."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.told: list[tuple[str, int, int]] = []

    def approach(self, offset: int, length: int) -> None:
        self.told.append(("approach", offset, length))

    def read_at(self, offset: int, length: int) -> bytes:
        self.told.append(("read", offset, length))
        return super().read_at(offset, length)

    def leave(self, offset: int, length: int) -> None:
        self.told.append(("leave", offset, length))


def test_the_page_cache_is_left_as_it_was():
    storage = Told(b"content")
    kept(storage, stamps(7, 4096))
    assert storage.told == [("approach", 0, 7), ("read", 0, 7), ("leave", 0, 7)]


def test_what_is_kept_is_let_go_when_the_file_is_closed():
    inner = MemoryStorage(b"content")
    storage = kept(inner, stamps(7, 4096))
    assert storage.read_at(3, 4) == b"tent"
    room = memoryview(bytearray(10))
    assert storage.read_into(room, 3) == 4
    assert bytes(room[:4]) == b"tent"
    storage.close()
    assert inner.closed == 1
    assert storage.read_into(room, 0) == 0


@pytest.mark.parametrize("error", [errno.EACCES, errno.ESTALE, errno.ETIMEDOUT])
def test_a_refusal_that_is_no_media_error_is_not_swallowed(error):
    run = lane_over({"a": bytes(MIB // 16)}, [], {"a": Faults(later_errno=error)})
    assert run.only.state is FileState.REFUSED
    assert errno.errorcode[error] in (run.only.evidence[0].actual or "")
