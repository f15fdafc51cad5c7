"""The whole engine on large files, warm and cold, beside bare loops and other programs."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import caches
from benchmarks.measure import Contender, driver, interleaved, make
from benchmarks.options import Options
from benchmarks.places import Skipped, qemu_img, room_for
from benchmarks.report import compared, size_text

AIM_BARE = 0.9
AIM_DEVICE = 0.95
COMPRESSED_SHARE = 4
"""Compressed images are made of a file this many times smaller: qemu-img packs slowly."""


EXPLAINED = (
    "engine, bare, read, direct: their own clock, on prepared work, without starting Python.",
    "scan: a first scan with a fresh ledger, its own clock; other programs: the whole command.",
    "bare: xxh3 per MiB and the format's own calls on the same ranges, read in the same",
    "windows, without our engine. read: preadv alone. direct: O_DIRECT in pieces of 4 MiB.",
    "'command s' is the whole process. x1, x2: threads. 'ours / this': speed of ours (engine",
    "for loops, scan for programs) beside this one, median over the rounds; above 1 is faster.",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A file to measure on: how it is called and made, and the program that usually checks it."""

    name: str
    title: str
    make: Callable[[Options, Path], None]
    checker: tuple[str, ...] = ()


def subjects() -> tuple[Subject, ...]:
    """Return every kind of large file."""
    check = ("qemu-img", "check", "-q")
    return (
        Subject("raw", "raw: half noise, the rest text and zeros", make_raw),
        Subject("bak", "SQL Server backup, every page with its checksum", make_bak),
        Subject("vhdx", "VHDX by qemu-img", partial(convert, "vhdx"), (*check, "-f", "vhdx")),
        Subject("qcow2", "qcow2 by qemu-img", partial(convert, "qcow2"), (*check, "-f", "qcow2")),
        Subject(
            "deflate.qcow2",
            "qcow2 by qemu-img, clusters compressed with deflate",
            partial(convert, "qcow2", packing="zlib"),
            (*check, "-f", "qcow2"),
        ),
        Subject(
            "zstd.qcow2",
            "qcow2 by qemu-img, clusters compressed with zstd",
            partial(convert, "qcow2", packing="zstd"),
            (*check, "-f", "qcow2"),
        ),
    )


def engine(options: Options) -> Iterator[str]:
    """Measure every subject in every state of the page cache."""
    yield from EXPLAINED
    yield f"Cold: {caches.way_of_dropping(drop_all=options.drop_all)}."
    for subject in subjects():
        try:
            yield from measure(subject, options)
        except Skipped as reason:
            yield from ("", f"{subject.title}: skipped, {reason}")


def measure(subject: Subject, options: Options) -> Iterator[str]:
    """Make one file, measure everything on it, remove it."""
    with room_for(options, file_name(subject.name, options), 2 * options.size) as path:
        if not path.exists():
            subject.make(options, path)
        size = path.stat().st_size
        for state in options.states:
            prepare = partial(warmed if state == "warm" else chilled, path, options)
            contenders = list(chosen(subject, state, path, options))
            measured = interleaved(contenders, options.repeat, prepare)
            yield from ("", f"{subject.title}, {size_text(size)}, {state}", "")
            yield from compared(measured, size)


def chosen(subject: Subject, state: str, path: Path, options: Options) -> Iterator[Contender]:
    """Yield what runs on a file in one state of the page cache."""
    for threads in (1, 2):
        ours = f"engine x{threads}"
        yield driver(ours, path, threads, action="engine")
        yield driver(f"bare x{threads}", path, threads, action="bare", beside=ours, aim=AIM_BARE)
        yield driver(f"read x{threads}", path, threads, action="read", beside=ours)
        if state == "cold" and caches.may_read_directly(path):
            yield driver(
                f"direct x{threads}", path, threads, action="direct", beside=ours, aim=AIM_DEVICE
            )
    yield driver("scan x1", path, 1, options.work, action="first-scan")
    yield driver("scan x2", path, 2, options.work, action="first-scan")
    programs: list[tuple[str, tuple[str, ...]]] = [("cat", ("cat",))]
    if state == "warm":
        programs += [
            ("xxhsum -H2", ("xxhsum", "-H2")),
            ("sha256sum", ("sha256sum",)),
            (" ".join(subject.checker), subject.checker),
        ]
    for name, command in programs:
        if command and shutil.which(command[0]):
            yield Contender(name, (*command, str(path)), beside="scan x2")


def warmed(path: Path, _options: Options) -> None:
    """Bring the file into the page cache."""
    caches.warm([path])


def chilled(path: Path, options: Options) -> None:
    """Take the file out of the page cache."""
    caches.evict([path], drop_all=options.drop_all)


def make_raw(options: Options, path: Path) -> None:
    """Make the raw file."""
    make("raw", path, options.size)


def make_bak(options: Options, path: Path) -> None:
    """Make the backup by the builder of the tests."""
    make("bak", path, options.size)


def convert(kind: str, options: Options, path: Path, *, packing: str | None = None) -> None:
    """Make an image of the raw file's content by the real program."""
    size = options.size // COMPRESSED_SHARE if packing else options.size
    raw_name = file_name("raw", options) if size == options.size else f"raw-{size}.img"
    with room_for(options, raw_name, size) as raw:
        if not raw.exists():
            make("raw", raw, size)
        packed = ("-c", "-o", f"compression_type={packing}") if packing else ()
        qemu_img("convert", "-q", "-f", "raw", "-O", kind, *packed, str(raw), str(path))


def file_name(name: str, options: Options) -> str:
    """Return a name that says what is in the file, so that a kept file is known again."""
    return f"{options.size}-{name}" if "." in name else f"{options.size}.{name}"
