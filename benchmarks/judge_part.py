"""Judging: what a night costs after the last byte was read, and every `status`."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import partial
from statistics import median
from typing import TypeVar

from benchmarks.judged_rows import NOW, REPOSITORY, Rows, many
from benchmarks.options import Options
from benchmarks.report import table
from scanner.config import SETTLE
from scanner.expectations import Expectations
from scanner.judge.judge import Vocabulary, judge
from scanner.judge.model import Judgement
from scanner.judge.sources.outlook import Known, Outlook, outlook
from scanner.uncollected import uncollected

EXPLAINED = (
    "judge: every image alone, along its parents and logs, and the chains. outlook: sources,",
    "restore points, source fit, forecasts, answers. CPU seconds of one thread; rows are in",
    "memory already, half disks in weekly chains, half databases with hourly logs.",
)
ResultT = TypeVar("ResultT")
VOCABULARY = Vocabulary(frozenset({"vhdx", "sqlserver_bak"}), frozenset({".vhdx", ".bak"}))


def judging(options: Options) -> Iterator[str]:
    """Measure judging at a tenth of the images and at all of them: it must grow with them."""
    yield from EXPLAINED
    yield ""
    head = ("images", "judge s", "outlook s", "us per image", "sources")
    rows = []
    for images in (options.images // 10, options.images):
        given = many(images)
        first = [timed(partial(judged, given)) for _ in range(options.repeat)]
        judgement = first[0][1]
        second = [timed(partial(ahead, given, judgement)) for _ in range(options.repeat)]
        judge_s, outlook_s = (median(seconds for seconds, _ in runs) for runs in (first, second))
        rows.append(
            (
                f"{len(given.images):,}",
                f"{judge_s:.2f}",
                f"{outlook_s:.2f}",
                f"{(judge_s + outlook_s) / len(given.images) * 1e6:.0f}",
                f"{len(second[0][1].sources):,}",
            )
        )
    yield from table(head, rows)


def judged(rows: Rows) -> Judgement:
    """Judge all images."""
    return judge([REPOSITORY], rows.files, rows.images, rows.evidence, VOCABULARY, SETTLE)


def ahead(rows: Rows, judgement: Judgement) -> Outlook:
    """Look ahead for all sources."""
    known = Known(
        [REPOSITORY], rows.files, judgement.images, rows.history, (), (), Expectations(), UTC
    )
    return outlook(known, NOW)


def timed(work: Callable[[], ResultT]) -> tuple[float, ResultT]:
    """Return the CPU seconds of a call, and its result."""
    # As the commands do it.
    with uncollected():
        before = time.process_time()
        result = work()
        return time.process_time() - before, result
