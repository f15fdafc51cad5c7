"""A compressed SQL Server backup: verified as stored, and decoded."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import caches
from benchmarks.measure import Contender, Measured, driver, interleaved, make
from benchmarks.options import GIB, MIB, Options
from benchmarks.places import Skipped, room_for
from benchmarks.report import compared, size_text

PACKED_BYTES_MAX = GIB
"""The builder packs some 60 MB/s."""

ROUNDS_MAX = 3
STORED_AIM = 1500
AIM_BARE = 0.9

EXPLAINED = (
    "stored: framing and checksums of all chunks, as where numba is not installed. decoded: the",
    "same, and every page and log block in them, without the seconds that compiling takes; a scan",
    "has those. Each byte of the file is a Huffman code of its own: nothing decodes slower.",
)


def packed(options: Options) -> Iterator[str]:
    """Measure two sizes, one four times the other, from the page cache."""
    yield from ("", *EXPLAINED)
    whole = min(options.size, PACKED_BYTES_MAX)
    seen: list[tuple[int, list[Measured]]] = []
    for size in (whole // 4, whole):
        try:
            with room_for(options, f"{size}-packed.bak", 2 * size) as path:
                if not path.exists():
                    make("packed", path, size)
                stored = path.stat().st_size
                measured = measure(path, options)
        except Skipped as reason:
            yield from ("", f"compressed SQL Server backup: skipped, {reason}")
            return
        seen.append((stored, measured))
        yield from ("", f"compressed SQL Server backup, {size_text(stored)} as stored, warm", "")
        yield from compared(measured, stored)
    yield from ("", speed_line(*seen[-1]), *memory_lines(seen))


def measure(path: Path, options: Options) -> list[Measured]:
    """Run everything on one file in turn."""
    contenders = list(chosen(path, options))
    return interleaved(contenders, min(options.repeat, ROUNDS_MAX), partial(caches.warm, [path]))


def chosen(path: Path, options: Options) -> Iterator[Contender]:
    """Yield what runs on a file."""
    for threads in (1, 2):
        ours = f"stored x{threads}"
        yield driver(ours, path, threads, action="engine-stored")
        yield driver(
            f"bare x{threads}", path, threads, action="bare-stored", beside=ours, aim=AIM_BARE
        )
        yield driver(f"read x{threads}", path, threads, action="read", beside=ours)
    for threads in (1, 2):
        yield driver(f"decoded x{threads}", path, threads, action="engine-decoded")
    yield driver("scan x2", path, 2, options.work, action="first-scan")
    yield Contender("cat", ("cat", str(path)), beside="stored x2")


def speed_line(size: int, measured: Sequence[Measured]) -> str:
    """Hold the speed of framing and checksums against the aim."""
    times = {item.contender.name: median(item.seconds) for item in measured}
    speed = size / times["stored x2"] / 1e6
    word = "reached" if speed >= STORED_AIM else "missed"
    return f"stored x2: {speed:.0f} MB/s, the aim of {STORED_AIM} is {word}"


def memory_lines(seen: Sequence[tuple[int, Sequence[Measured]]]) -> Iterator[str]:
    """Set the peak memory on both files side by side."""
    (small, first), (large, second) = seen
    for before, after in zip(first, second, strict=True):
        if before.contender.driver:
            yield (
                f"peak memory of {before.contender.name}: {before.peak_bytes / MIB:.0f} MiB on "
                f"{size_text(small)}, {after.peak_bytes / MIB:.0f} MiB on {size_text(large)}"
            )
