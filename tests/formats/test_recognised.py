"""Formats that are only recognised: each by its content, never two of the same file."""

import bz2
import gzip
import io
import itertools
import lzma
import shutil
import subprocess
import tarfile
import zipfile

import pytest
import pyzstd
from hypothesis import given, settings
from hypothesis import strategies as st

import formats
from formats.core.model import Evidence, Outcome
from formats.core.source import BytesSource, EdgeCached, NoNeighbours
from formats.recognised import FORMATS
from tests.builders.heads import HEADS, READ_ELSEWHERE, STRANGERS, file_of
from tests.drive import drive
from tests.samples import CORPUS_TABLE, Sample, corpus_files, corpus_row, corpus_samples
from tests.sources import Counting, Extended, FileSource

EDGE_BYTES = 128 * 1024
BY_NAME = {item.name: item for item in FORMATS}
ALL_HEADS = [
    pytest.param(name, head, id=f"{name}-{index}")
    for name, heads in HEADS.items()
    for index, head in enumerate(heads)
]
# Macrium's mark stands at the end, over data of any kind.
UNFOOTED_HEADS = [item for item in ALL_HEADS if not item.values[0].startswith("macrium")]


def recognised(content: bytes) -> list[str]:
    source = EdgeCached(BytesSource(content), EDGE_BYTES)
    return [item.name for item in FORMATS if item.probe(source)]


def test_every_recognised_format_has_a_head_to_be_tested_with():
    assert set(HEADS) == set(BY_NAME)


@pytest.mark.parametrize(("name", "head"), ALL_HEADS)
def test_head_is_recognised_as_its_format_and_no_other(name, head):
    assert recognised(head) == [name]


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_backup_is_not_recognised(name):
    assert recognised(STRANGERS[name]) == []


@pytest.mark.parametrize("name", READ_ELSEWHERE)
def test_what_another_module_reads_is_left_to_it(name):
    assert recognised(READ_ELSEWHERE[name]) == []


def test_no_two_formats_claim_a_file_that_carries_both_their_marks():
    everything = [head for heads in HEADS.values() for head in heads]
    for first, second in itertools.combinations(everything, 2):
        if len(first) == len(second):
            both = int.from_bytes(first, "little") | int.from_bytes(second, "little")
            claims = recognised(both.to_bytes(len(first), "little"))
            assert len(claims) <= 1, claims


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_two_formats_claim_a_damaged_head(data):
    head = bytearray(data.draw(st.sampled_from([one for all_ in HEADS.values() for one in all_])))
    patches = st.tuples(st.integers(0, 1200), st.binary(min_size=1, max_size=16))
    for offset, patch in data.draw(st.lists(patches, max_size=5)):
        head[offset : offset + len(patch)] = patch
    cut = data.draw(st.integers(0, len(head)))
    assert len(recognised(bytes(head[:cut]))) <= 1


@pytest.mark.parametrize(("name", "head"), UNFOOTED_HEADS)
def test_head_cut_at_any_of_its_first_bytes_is_no_other_format(name, head):
    for size in (*range(40), *range(256, 270), *range(508, 514)):
        assert recognised(head[:size]) in ([], [name])


def test_checkpoint_with_data_in_front_is_an_image():
    footer = (HEADS["macrium_checkpoint"][0])[-20:]
    content = file_of((4095, b"\x01$TRACK0 "), (-20, footer))
    assert recognised(content) == ["macrium"]


def test_archive_that_holds_a_file_system_is_an_archive():
    superblock = HEADS["ext_volume"][0][1024:2048]
    content = file_of((0, HEADS["tar"][0][:512]), (1024, superblock))
    assert recognised(content) == ["tar"]
    assert recognised(file_of((1024, superblock))) == ["ext_volume"]


def test_compressed_data_under_a_footer_of_macrium_is_not_called_zstd():
    head = HEADS["macrium"][0]
    assert recognised(head) == ["macrium"]
    assert recognised(head[:-1]) == ["zstd"]


@pytest.mark.parametrize("name", BY_NAME)
def test_inspection_says_unsupported_and_nothing_else(name):
    driven = drive(BY_NAME[name], BytesSource(HEADS[name][0]))
    [inspection] = driven.inspections
    assert inspection.payload_bytes is None
    assert driven.evidence == [
        Evidence(
            f"{name}.format.support",
            Outcome.UNSUPPORTED,
            expected="a format this version reads",
            actual=f"{BY_NAME[name].title}, not supported yet",
        )
    ]
    assert set(BY_NAME[name].checks) == {f"{name}.format.support"}


def test_inspection_reads_nothing():
    unread = Counting(BytesSource(b""), calls_max=0, bytes_max=0)
    for item in FORMATS:
        item.inspect(unread, NoNeighbours())


@pytest.mark.parametrize(("name", "head"), UNFOOTED_HEADS)
def test_probes_read_only_the_cached_edges_of_a_large_file(name, head):
    large = Extended(BytesSource(head), 20 << 40)
    counted = Counting(large, calls_max=2, bytes_max=2 * EDGE_BYTES)
    cached = EdgeCached(counted, EDGE_BYTES)
    claims = [item.name for item in FORMATS if item.probe(cached)]
    assert claims == [name]
    assert counted.calls == 2


