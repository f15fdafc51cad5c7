"""The one opener of backups: read-only, polite, and not to be fooled by what is no file."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.errors import Truncated
from scanner.config import MIB
from scanner.engine import storage as module
from scanner.engine.storage import FileStorage, UncachedStorage, open_read_only

CONTENT = np.random.default_rng(5).bytes(300_001)
PROBES = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "disk.img"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture(autouse=True)
def no_leaked_descriptor() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def descriptors() -> set[tuple[str, str]]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.add((link.name, str(link.readlink())))
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return found


def read(source: FileStorage | UncachedStorage, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    count = source.read_into(memoryview(buffer), offset)
    return bytes(buffer[:count])


# Opening


def test_a_file_is_opened_for_reading_only_without_its_access_time(path, monkeypatch):
    flags = watched_opens(monkeypatch)
    with FileStorage(path) as opened:
        assert opened.size == len(CONTENT)
    (used,) = flags
    assert used & os.O_ACCMODE == os.O_RDONLY
    for wanted in (os.O_NOATIME, os.O_NOFOLLOW, os.O_NONBLOCK, os.O_CLOEXEC):
        assert used & wanted
    for never in (os.O_CREAT, os.O_TRUNC, os.O_APPEND):
        assert not used & never


def watched_opens(
    monkeypatch: pytest.MonkeyPatch, refuse: Callable[[int], OSError | None] = lambda _flags: None
) -> list[int]:
    """Note the flags of every open; ``refuse`` may return an error to raise."""
    flags: list[int] = []
    really_open = os.open

    def watching(name: Path, used: int, *more: int) -> int:
        flags.append(used)
        error = refuse(used)
        if error is not None:
            raise error
        return really_open(name, used, *more)

    monkeypatch.setattr(module.os, "open", watching)
    return flags


def test_another_users_file_is_opened_without_o_noatime(path, monkeypatch):
    def refuse(flags: int) -> OSError | None:
        return PermissionError(errno.EPERM, "no") if flags & os.O_NOATIME else None

    flags = watched_opens(monkeypatch, refuse)
    with FileStorage(path) as opened:
        assert opened.read_at(0, 10) == CONTENT[:10]
    assert len(flags) == 2
    assert flags[1] == flags[0] & ~os.O_NOATIME


def test_a_file_that_may_not_be_opened_at_all_says_so(path, monkeypatch):
    watched_opens(monkeypatch, lambda _flags: PermissionError(errno.EACCES, "no"))
    with pytest.raises(PermissionError):
        FileStorage(path)


def test_a_link_is_not_followed(path, tmp_path):
    link = tmp_path / "link.img"
    link.symlink_to(path)
    with pytest.raises(OSError, match=r".*") as caught:
        FileStorage(link)
    assert caught.value.errno == errno.ELOOP


def test_a_pipe_a_folder_and_a_device_are_no_files_and_hang_nobody(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for name in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file") as caught:
            FileStorage(name)
        assert caught.value.errno == errno.EINVAL


def test_a_socket_is_no_file(tmp_path):
    name = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(name))
        with pytest.raises(OSError, match=r".*") as caught:
            FileStorage(name)
    assert caught.value.errno == errno.ENXIO


# Reading


@settings(max_examples=50)
@given(offset=st.integers(0, len(CONTENT)), length=st.integers(0, 70_000))
def test_both_ways_of_reading_give_the_same_at_odd_offsets(tmp_path_factory, offset, length):
    file = tmp_path_factory.getbasetemp() / "odd.img"
    if not file.exists():
        file.write_bytes(CONTENT)
    wanted = CONTENT[offset : offset + length]
    with FileStorage(file) as cached:
        direct = cached.uncached()
        try:
            assert read(cached, offset, length) == wanted
            assert read(direct, offset, length) == wanted
            if offset + length <= len(CONTENT):
                assert cached.read_at(offset, length) == wanted
                assert direct.read_at(offset, length) == wanted
        finally:
            direct.close()


def test_reading_past_the_end_is_truncated_both_ways(path):
    with FileStorage(path) as cached:
        direct = cached.uncached()
        for source in (cached, direct):
            with pytest.raises(Truncated):
                source.read_at(len(CONTENT) - 1, 2)
        direct.close()


def test_a_file_that_was_cut_after_it_was_opened_is_truncated_both_ways(path):
    with FileStorage(path) as cached:
        direct = cached.uncached()
        os.truncate(path, 5000)
        for source in (cached, direct):
            assert read(source, 4000, 3000) == CONTENT[4000:5000]
            with pytest.raises(Truncated) as caught:
                source.read_at(4000, 3000)
            assert caught.value.size == 5000
        assert cached.stamps().size == 5000
        direct.close()


def test_where_o_direct_is_refused_pages_are_dropped_instead(path, monkeypatch):
    def refuse(flags: int) -> OSError | None:
        return OSError(errno.EINVAL, "no") if flags & os.O_DIRECT else None

    dropped: list[tuple[int, int]] = []
    with FileStorage(path) as cached:
        watched_opens(monkeypatch, refuse)
        monkeypatch.setattr(
            cached, "drop", lambda offset, length: dropped.append((offset, length)), raising=False
        )
        direct = cached.uncached()
        assert read(direct, 5000, 10) == CONTENT[5000:5010]
        direct.close()
    assert dropped == [(4096, 4096)]


def test_a_direct_read_cut_short_by_a_bad_sector_is_an_error_and_no_end_of_file(path, monkeypatch):
    # Linux returns what lies before the bad sector, without an error.
    with FileStorage(path) as cached:
        direct = cached.uncached()
        monkeypatch.setattr(module.os, "preadv", failing_sector(8192))
        with pytest.raises(OSError, match=r".*") as caught:
            read(direct, 0, 20_000)
        assert caught.value.errno == errno.EIO
        assert read(direct, 0, 8192) == CONTENT[:8192]
        monkeypatch.undo()
        direct.close()


def failing_sector(bad: int) -> Callable[..., int]:
    """Return a preadv for a file with one bad sector: short before it, an error at it."""
    really_read = os.preadv

    def preadv(descriptor: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        (buffer,) = buffers
        if offset + len(buffer) <= bad or offset >= bad + 4096:
            return really_read(descriptor, buffers, offset, flags)
        if offset >= bad:
            raise OSError(errno.EIO, "bad sector")
        return really_read(descriptor, [buffer[: bad - offset]], offset, flags)

    return preadv


def test_another_file_under_the_same_name_does_not_speak_for_this_one(path):
    with FileStorage(path) as cached:
        newcomer = path.with_name("new")
        newcomer.write_bytes(bytes(len(CONTENT)))
        newcomer.rename(path)
        direct = cached.uncached()
        assert direct.read_at(0, 10_000) == CONTENT[:10_000]
        direct.close()


def test_a_name_that_went_away_is_read_past_the_cache_all_the_same(path):
    with FileStorage(path) as cached:
        path.unlink()
        direct = cached.uncached()
        assert direct.read_at(100, 10_000) == CONTENT[100:10_100]
        direct.close()


# Holes


def test_holes_are_found_where_they_are(tmp_path):
    file = tmp_path / "sparse.img"
    with file.open("wb") as out:
        out.truncate(4 * MIB)
        out.seek(2 * MIB)
        out.write(b"data")
    with FileStorage(file) as opened:
        if opened.next_data(0) == 0:
            pytest.skip("this file system tells nothing of holes")
        assert opened.next_data(0) == 2 * MIB
        assert opened.next_data(2 * MIB + 1) == 2 * MIB + 1
        assert opened.next_data(3 * MIB) == 4 * MIB
        assert opened.next_data(4 * MIB) == 4 * MIB
        direct = opened.uncached()
        assert direct.next_data(0) == 0
        assert direct.read_at(MIB, 100) == bytes(100)
        direct.close()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_where_holes_are_not_told_everything_is_data(path, monkeypatch, number):
    with FileStorage(path) as opened:
        monkeypatch.setattr(module.os, "lseek", raising(OSError(number, "no")))
        assert opened.next_data(123) == 123


def test_another_error_of_the_search_for_data_is_passed_on(path, monkeypatch):
    with FileStorage(path) as opened:
        monkeypatch.setattr(module.os, "lseek", raising(OSError(errno.ESTALE, "stale")))
        with pytest.raises(OSError, match="stale"):
            opened.next_data(0)


def raising(error: OSError) -> Callable[..., int]:
    def call(*_arguments: object) -> int:
        raise error

    return call


# Politeness


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of 8 MiB that is on the disk and not in the page cache."""
    file = tmp_path / "big.img"
    file.write_bytes(np.random.default_rng(6).bytes(8 * MIB))
    drop(file)
    if resident(file):
        pytest.skip("this file system does not drop pages, or does not tell")
    return file


