"""Goal: the benchmarks cannot rot. Method: run every part at sizes that take seconds.

Actions run inside the test's own process, so that Python starts once; one test lets real children
run, as the benchmarks do.
"""

import io
import shutil
import sys
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

from benchmarks import (
    caches,
    driver,
    engine_part,
    engines,
    judge_part,
    kernel_part,
    measure,
    packed_part,
    places,
    small_part,
    sparse_part,
)
from benchmarks.options import KIB, MIB, Options
from benchmarks.places import Skipped, room_for
from formats.core import xpress
from scanner.cli import run

DRIVER = (sys.executable, "-m", "benchmarks.driver")

needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not there")


@pytest.fixture
def options(tmp_path):
    return Options(
        tmp_path,
        size=5 * MIB,
        repeat=1,
        files=60,
        images=600,
        sparse=256 * MIB,
        kernel_seconds=0.0001,
        kernel_buffers=(64 * KIB,),
        states=("warm", "cold"),
        drop_all=False,
    )


@pytest.fixture
def one_process(monkeypatch):
    """Run our own actions here instead of in children; other programs run as they do."""

    def run_here(command, *, keep_output):
        if tuple(command[:3]) != DRIVER:
            return run_child(command, keep_output=keep_output)
        output = io.StringIO()
        with redirect_stdout(output):
            driver.main(command[3:])
        return output.getvalue(), 0, 0, 0.0

    run_child = measure.run_child
    for module in (measure, kernel_part, places):
        monkeypatch.setattr(module, "run_child", run_here)


def lines_of(part, options):
    return list(part(options))


def cells(lines, name):
    """Return the columns behind a contender's name, one list per table it is in."""
    return [line[len(name) :].split() for line in lines if line.startswith(f"{name} ")]


@pytest.mark.usefixtures("one_process")
def test_kernels_give_a_rate_for_every_kernel_buffer_and_thread_count(options):
    lines = lines_of(kernel_part.kernels, options)
    rules = [line for line in lines if line.startswith("---")]
    assert len(rules[0].split()) == 1 + 2 * len(options.kernel_buffers)
    kernels = ["xxh3_128", "crc32", "crc32c", "md5", "sha1", "sha256", "sector_xors"]
    kernels += ["sqlserver_bak pages", "zero test", "deflate decode", "zstd decode"]
    for kernel in kernels:
        (rates,) = cells(lines, kernel)
        assert all(float(rate) > 0 for rate in rates)
        assert len(rates) == 2


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("name", ["raw", "bak"])
def test_engine_runs_on_files_made_here(options, tmp_path_factory, monkeypatch, name):
    only(monkeypatch, name)
    lines = lines_of(engine_part.engine, options)
    for contender in ("engine x1", "bare x1", "read x1", "engine x2", "bare x2", "scan x2", "cat"):
        assert len(cells(lines, contender)) == len(options.states), (contender, lines)
    probe = tmp_path_factory.mktemp("probe") / "file"
    probe.write_bytes(b"x")
    direct = caches.may_read_directly(probe)
    assert len(cells(lines, "direct x1")) == direct
    aims = [line for line in lines if line.endswith(("reached", "missed"))]
    assert len(aims) == 2 * len(options.states) + 2 * direct
    assert list(options.work.iterdir()) == []


@needs_qemu
@pytest.mark.realtool
@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("name", ["vhdx", "qcow2", "deflate.qcow2", "zstd.qcow2"])
def test_engine_runs_on_files_made_by_qemu_img(options, monkeypatch, name):
    only(monkeypatch, name)
    lines = lines_of(engine_part.engine, replace(options, states=("warm",)))
    assert len(cells(lines, "engine x1")) == 1, lines
    assert any(line.startswith("qemu-img check") for line in lines)
    assert list(options.work.iterdir()) == []


@pytest.mark.usefixtures("one_process")
def test_compressed_backups_run_and_are_sound(options, monkeypatch):
    codes = []
    monkeypatch.setattr(engines, "run", lambda words: codes.append(run(words)) or codes[-1])
    lines = lines_of(packed_part.packed, options)
    for contender in ("stored x1", "bare x2", "read x1", "decoded x2", "scan x2", "cat"):
        assert len(cells(lines, contender)) == 2, (contender, lines)
    assert sum(line.startswith("stored x2: ") for line in lines) == 1
    assert sum(line.startswith("peak memory of ") for line in lines) == 9
    # With numba all is proven, without it what is in the chunks is not.
    assert set(codes) == {0 if xpress.native() is not None else 5}
    assert list(options.work.iterdir()) == []


@pytest.mark.usefixtures("one_process")
def test_small_files_run_and_the_second_scan_reads_nothing(options):
    lines = lines_of(small_part.small, options)
    for contender in ("engine x1", "bare x2", "read x1", "first scan x2", "second scan", "walk"):
        assert len(cells(lines, contender)) == len(options.states), (contender, lines)
    assert list(options.work.iterdir()) == []


@pytest.mark.usefixtures("one_process")
def test_sparse_files_run(options):
    lines = lines_of(sparse_part.sparse, options)
    skipped = sum("skipped" in line for line in lines)
    assert len(cells(lines, "engine x1")) == len(sparse_part.SUBJECTS) - skipped
    assert skipped == (2 if shutil.which("qemu-img") is None else 0)
    assert list(options.work.iterdir()) == []


def test_children_are_measured_each_alone(options):
    path = options.work / "raw"
    measure.make("raw", path, options.size)
    assert path.stat().st_size == options.size
    ours = measure.driver("read", path, 2)
    cat = measure.Contender("cat", ("cat", str(path)), beside="read")
    one, other = measure.interleaved([ours, cat], 2, lambda: None)
    assert [len(item.samples) for item in (one, other)] == [2, 2]
    assert one.samples[0].cost.bytes_done == options.size
    assert one.command_seconds > one.seconds[0]
    assert other.peak_bytes > 0


def test_a_contender_that_fails_stops_the_run(options):
    missing = measure.Contender("cat", ("cat", str(options.work / "missing")))
    with pytest.raises(measure.Failed, match="cat: expected exit 0, found 1"):
        measure.run(missing)


def test_nothing_is_made_where_there_is_no_room(options):
    with pytest.raises(Skipped, match="free space wanted"), room_for(options, "huge", 1 << 60):
        pytest.fail("there is no room for an exbibyte")


def test_a_kept_file_is_found_again(options):
    kept = replace(options, keep=True)
    with room_for(kept, "file", 1) as path:
        path.write_bytes(b"kept")
    with room_for(options, "file", 1) as path:
        assert path.read_bytes() == b"kept"
    assert not path.exists()


def only(monkeypatch, name):
    """Leave one subject."""
    chosen = [subject for subject in engine_part.subjects() if subject.name == name]
    monkeypatch.setattr(engine_part, "subjects", lambda: chosen)


def test_judging_says_what_an_image_costs_and_finds_every_source(options):
    said = list(judge_part.judging(options))
    tenth, whole = (line.split() for line in said[-2:])
    assert (tenth[0], whole[0]) == ("270", "780")
    assert (tenth[-1], whole[-1]) == ("2", "12")
