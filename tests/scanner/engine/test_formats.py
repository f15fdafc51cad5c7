"""The formats that are read, run by the engine and by the slow and obvious way: the same evidence,
on real samples and on damaged copies of them.
"""

from pathlib import Path
from threading import Event

import pytest

from formats.core.model import Evidence, Format
from formats.core.source import NoNeighbours
from scanner.config import MIB, Settings
from scanner.engine.lanes import Lane
from scanner.engine.merging import merged
from scanner.engine.work import Job
from scanner.progress import Silent
from scanner.results import FileResult, FileState, Stamps
from tests.drive import drive
from tests.faulty import MemoryStorage
from tests.samples import Sample, samples_of, supported
from tests.scanner.engine.runs import Records, Ticking, speaking
from tests.scanner.engine.test_reading import comparable
from tests.sources import flipped
from tests.strategies import seeded

SIZE_MAX = 24 * MIB
FLIPS = 3


def small_samples() -> list[tuple[Format, Sample]]:
    return [(subject, sample) for subject in supported() for sample in samples_of(subject)]


every_sample = pytest.mark.parametrize(
    ("subject", "sample"),
    [pytest.param(*pair, id=f"{pair[0].name}:{pair[1].label}") for pair in small_samples()],
)


def content_of(sample: Sample) -> bytes:
    source = sample.source()
    if source.size > SIZE_MAX:
        pytest.skip(f"{source.size} bytes, to be kept in memory")
    return source.read_at(0, source.size)


def run(
    subject: Format, content: bytes, folder: Path, settings: Settings, workers: int
) -> FileResult:
    """Read one file in memory; beside it lies nothing."""
    records = Records()
    job = Job(folder, "file", Stamps(len(content), 1_000, 1_000, 7))
    with speaking(subject):
        lane = Lane(
            [job],
            records,
            Silent(),
            settings,
            Ticking(),
            Event(),
            lambda path: MemoryStorage(content) if path.name == "file" else absent(path),
        )
        lane.run(workers)
    assert lane.failure is None
    return records.results["file"]


def absent(path: Path) -> MemoryStorage:
    raise FileNotFoundError(path)


def found(result: FileResult) -> list[Evidence]:
    assert result.traceback is None, result.traceback
    assert result.state is FileState.READ
    return [*result.evidence, *(row for image in result.images for row in image.evidence)]


def driven(subject: Format, content: bytes) -> list[Evidence]:
    """Drive the format; pieces of a larger set are concluded when all of them are there."""
    whole = drive(subject, MemoryStorage(content), NoNeighbours(), conclude=False)
    rows = whole.evidence
    for index, inspection in enumerate(whole.inspections):
        if inspection.piece is None:
            rows.extend(subject.conclude((whole.parts(index),)))
    return rows


def alike(evidence: list[Evidence]) -> object:
    return comparable(merged(evidence))


@every_sample
def test_the_engine_finds_what_the_obvious_way_finds(subject, sample, tmp_path):
    content = content_of(sample)
    wanted = alike(driven(subject, content))
    few = Settings(unit_bytes=MIB, window_bytes=300_000)
    for settings, workers in ((few, 3), (Settings(), 1)):
        result = run(subject, content, tmp_path, settings, workers)
        assert result.format == subject.name
        assert alike(found(result)) == wanted


@every_sample
def test_the_engine_finds_in_a_damaged_copy_what_the_obvious_way_finds(subject, sample, tmp_path):
    content = content_of(sample)
    random = seeded(sample.label)
    settings = Settings(unit_bytes=MIB, window_bytes=MIB)
    for _ in range(FLIPS):
        place, bit = random.randrange(len(content)), random.randrange(8)
        wrong = flipped(MemoryStorage(content), place, bit).read_at(0, len(content))
        if not subject.probe(MemoryStorage(wrong)):
            continue
        result = run(subject, wrong, tmp_path, settings, 2)
        assert alike(found(result)) == alike(driven(subject, wrong)), (place, bit)


def test_there_are_samples_to_try():
    assert small_samples()