def drop(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def resident(file: Path) -> int:
    """Return at how many of `PROBES` places the page cache has the file."""
    descriptor = os.open(file, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    found = 0
    for offset in range(0, file.stat().st_size, file.stat().st_size // PROBES):
        try:
            found += os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            continue
        except OSError as error:
            os.close(descriptor)
            pytest.skip(f"this file system does not tell what is cached: {error.strerror}")
    os.close(descriptor)
    return found


def scan_whole(file: Path) -> None:
    with FileStorage(file) as opened:
        opened.approach(0, opened.size)
        assert len(read(opened, 0, opened.size)) == opened.size
        opened.leave(0, opened.size)


def test_what_a_scan_brought_into_the_cache_it_drops(big):
    scan_whole(big)
    assert resident(big) == 0


def test_what_was_in_the_cache_before_stays(big):
    big.read_bytes()
    assert resident(big) == PROBES
    scan_whole(big)
    assert resident(big) == PROBES


def test_a_range_nobody_announced_is_not_dropped(big):
    big.read_bytes()
    with FileStorage(big) as opened:
        opened.leave(0, opened.size)
    assert resident(big) == PROBES


def test_the_access_time_stays(path):
    def read_plainly() -> None:
        with path.open("rb") as file:
            file.read()

    def accessed_after(reading: Callable[[], None]) -> int:
        os.utime(path, ns=(1_000_000_000, path.stat().st_mtime_ns))
        reading()
        return path.stat().st_atime_ns

    def read_politely() -> None:
        with FileStorage(path) as opened:
            read(opened, 0, opened.size)
            direct = opened.uncached()
            read(direct, 0, opened.size)
            direct.close()

    if accessed_after(read_plainly) == 1_000_000_000:
        pytest.skip("this file system keeps no access times")
    assert accessed_after(read_politely) == 1_000_000_000


def test_open_read_only_takes_more_flags(path):
    descriptor = open_read_only(path, os.O_DIRECT)
    os.close(descriptor)