def tarred(layout: int) -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w", format=layout) as archive:
            archive.addfile(tarfile.TarInfo("grüße"))
        return file.getvalue()


def zipped(*names: str) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, b"content")
        return file.getvalue()


WRITTEN_BY_PYTHON = {
    "gzip": gzip.compress(b"content", mtime=0),
    "xz": lzma.compress(b"content"),
    "zstd": pyzstd.compress(b"content"),
    "bzip2": bz2.compress(b"content"),
    "bzip2 of nothing": bz2.compress(b"", 1),
    "zip": zipped("member"),
    "zip of nothing": zipped(),
    "tar ustar": tarred(tarfile.USTAR_FORMAT),
    "tar gnu": tarred(tarfile.GNU_FORMAT),
    "tar pax": tarred(tarfile.PAX_FORMAT),
}


@pytest.mark.parametrize("what", WRITTEN_BY_PYTHON)
def test_what_python_writes_is_recognised(what):
    assert recognised(WRITTEN_BY_PYTHON[what]) == [what.split()[0]]


@pytest.mark.realtool
@pytest.mark.parametrize("options", [[], ["-l"]], ids=["frame", "legacy"])
def test_what_lz4_writes_is_recognised(options):
    if shutil.which("lz4") is None:
        pytest.skip("lz4 is not installed")
    done = subprocess.run(["lz4", *options], input=b"content", check=True, capture_output=True)
    assert recognised(done.stdout) == ["lz4"]


REAL_TOOLS = [
    ("fat_volume", ["mkfs.fat", "-F", "12"], 1 << 20),
    ("fat_volume", ["mkfs.fat", "-F", "16"], 16 << 20),
    ("fat_volume", ["mkfs.fat", "-F", "32"], 64 << 20),
    ("ext_volume", ["mkfs.ext2", "-q", "-F"], 1 << 20),
    ("ext_volume", ["mkfs.ext4", "-q", "-F", "-b", "1024"], 8 << 20),
    ("xfs_volume", ["mkfs.xfs", "-q", "-f"], 320 << 20),
    ("btrfs_volume", ["mkfs.btrfs", "-q", "-f"], 128 << 20),
    ("ntfs_volume", ["mkfs.ntfs", "-q", "-F"], 8 << 20),
    ("exfat_volume", ["mkfs.exfat"], 8 << 20),
]


@pytest.mark.realtool
@pytest.mark.parametrize(("name", "command", "size"), REAL_TOOLS)
def test_what_a_real_program_formats_is_recognised(name, command, size, tmp_path):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    image = tmp_path / "image"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(size)
    subprocess.run([*command, image], check=True, capture_output=True)
    source = EdgeCached(FileSource(image), EDGE_BYTES)
    assert [item.name for item in FORMATS if item.probe(source)] == [name]


def test_suffixes_are_lower_case_and_lead_back_to_their_formats():
    known = formats.suffixes()
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in known)
    assert BY_NAME["macrium"] in known[".mrimgx"]
    assert {item.name for item in known[".img"]} >= {"raw_disk", "ntfs_volume"}
    for item in formats.FORMATS:
        assert all(item in known[suffix] for suffix in item.suffixes)


@pytest.mark.parametrize(("name", "head"), ALL_HEADS)
def test_identify_finds_what_all_probes_find_whatever_the_first_byte(name, head):
    """A probe that is not asked, because of `first_bytes`, would have said no."""
    assert formats.identify(BytesSource(head)) is BY_NAME[name]
    for first in range(256):
        source = EdgeCached(BytesSource(bytes([first]) + head[1:]), EDGE_BYTES)
        by_all = next((item for item in formats.FORMATS if item.probe(source)), None)
        assert formats.identify(source) is by_all


def test_identify_prefers_nothing_over_a_guess():
    assert formats.identify(BytesSource(STRANGERS["text"])) is None
    assert formats.by_name("no_such_format") is None
    assert formats.by_name("vmdk") is BY_NAME["vmdk"]


def corpus_params() -> list[object]:
    found = [pytest.param(item, id=item.label) for item in corpus_samples()]
    missing = pytest.param(None, marks=pytest.mark.skip("BAKPROOF_CORPUS is not set"), id="corpus")
    return found or [missing]


@pytest.mark.parametrize("sample", corpus_params())
def test_corpus_file_is_what_the_table_says(sample: Sample):
    source = EdgeCached(sample.source(), EDGE_BYTES)
    claims = [item.name for item in formats.FORMATS if item.probe(source)]
    assert claims == ([] if sample.format_name is None else [sample.format_name])
    found = formats.identify(source)
    assert found == (None if sample.format_name is None else formats.by_name(sample.format_name))


def test_table_names_every_file_of_the_corpus_and_only_known_formats(corpus):
    unnamed = [path for path in corpus_files(corpus) if corpus_row(corpus, path) is None]
    assert not unnamed
    named = {name for row in CORPUS_TABLE for name in row[1:] if name}
    assert named <= {item.name for item in formats.FORMATS}
