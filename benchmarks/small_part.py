"""Many small files: a first scan, and a second one that finds nothing changed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import caches
from benchmarks.measure import Contender, driver, interleaved, make
from benchmarks.options import KIB, Options
from benchmarks.places import Skipped, remove, room_for
from benchmarks.report import compared

BYTES_PER_FILE = 8 * KIB
AIM_BARE = 0.9


EXPLAINED = (
    "first scan: a fresh ledger; second scan: every file known and unchanged. engine: the",
    "engine alone, recorded nowhere. bare: open, fstat, read, xxh3, close. read: without xxh3.",
    "walk: os.scandir and a stat for every file, without sorting and without looking inside.",
)


def small(options: Options) -> Iterator[str]:
    """Measure first and second scans over the same tree."""
    yield from EXPLAINED
    try:
        yield from measure(options)
    except Skipped as reason:
        yield f"skipped, {reason}"


def measure(options: Options) -> Iterator[str]:
    """Make the tree and a ledger that knows it, measure in every state, remove both."""
    name = f"tree-{options.files}"
    with room_for(options, name, options.files * BYTES_PER_FILE) as tree:
        if not tree.exists():
            make("small", tree, options.files)
        size = sum(path.stat().st_size for path in caches.files_under(tree))
        ledgers = options.work / f"{name}-ledger"
        ledgers.mkdir(exist_ok=True)
        try:
            make_known(tree, ledgers)
            for state in options.states:
                prepare = partial(warmed if state == "warm" else chilled, tree, options)
                measured = interleaved(chosen(tree, ledgers), options.repeat, prepare)
                yield from ("", f"{options.files} files, {state}", "")
                yield from compared(measured, size)
        finally:
            remove(ledgers)


def make_known(tree: Path, ledgers: Path) -> None:
    """Scan once, so that the ledger knows every file."""
    interleaved([driver("scan", tree, 2, ledgers / "known.db")], 1, lambda: None)


def chosen(tree: Path, ledgers: Path) -> list[Contender]:
    """Return what runs over the tree."""
    return [
        driver("engine x1", tree, 1, action="engine"),
        driver("bare x1", tree, 1, action="bare-files", beside="engine x1", aim=AIM_BARE),
        driver("engine x2", tree, 2, action="engine"),
        driver("bare x2", tree, 2, action="bare-files", beside="engine x2", aim=AIM_BARE),
        driver("read x1", tree, 1, action="read-files", beside="engine x1"),
        driver("first scan x1", tree, 1, ledgers, action="first-scan"),
        driver("first scan x2", tree, 2, ledgers, action="first-scan"),
        driver("second scan", tree, 2, ledgers / "known.db", action="scan"),
        driver("walk", tree, action="walk", beside="second scan"),
        Contender("cat", command_on_all(tree, "cat"), beside="first scan x2"),
        Contender("xxhsum -H2", command_on_all(tree, "xxhsum", "-H2"), beside="first scan x2"),
        Contender("sha256sum", command_on_all(tree, "sha256sum"), beside="first scan x2"),
    ]


def command_on_all(tree: Path, *command: str) -> tuple[str, ...]:
    """Return a command that hands all files to another program, many at a time."""
    return ("find", str(tree), "-type", "f", "-exec", *command, "{}", "+")


def warmed(tree: Path, _options: Options) -> None:
    """Bring the files into the page cache, and with them their folders and inodes."""
    caches.warm(caches.files_under(tree))


def chilled(tree: Path, options: Options) -> None:
    """Take the files out of the page cache; folders and inodes only where all may be dropped."""
    caches.evict(caches.files_under(tree), drop_all=options.drop_all)
