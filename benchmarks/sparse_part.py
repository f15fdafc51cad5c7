"""Huge files with almost nothing in them: peak memory and time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Contender, driver, interleaved, make
from benchmarks.options import GIB, MIB, Options
from benchmarks.places import Skipped, qemu_img, room_for
from benchmarks.report import compared, size_text

ROOM_BYTES = GIB
"""What the maps of such images take on the disk, and some more."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A sparse file; ``create`` are the words for ``qemu-img create``, none for a raw file."""

    name: str
    title: str
    create: tuple[str, ...] = ()
    checker: tuple[str, ...] = ()


SUBJECTS = (
    Subject("sparse.img", "raw, holes and 64 MiB of content"),
    Subject(
        "sparse.qcow2",
        "qcow2, every cluster mapped and none written",
        ("-f", "qcow2", "-o", "preallocation=metadata"),
        ("qemu-img", "check", "-q", "-f", "qcow2"),
    ),
    Subject(
        "sparse.vhdx",
        "VHDX of fixed size, none of it written",
        ("-f", "vhdx", "-o", "subformat=fixed"),
        ("qemu-img", "check", "-q", "-f", "vhdx"),
    ),
)


def sparse(options: Options) -> Iterator[str]:
    """Measure every sparse file."""
    yield "Peak memory and time on files of holes; MiB/s are of the file's size, not of reads."
    for subject in SUBJECTS:
        try:
            yield from measure(subject, options)
        except Skipped as reason:
            yield from ("", f"{subject.title}: skipped, {reason}")


def measure(subject: Subject, options: Options) -> Iterator[str]:
    """Make one file, measure, remove it."""
    with room_for(options, f"{options.sparse}-{subject.name}", ROOM_BYTES) as path:
        if not path.exists():
            create(subject, options, path)
        size = path.stat().st_size
        allocated = path.stat().st_blocks * 512
        contenders = chosen(subject, path, options)
        measured = interleaved(contenders, options.repeat, lambda: None)
        yield from ("", f"{subject.title}, {size_text(size)}, {allocated // MIB} MiB allocated", "")
        yield from compared(measured, size)


def create(subject: Subject, options: Options, path: Path) -> None:
    """Make the file."""
    if not subject.create:
        make("sparse", path, options.sparse)
        return
    qemu_img("create", "-q", *subject.create, str(path), str(options.sparse))


def chosen(subject: Subject, path: Path, options: Options) -> list[Contender]:
    """Return what runs on a sparse file: nothing that reads holes."""
    contenders = [
        driver("engine x1", path, 1, action="engine"),
        driver("engine x2", path, 2, action="engine"),
        driver("scan x2", path, 2, options.work, action="first-scan"),
    ]
    if subject.checker:
        command = (*subject.checker, str(path))
        contenders.append(Contender(" ".join(subject.checker), command, beside="scan x2"))
    return contenders
