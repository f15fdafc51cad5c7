"""qcow2 against qemu-img: what it makes is sound, what it finds we find, where it reads we look."""

import json
import random
import shutil
import subprocess

import pytest

from formats.core.errors import FormatError
from formats.core.model import Payload
from formats.core.source import BytesSource
from formats.qcow2 import FORMAT
from tests.builders.qcow2_cases import CASES, bitmapped, compressed, extended, sample, snapshotted
from tests.damage import flip
from tests.drive import drive, summary

pytestmark = [
    pytest.mark.realtool,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed"),
    pytest.mark.skipif(shutil.which("qemu-io") is None, reason="qemu-io is not installed"),
]


def run(*words, folder):
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def make(folder, name, *options, size="4M"):
    words = ["qemu-img", "create", "-q", "-f", "qcow2", *options, name, size]
    done = run(*words, folder=folder)
    assert done.returncode == 0, done.stderr


def write(folder, name, *commands):
    words = [word for command in commands for word in ("-c", command)]
    done = run("qemu-io", *words, name, folder=folder)
    assert done.returncode == 0, done.stderr


def judged(path):
    """Return whether qemu-img calls an image broken, as opposed to merely leaking."""
    done = run("qemu-img", "check", "-f", "qcow2", str(path), folder=path.parent)
    return done.returncode in (1, 2)


def found_bad(content):
    try:
        return bool(drive(FORMAT, BytesSource(content)).bad)
    except FormatError:
        return True


VARIANTS = {
    "usual": [],
    "small clusters": ["-o", "cluster_size=512"],
    "large clusters": ["-o", "cluster_size=2M"],
    "old": ["-o", "compat=0.10"],
    "narrow refcounts": ["-o", "refcount_bits=1"],
    "wide refcounts": ["-o", "refcount_bits=64"],
    "subclusters": ["-o", "extended_l2=on"],
    "preallocated": ["-o", "preallocation=metadata"],
    "preallocated subclusters": ["-o", "preallocation=metadata,extended_l2=on"],
    "lazy": ["-o", "lazy_refcounts=on"],
}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_qemu_img_makes_and_writes_is_sound(name, tmp_path):
    make(tmp_path, "disk", *VARIANTS[name])
    write(tmp_path, "disk", "write -P 1 0 5k", "write -P 2 700k 200k", "write -z 750k 20k")
    write(tmp_path, "disk", "discard 800k 64k", "write -P 3 4090k 6k")
    found = drive(FORMAT, BytesSource((tmp_path / "disk").read_bytes()))
    assert not found.bad, summary(found.bad)
    needed = found.inspections[0].needed_bytes
    assert needed <= (tmp_path / "disk").stat().st_size


def test_changed_images_stay_sound(tmp_path):
    make(tmp_path, "disk", "-o", "cluster_size=4k", size="1000k")
    steps = (
        ["qemu-io", "-c", "write -P 1 900k 100k", "disk"],
        ["qemu-img", "resize", "-q", "disk", "3M"],
        ["qemu-img", "snapshot", "-c", "one", "disk"],
        ["qemu-io", "-c", "write -P 2 950k 500k", "disk"],
        ["qemu-img", "snapshot", "-c", "two", "disk"],
        ["qemu-img", "snapshot", "-d", "one", "disk"],
        ["qemu-img", "bitmap", "--add", "disk", "b"],
        ["qemu-io", "-c", "write -P 3 0 100k", "disk"],
        ["qemu-img", "snapshot", "-d", "two", "disk"],
        ["qemu-img", "resize", "-q", "--shrink", "disk", "1201k"],
        ["qemu-img", "amend", "-o", "refcount_bits=64", "disk"],
        ["qemu-img", "bitmap", "--remove", "disk", "b"],
    )
    for words in steps:
        done = run(*words, folder=tmp_path)
        assert done.returncode == 0, (words, done.stderr)
        found = drive(FORMAT, BytesSource((tmp_path / "disk").read_bytes()))
        assert not found.bad, f"{words}: {summary(found.bad)}"


def test_image_locked_with_luks_is_proven_in_structure(tmp_path):
    secret = ["--object", "secret,id=key,data=word"]
    options = "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"
    make(tmp_path, "disk", *secret, "-o", options)
    found = drive(FORMAT, BytesSource((tmp_path / "disk").read_bytes()))
    assert {item.check for item in found.bad} == {"qcow2.header.crypt_method"}
    assert "qcow2.crypto.header" in {item.check for item in found.evidence}


@pytest.mark.parametrize(
    "build", [sample, snapshotted, bitmapped, compressed, extended], ids=lambda item: item.__name__
)
def test_what_the_builder_makes_is_sound_to_qemu_img(build, tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(build())
    done = run("qemu-img", "check", "-f", "qcow2", str(path), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_payload_is_where_qemu_img_reads(tmp_path):
    make(tmp_path, "disk", "-o", "cluster_size=4k")
    write(tmp_path, "disk", "write -P 1 0 5k", "write -P 2 700k 200k", "write -z 752k 20k")
    write(tmp_path, "disk", "write -P 3 40k 4k", "write -P 4 4092k 4k")
    done = run("qemu-img", "map", "--output=json", "disk", folder=tmp_path)
    theirs = {
        place
        for row in json.loads(done.stdout)
        if row["data"]
        for place in range(row["offset"], row["offset"] + row["length"], 4096)
    }
    source = BytesSource((tmp_path / "disk").read_bytes())
    ours = {
        place
        for batch in drive(FORMAT, source).batches
        if isinstance(batch.check, Payload)
        for start, length in zip(batch.offset, batch.stored_length, strict=True)
        for place in range(start, start + length, 4096)
    }
    assert ours == theirs


def test_whatever_qemu_img_calls_broken_we_find(tmp_path):
    path = tmp_path / "disk"
    called_broken = 0
    for case in CASES:
        content = case.damage(case.make())
        path.write_bytes(content)
        if judged(path):
            called_broken += 1
            assert found_bad(content), case.name
    assert called_broken > len(CASES) // 2


@pytest.mark.parametrize("build", [sample, snapshotted, bitmapped], ids=lambda item: item.__name__)
def test_whatever_flip_qemu_img_finds_we_find(build, tmp_path):
    numbers = random.Random(build.__name__)  # noqa: S311 - damage is no secret
    path, content = tmp_path / "disk", build()
    for _ in range(30):
        damaged = flip(content, numbers.randrange(4, len(content)), numbers.randrange(8))
        path.write_bytes(damaged)
        if judged(path):
            assert found_bad(damaged)


def test_half_an_image_passes_qemu_img_convert_but_not_us(tmp_path):
    # The gap that `needed_bytes` closes: exit status 0, and half of the disk is zeros.
    path, raw = tmp_path / "disk", tmp_path / "raw"
    raw.write_bytes(b"".join(bytes([number + 1]) * (1 << 16) for number in range(32)))
    done = run("qemu-img", "convert", "-O", "qcow2", str(raw), str(path), folder=tmp_path)
    assert done.returncode == 0
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    done = run("qemu-img", "convert", "-O", "raw", str(path), str(raw), folder=tmp_path)
    assert done.returncode == 0
    rows = drive(FORMAT, BytesSource(content[: len(content) // 2])).bad
    assert [item.check for item in rows] == ["qcow2.file.needed"]
    assert rows[0].offset == len(content) // 2
