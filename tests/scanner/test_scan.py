"""Whole scans with real files on a real disk: what is found, and what is not read twice."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from formats.core.model import Outcome
from formats.vhd import FORMAT as VHD
from scanner.config import MIB, Settings
from scanner.judge.model import Verdict
from tests.faulty import Faults
from tests.samples import DOCUMENT_SUFFIXES, FIXTURES, fixture_samples, plain_name, supported
from tests.scanner.engine import toys
from tests.scanner.scans import GROWING, ONCE, SOUND, START, Bench, chain, news, of, other, ruled
from tests.sources import unpack


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, [toys.DISK])
    made.repository.mkdir()
    return made


# The plain course of things


def test_a_first_scan_reads_everything_and_says_what_is_there(bench):
    chain(bench)
    outcome = bench.scan()
    assert {item.path: item.ruling.verdict for item in outcome.judgement.images} == {
        "vm/full.disk": Verdict.SOUND,
        "vm/one.disk": Verdict.SOUND,
        "vm/two.disk": Verdict.SOUND,
    }
    (found,) = outcome.judgement.chains
    assert list(found.image_keys) == [
        of(outcome, f"vm/{name}.disk").key for name in ("full", "one", "two")
    ]
    assert other(outcome, "notes.txt").ruling is None
    sizes = sum(path.stat().st_size for path in bench.repository.rglob("*") if path.is_file())
    assert (outcome.files, outcome.bytes_read) == (4, sizes)
    assert (outcome.interrupted, outcome.bugs, outcome.notes) == (False, 0, ())


def test_a_second_scan_reads_nothing_and_says_the_same(bench):
    chain(bench)
    bench.scan()
    before = bench.rows()
    bench.clock.wait(days=1)
    outcome = bench.scan()
    assert outcome.bytes_read == 0
    assert bench.rows() == before
    assert of(outcome, "vm/full.disk").proof.read_at == START


def test_a_proof_that_grew_old_is_renewed_by_reading(bench):
    chain(bench)
    first = bench.scan()
    bench.clock.wait(days=29)
    assert bench.scan().bytes_read == 0
    bench.clock.wait(days=1)
    outcome = bench.scan()
    assert outcome.bytes_read == first.bytes_read
    proof = of(outcome, "vm/full.disk").proof
    assert proof.read_at == START + timedelta(days=30)
    assert proof.unchanged_since == START


def test_reread_reads_what_is_proven(bench):
    chain(bench)
    first = bench.scan()
    outcome = bench.scan(settings=replace(bench.settings, reread=True))
    assert outcome.bytes_read == first.bytes_read


def test_a_touched_file_is_read_again_and_equals_its_baseline(bench):
    chain(bench)
    bench.scan()
    bench.clock.wait(days=1)
    os.utime(bench.repository / "vm/one.disk")
    outcome = bench.scan()
    assert outcome.bytes_read == (bench.repository / "vm/one.disk").stat().st_size
    assert of(outcome, "vm/one.disk").proof.unchanged_since == START
    assert ruled(outcome, "vm/one.disk") == SOUND


def test_another_revision_of_a_format_reads_its_files_again(bench):
    chain(bench)
    bench.scan()
    bench.subjects = [replace(toys.DISK, revision=2)]
    outcome = bench.scan()
    assert outcome.bytes_read > 0
    assert of(outcome, "vm/full.disk").files[0].format_revision == 2
    assert bench.scan().bytes_read == 0


def test_an_empty_repository_is_scanned(bench):
    outcome = bench.scan()
    assert (outcome.files, outcome.judgement.images, outcome.judgement.others) == (0, (), ())


def test_jobs_and_sizes_of_units_and_windows_change_nothing(bench, tmp_path):
    chain(bench)
    bench.rot("vm/one.disk", MIB + 77)
    bench.scan()
    for number, settings in enumerate(
        (
            Settings(jobs=1, unit_bytes=MIB, window_bytes=100_003),
            Settings(jobs=5, unit_bytes=2 * MIB, window_bytes=MIB),
            Settings(),
        )
    ):
        again = Bench(tmp_path / str(number), bench.subjects, settings=settings)
        again.folder.mkdir()
        again.repository.symlink_to(bench.repository)
        again.scan(bench.repository)
        assert again.rows() == bench.rows()


def elsewhere(bench: Bench) -> list[list]:
    """Return images and findings without the place of the repository."""
    rows = bench.rows("v_images", "v_findings")
    return [[value for value in row if value != str(bench.repository)] for row in rows]


def test_a_hole_and_written_zeros_are_the_same_but_for_what_is_read(bench, tmp_path):
    head = toys.disk("full", blocks=1)
    size = len(head) + 5 * MIB
    whole = toys.disk("full", blocks=1 + 5 * 1024)[: toys.SET.size]
    whole += head[toys.SET.size :]
    written, sparse = Bench(tmp_path / "written", [toys.DISK]), bench
    written.put("full.disk", whole + bytes(5 * MIB))
    sparse.put("full.disk", whole)
    os.truncate(sparse.repository / "full.disk", size)
    first, second = written.scan(), sparse.scan()
    assert elsewhere(sparse) == elsewhere(written)
    assert ruled(second, "full.disk") == ruled(first, "full.disk") == SOUND
    assert first.bytes_read == size
    if second.bytes_read == size:
        pytest.skip("this file system tells nothing of holes")
    assert second.bytes_read <= 2 * MIB
    for made in (written, sparse):
        with (made.repository / "full.disk").open("r+b") as file:
            file.seek(4 * MIB)
            file.write(b"x")
        rows = news(of(made.scan(), "full.disk"))
        assert [row[0] for row in rows] == [toys.BLOCK]


# Damage


def test_one_byte_that_changed_behind_old_stamps_is_found_at_its_mebibyte(bench):
    # No check of the format covers its head's padding; our own digest does.
    bench.put("full.disk", toys.disk("full"))
    bench.scan()
    status = (bench.repository / "full.disk").stat()
    bench.rot("full.disk", 2000)
    again = (bench.repository / "full.disk").stat()
    assert (again.st_size, again.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    outcome = bench.scan()
    assert outcome.bytes_read > 0, "writing changes ctime, so it is read"
    assert news(of(outcome, "full.disk")) == [("baseline.block.xxh3", "mismatched", 0, MIB)]


@pytest.mark.parametrize(
    ("subject", "verdict"),
    [
        (toys.DISK, (Verdict.UNPROVEN, "doubtful")),
        (ONCE, (Verdict.DAMAGED, "bytes-wrong")),
        (GROWING, (Verdict.DAMAGED, "bytes-wrong")),
    ],
)
def test_what_a_changed_byte_is_called_depends_on_how_files_are_written(bench, subject, verdict):
    bench.subjects = [subject]
    bench.put("full.disk", toys.disk("full"))
    assert ruled(bench.scan(), "full.disk") == SOUND
    bench.rot("full.disk", 2000)
    assert ruled(bench.scan(), "full.disk") == verdict


@pytest.mark.parametrize("subject", [toys.DISK, ONCE, GROWING])
def test_a_byte_that_changed_behind_all_stamps_is_damage_in_every_model(bench, subject):
    # The disk itself forgot: not even ctime is new. A file system cannot be asked to do that, so
    # the ledger is made to remember the stamps of now.
    bench.subjects = [subject]
    bench.put("full.disk", toys.disk("full"))
    bench.scan()
    bench.rot("full.disk", 3000)
    now = (bench.repository / "full.disk").stat().st_ctime_ns
    with closing(sqlite3.connect(bench.ledger_path)) as db, db:
        for table in ("files", "baselines"):
            db.execute(f"UPDATE {table} SET ctime_ns = ?", (now,))  # noqa: S608
    assert bench.scan().bytes_read == 0, "stamps only postpone"
    outcome = bench.scan(settings=replace(bench.settings, reread=True))
    assert ruled(outcome, "full.disk") == (Verdict.DAMAGED, "bytes-wrong")
    assert news(of(outcome, "full.disk")) == [("baseline.block.xxh3", "mismatched", 0, MIB)]


def test_a_check_of_the_format_finds_the_block(bench):
    bench.put("full.disk", toys.disk("full"))
    bench.rot("full.disk", toys.SET_BYTES + 5 * toys.DISK_STRIDE + 9)
    outcome = bench.scan()
    start = toys.SET_BYTES + 5 * toys.DISK_STRIDE
    assert news(of(outcome, "full.disk")) == [(toys.BLOCK, "mismatched", start, toys.DISK_STRIDE)]
    assert ruled(outcome, "full.disk") == (Verdict.DAMAGED, "bytes-wrong")


def test_damage_breaks_the_later_points_of_the_chain_and_no_earlier(bench):
    chain(bench)
    bench.rot("vm/one.disk", MIB)
    outcome = bench.scan()
    assert ruled(outcome, "vm/full.disk") == SOUND
    assert ruled(outcome, "vm/two.disk") == (Verdict.DAMAGED, "bytes-wrong")
    assert of(outcome, "vm/two.disk").deciding_key == of(outcome, "vm/one.disk").key
    (found,) = outcome.judgement.chains
    assert found.restorable_key == of(outcome, "vm/full.disk").key


def test_a_damaged_file_put_back_from_a_copy_is_sound_again(bench):
    content = toys.disk("full")
    bench.subjects = [ONCE]
    bench.put("full.disk", content)
    bench.scan()
    bench.rot("full.disk", 2000)
    assert ruled(bench.scan(), "full.disk")[0] is Verdict.DAMAGED
    bench.put("full.disk", content)
    outcome = bench.scan()
    assert ruled(outcome, "full.disk") == SOUND
    assert of(outcome, "full.disk").proof.unchanged_since == START


def test_a_truncated_file_is_incomplete_and_never_its_own_reference(bench):
    content = toys.disk("full")
    bench.put("full.disk", content[:1_500_000])
    for _ in range(3):
        assert ruled(bench.scan(), "full.disk") == (Verdict.INCOMPLETE, "bytes-missing")
        bench.clock.wait(days=40)
    bench.put("full.disk", content)
    assert ruled(bench.scan(), "full.disk") == SOUND


def test_a_file_cut_after_it_was_proven_is_incomplete(bench):
    bench.put("full.disk", toys.disk("full"))
    bench.scan()
    os.truncate(bench.repository / "full.disk", 1_000_000)
    bench.clock.wait(days=1)
    assert ruled(bench.scan(), "full.disk") == (Verdict.INCOMPLETE, "bytes-missing")


def test_an_unfinished_file_is_being_written_and_later_stalled(bench):
    path = bench.put("full.disk", toys.disk("full")[:-5], written=START - timedelta(minutes=1))
    assert ruled(bench.scan(), "full.disk") == (Verdict.UNPROVEN, "being-written")
    bench.clock.wait(hours=1)
    assert ruled(bench.scan(), "full.disk") == (Verdict.INCOMPLETE, "bytes-missing")
    assert path.exists()


def test_a_sector_that_cannot_be_read_is_damage_to_the_sector_every_night(bench):
    bench.put("full.disk", toys.disk("full"))
    bench.faults["full.disk"] = Faults(refused=[(MIB + 5000, MIB + 5001)])
    gap = ("storage.unreadable", "unreadable", MIB + 4096, 4096)
    for _ in range(2):
        outcome = bench.scan()
        assert news(of(outcome, "full.disk")) == [gap]
        assert ruled(outcome, "full.disk") == (Verdict.DAMAGED, "storage-fails")
    bench.faults.clear()
    assert ruled(bench.scan(), "full.disk") == SOUND


def test_a_byte_that_was_misread_once_is_unsteady_and_read_again_the_next_night(bench):
    bench.put("full.disk", toys.disk("full"))
    bench.faults["full.disk"] = Faults(misread={MIB + 5000: 1})
    outcome = bench.scan()
    rest = (bench.repository / "full.disk").stat().st_size - MIB
    assert news(of(outcome, "full.disk")) == [("storage.steady", "unsteady", MIB, rest)]
    assert ruled(outcome, "full.disk") == (Verdict.WEAKENED, "unsteady")
    outcome = bench.scan()
    assert outcome.bytes_read > 0
    assert ruled(outcome, "full.disk") == SOUND


# Real samples


def test_real_samples_are_scanned_without_a_false_alarm_and_not_twice(tmp_path):
    bench = Bench(tmp_path)
    folders = [FIXTURES / subject.name for subject in supported()]
    for path in sorted(item for folder in folders for item in folder.rglob("*") if item.is_file()):
        source = unpack(path)
        if path.suffix not in DOCUMENT_SUFFIXES and source.size <= 8 * MIB:
            content = source.read_at(0, source.size)
            bench.put(f"{path.parent.relative_to(FIXTURES)}/{plain_name(path)}", content)
    samples = [item for subject in supported() for item in fixture_samples(subject)]
    named = {f"{Path(item.label).parent}/{plain_name(item.path)}": item for item in samples}
    allowed = {name: item for name, item in named.items() if (bench.repository / name).exists()}
    outcome = bench.scan()
    assert outcome.bugs == 0
    seen = {file.path for item in outcome.judgement.images for file in item.files}
    assert seen >= set(allowed)
    for item in outcome.judgement.images:
        spoken = [allowed[file.path] for file in item.files if file.path in allowed]
        for row in item.evidence:
            check = row.evidence.check
            expected = any(sample.allows(check) for sample in spoken)
            linked = check.startswith(("chain.", "set."))
            unread = row.evidence.outcome is Outcome.UNSUPPORTED
            assert not row.evidence.bad or expected or linked or unread, (item.path, row)
    before = bench.rows()
    again = bench.scan()
    assert again.bytes_read == 0
    assert bench.rows() == before


def test_a_flipped_bit_in_a_real_sample_is_found_where_it_is(tmp_path):
    bench = Bench(tmp_path)
    (sample,) = [item for item in fixture_samples(VHD) if "qemu_fixed" in item.label]
    source = sample.source()
    bench.put("disk.vhd", source.read_at(0, source.size))
    assert not news(of(bench.scan(), "disk.vhd"))
    footer = source.size - 512
    bench.rot("disk.vhd", footer + 80)
    rows = news(of(bench.scan(), "disk.vhd"))
    assert any(row[0].startswith("vhd.footer.") and row[2] >= footer for row in rows)
