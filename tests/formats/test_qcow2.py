"""qcow2: what an undamaged image says of itself, and which bytes it hands to the engine."""

import gzip
import json
import zlib

import numpy as np
import pytest
import pyzstd

from formats.core.model import Bearing, Codec, Declared, Kind, Outcome, Payload
from formats.core.source import BytesSource, NoNeighbours
from formats.qcow2 import FORMAT
from tests.builders import qcow2 as builder
from tests.builders.qcow2 import Image
from tests.builders.qcow2_cases import external
from tests.damage import cut
from tests.drive import coordinates, drive, summary
from tests.samples import FIXTURES, Folder
from tests.sources import unpack


def fixture(name):
    path = FIXTURES / "qcow2" / f"{name}.xz"
    source = unpack(path)
    return source.read_at(0, source.size), Folder(path.parent)


def inspect(content, neighbours=None):
    (inspection,) = FORMAT.inspect(BytesSource(content), neighbours or NoNeighbours())
    return inspection


def driven(name):
    content, folder = fixture(name)
    return drive(FORMAT, BytesSource(content), folder)


def deflate(plain):
    packer = zlib.compressobj(wbits=-12)
    return packer.compress(plain) + packer.flush()


def payload_of(content):
    """Return where the engine looks for source data, row by row."""
    source = BytesSource(content)
    rows = []
    for batch in FORMAT.extents(source, FORMAT.inspect(source, NoNeighbours())):
        if isinstance(batch.check, Payload):
            rows += zip(batch.offset.tolist(), batch.stored_length.tolist(), strict=True)
    return rows


def test_full_image_states_its_sizes():
    content, folder = fixture("chain/full.qcow2")
    image = inspect(content, folder)
    assert image.kind is Kind.FULL
    assert image.parents == ()
    assert image.identities == ()
    assert image.source_bytes == 1 << 20
    # 1 + 2 + 8 + 1 clusters were written; 30 KiB from 100 KiB on touch eight.
    assert image.payload_bytes == 12 * 4096
    assert image.needed_bytes == len(content)
    assert image.used_bytes is None
    assert image.created_at is None
    assert image.facts["version"] == 3
    assert image.facts["refcount_bits"] == 16
    assert image.facts["data_clusters"] == 12


def test_increments_name_their_parents_and_have_no_identity():
    for name, parent in (("inc1", "full.qcow2"), ("inc2", "inc1.qcow2")):
        image = inspect(*fixture(f"chain/{name}.qcow2"))
        assert image.kind is Kind.INCREMENTAL
        assert [item.names for item in image.parents] == [(parent,)]
        assert image.parents[0].weak
        assert image.facts["backing_format"] == "qcow2"


def test_backing_name_is_taken_as_it_stands():
    name = b'json:{"driver":"nbd","host":"a"}'
    image = inspect(Image(backing=name).finish())
    assert image.parents[0].names == (name.decode(),)
    longest = Image(cluster_bits=12, backing=b"x" * 1023).finish()
    assert not drive(FORMAT, BytesSource(longest)).bad


def test_zero_flag_counts_as_nothing_stored():
    image = inspect(*fixture("chain/inc2.qcow2"))
    assert image.facts["zero_clusters"] == 1
    assert image.payload_bytes == 2 * 4096


def test_empty_image_stores_nothing():
    found = driven("plain/empty.qcow2")
    assert found.inspections[0].payload_bytes == 0
    assert found.batches == []
    assert not found.bad


def test_image_ends_where_its_map_ends_and_not_where_refcounts_end():
    # The L1 table of 16 * 8 bytes is the last structure, in a cluster of 4096 bytes that the
    # refcounts count as whole.
    content, _ = fixture("plain/empty.qcow2")
    image = inspect(content)
    assert image.needed_bytes == len(content)
    assert len(content) % 4096 == builder.field_of(content, "l1_size") * 8


def test_last_cluster_is_needed_only_as_far_as_the_disk_goes():
    content, _ = fixture("plain/odd.qcow2")
    needed = inspect(content).needed_bytes
    assert needed == len(content) - 4096 + 1024
    assert not inspect(cut(content, needed)).evidence[-1].bad
    short = inspect(cut(content, needed - 1))
    (row,) = [item for item in short.evidence if item.bad]
    assert (row.check, row.outcome) == ("qcow2.file.needed", Outcome.TRUNCATED)
    assert (row.offset, row.length) == (needed - 1, 1)
    assert (row.expected, row.actual) == (f"{needed} bytes", f"{needed - 1} bytes")


def test_subclusters_are_needed_up_to_the_last_that_is_stored():
    content, _ = fixture("extended/disk.qcow2")
    image = inspect(content)
    # qemu-io wrote 40 KiB, a kibibyte of it zeros later, and 3 KiB: in parts of 512 bytes.
    assert image.payload_bytes == (40 - 1 + 3) * 1024
    assert image.needed_bytes == len(content)
    assert len(content) % (16 * 1024) != 0
    assert not drive(FORMAT, BytesSource(content)).bad


def test_snapshots_are_listed_and_walked():
    image = inspect(*fixture("extras/snapshots.qcow2"))
    assert [item["name"] for item in image.facts["snapshots"]] == ["first", "second"]
    assert all(item["date"].startswith("2026-11-21T") for item in image.facts["snapshots"])
    # 30 KiB, with 30 KiB more from 15 KiB on: 45 KiB in clusters of 4 KiB, without what only the
    # snapshots hold.
    assert image.payload_bytes == 12 * 4096


def test_dirty_bitmaps_are_listed():
    image = inspect(*fixture("extras/bitmaps.qcow2"))
    rows = image.facts["bitmaps"]
    # The second one took the default, which is the cluster size here.
    assert {(item["name"], item["granularity_bits"]) for item in rows} == {
        ("fine", 9),
        ("coarse", 12),
    }


@pytest.mark.parametrize(
    ("name", "codec"), [("zlib", Codec.DEFLATE), ("zstd", Codec.ZSTD)], ids=["zlib", "zstd"]
)
def test_every_compressed_cluster_is_decoded(name, codec):
    found = driven(f"compressed/{name}.qcow2")
    assert not found.bad, summary(found.bad)
    batches = [item for item in found.batches if item.check_id == "qcow2.cluster.decode"]
    assert {item.check for item in batches} == {Declared(None, codec, slack=True)}
    assert {int(length) for item in batches for length in item.plain_length} == {4096}
    # All 200 blocks of the pattern were written once; the snapshot shares what it did not copy.
    assert sum(len(item.offset) for item in batches) == 200
    assert found.inspections[0].payload_bytes == 200 * 4096


def test_compressed_clusters_are_payload_too():
    # An image of nothing but compressed clusters is not empty.
    assert driven("compressed/zstd.qcow2").payload_nonzero


def test_compressed_clusters_that_share_a_sector_are_kept_apart():
    image = Image(size=4 * 512)
    plain = [bytes([65 + guest]) * 300 + bytes(range(212)) for guest in range(4)]
    streams = {guest: deflate(content) for guest, content in enumerate(plain)}
    places = image.packed(streams)
    whole = image.finish()
    rows = [
        (offset, length)
        for batch in FORMAT.extents(BytesSource(whole), (inspect(whole),))
        if isinstance(batch.check, Declared)
        for offset, length in zip(batch.offset.tolist(), batch.stored_length.tolist(), strict=True)
    ]
    # Each stored length stops where the next stream starts, though sectors overlap.
    assert [offset for offset, _ in rows] == sorted(places.values())
    assert [length for _, length in rows[:-1]] == [len(streams[guest]) for guest in range(3)]
    assert not drive(FORMAT, BytesSource(whole)).bad


def test_last_sector_of_a_compressed_cluster_may_lie_behind_the_end():
    # Seen: qemu-img pads the file to a sector; the format does not ask for it, and a cluster's
    # length is told in sectors only.
    content, _ = fixture("compressed/zstd.qcow2")
    needed = inspect(content).needed_bytes
    assert needed == len(content) - 511
    batches = [item for item in driven("compressed/zstd.qcow2").batches if item.digest is None]
    last = max(int(item.offset[-1]) for item in batches if item.plain_length is not None)
    frame = pyzstd.get_frame_size(content[last:])
    trimmed = cut(content, last + frame)
    assert not drive(FORMAT, BytesSource(trimmed)).bad
    broken = drive(FORMAT, BytesSource(cut(content, last + frame - 1))).bad
    assert coordinates(broken) == {("qcow2.cluster.decode", last)}


def test_zstd_frames_are_decoded():
    image = Image(size=4 * 512, incompatible=8, compression=1)
    image.packed({2: pyzstd.compress(bytes(range(256)) * 2)})
    found = drive(FORMAT, BytesSource(image.finish()))
    assert not found.bad, summary(found.bad)
    assert [item.check.codec for item in found.batches if isinstance(item.check, Declared)] == [
        Codec.ZSTD
    ]


def test_payload_is_what_the_active_disk_stores():
    content, _ = fixture("chain/full.qcow2")
    rows = payload_of(content)
    stored = b"".join(content[offset : offset + length] for offset, length in rows)
    assert len(stored) == 12 * 4096
    assert {byte: stored.count(byte) for byte in (1, 2, 3, 4)} == {
        1: 4096,
        2: 8192,
        3: 30 * 1024,
        4: 4096,
    }


def test_payload_rows_are_joined_and_leave_out_zeros():
    image = Image()
    offsets = [image.data(guest, b"x") for guest in (3, 4, 9, 10)]
    image.maps[0][10] = (image.maps[0][10][0] | 1, 0)
    assert payload_of(image.finish()) == [(offsets[0], 3 * 512)]


def test_disk_with_a_snapshot_inside_is_not_weighed():
    # What the snapshot holds may be everything there is: the active disk alone says nothing.
    image = Image()
    image.data(3, b"x")
    image.snapshot()
    assert payload_of(image.finish()) == []
    empty = Image()
    empty.snapshot()
    (inspection,) = FORMAT.inspect(BytesSource(empty.finish()), NoNeighbours())
    assert inspection.payload_bytes is None


def test_payload_is_clipped_to_the_file():
    image = Image()
    image.data(0, b"x")
    content = image.finish()
    rows = payload_of(cut(content, 512 + 100))
    # The map lies behind the data and is gone with the cut.
    assert rows == []


def test_external_data_makes_the_data_file_a_member():
    for name, member in (("disk", "guest.data"), ("raw", "raw.data")):
        content, folder = fixture(f"external/{name}.qcow2")
        image = inspect(content, folder)
        assert image.members == (member,)
        assert image.facts["data_file"] == member
        found = {item.check: item for item in image.evidence}
        assert found["qcow2.data_file.present"].outcome is Outcome.MATCHED
        assert found["qcow2.data_file.size"].outcome is Outcome.MATCHED
        assert found["qcow2.data_file.size"].member == member
        assert list(FORMAT.extents(BytesSource(content), (image,))) == []


class OneNeighbour:
    def __init__(self, name, size):
        self._name = name
        self._size = size

    def names(self):
        return [self._name]

    def open(self, name):
        return BytesSource(bytes(self._size)) if name == self._name else None


def test_missing_data_file_is_missing_data():
    content, _ = fixture("external/raw.qcow2")
    (row,) = [item for item in inspect(content).evidence if item.bad]
    assert (row.check, row.outcome) == ("qcow2.data_file.present", Outcome.TRUNCATED)
    assert row.member == "raw.data"
    assert row.bearing is Bearing.NEEDED


@pytest.mark.parametrize(
    ("name", "member", "needed"),
    # The raw file must hold the whole disk; the other one the clusters 0 and 25 to 32.
    [("raw", "raw.data", 256 * 1024), ("disk", "guest.data", 33 * 4096)],
)
def test_short_data_file_is_missing_data(name, member, needed):
    content, _ = fixture(f"external/{name}.qcow2")
    sound = inspect(content, OneNeighbour(member, needed))
    assert not [item for item in sound.evidence if item.bad]
    broken = inspect(content, OneNeighbour(member, needed - 1))
    (row,) = [item for item in broken.evidence if item.bad]
    assert (row.check, row.outcome) == ("qcow2.data_file.size", Outcome.TRUNCATED)
    assert (row.member, row.offset, row.length) == (member, needed - 1, 1)


def test_raw_data_file_must_hold_the_whole_disk():
    # The same map twice: two clusters of 64, and the promise that the file is the disk.
    assert not [
        item
        for item in inspect(external(), OneNeighbour("guest.data", 3 * 512)).evidence
        if item.bad
    ]
    raw = external(autoclear=2)
    (row,) = [
        item for item in inspect(raw, OneNeighbour("guest.data", 3 * 512)).evidence if item.bad
    ]
    assert (row.check, row.expected) == ("qcow2.data_file.size", f"{64 * 512} bytes")


def test_data_file_with_a_path_is_found_beside_the_image():
    name = b"/var/lib/vm/disk.data"
    image = Image(incompatible=4, extensions=builder.extension(0x44415441, name))
    content = image.finish()
    assert inspect(content, OneNeighbour("disk.data", 10)).members == ("disk.data",)
    assert inspect(content).members == (name.decode(),)


def test_encrypted_content_is_unsupported_and_its_structure_is_proven():
    image = inspect(*fixture("states/aes.qcow2"))
    (row,) = [item for item in image.evidence if item.bad]
    assert (row.check, row.outcome) == ("qcow2.header.crypt_method", Outcome.UNSUPPORTED)
    assert row.actual == "aes"
    matched = {item.check for item in image.evidence if not item.bad}
    assert {"qcow2.cluster.missing", "qcow2.cluster.leaked", "qcow2.file.needed"} <= matched


def test_dirty_image_is_only_weakened():
    image = inspect(*fixture("states/dirty.qcow2"))
    bad = [item for item in image.evidence if item.bad]
    assert {item.check for item in bad} == {"qcow2.header.dirty", "qcow2.cluster.missing"}
    assert {item.bearing for item in bad} == {Bearing.REDUNDANT}
    assert image.payload_bytes == 8 * 4096


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 32, 64])
def test_every_width_of_refcounts_is_read(bits):
    content, _ = fixture(f"widths/refcount{bits}.qcow2")
    image = inspect(content)
    assert image.facts["refcount_bits"] == bits
    assert not [item for item in image.evidence if item.bad]
    table = builder.field_of(content, "refcount_table_offset")
    block = int.from_bytes(content[table : table + 8], "big")
    # Cluster 0 is the header's: whatever its count becomes, it is wrong.
    damaged = builder.put(content, block + max(bits // 8 - 1, 0), 0 if bits == 1 else 3, ">B")
    assert ("qcow2.cluster.missing" if bits == 1 else "qcow2.cluster.leaked", 0) in coordinates(
        item for item in inspect(damaged).evidence if item.bad
    )


def test_vm_state_behind_the_disk_is_followed_but_is_no_payload():
    # 64 entries to a table: guest cluster 64 is the first of the second table, the disk has 40.
    image = Image(size=40 * 512, vm_state=512)
    image.data(0, b"disk")
    state = image.data(64, b"state")
    image.snapshot()
    content = image.finish()
    found = inspect(content)
    assert not [item for item in found.evidence if item.bad]
    assert found.payload_bytes == 512
    assert found.facts["data_clusters"] == 1
    assert all(offset != state for offset, _ in payload_of(content))


def test_feature_names_are_those_of_the_image():
    content, _ = fixture("extended/disk.qcow2")
    assert "incompatible.0 dirty bit" in inspect(content).facts["feature_names"]


def test_nothing_is_vouched_for():
    for name in ("chain/full.qcow2", "compressed/zlib.qcow2"):
        assert sum(item.vouched_bytes for item in driven(name).evidence) == 0


def test_good_news_is_counted():
    content, folder = fixture("chain/full.qcow2")
    rows = {item.check: item for item in inspect(content, folder).evidence}
    assert all(item.outcome is Outcome.MATCHED for item in rows.values())
    assert rows["qcow2.l2.entry"].count == 12
    assert rows["qcow2.l1.entry"].count == 1
    assert rows["qcow2.cluster.missing"].count >= len(content) // 4096


def test_every_check_that_speaks_is_listed():
    names = [path.relative_to(FIXTURES / "qcow2") for path in (FIXTURES / "qcow2").rglob("*.xz")]
    for name in names:
        if name.name.endswith(".qcow2.xz"):
            rows = driven(str(name)[: -len(".xz")]).evidence
            assert {item.check for item in rows} <= FORMAT.checks.keys()


def test_facts_are_plain():
    json.dumps(inspect(*fixture("extras/snapshots.qcow2")).facts)


def test_state_finds_the_same_map_again():
    content, _ = fixture("compressed/zlib.qcow2")
    source = BytesSource(content)
    inspections = FORMAT.inspect(source, NoNeighbours())
    first, second = (list(FORMAT.extents(source, inspections)) for _ in range(2))
    assert len(first) == len(second) > 0
    for one, two in zip(first, second, strict=True):
        assert np.array_equal(one.offset, two.offset)


def test_real_images_are_cut_in_the_middle(corpus):
    for path in sorted((corpus / "images" / "qemu").glob("*.qcow2")):
        content = path.read_bytes()
        found = drive(FORMAT, BytesSource(cut(content, len(content) // 2))).bad
        # A member of another name may be missing too; what counts is the file's own length.
        assert {item.check for item in found} & {"qcow2.file.needed"}, path.name


def test_real_plain_image_misses_one_byte(corpus):
    for name in ("v2", "inc1", "inc2"):
        content = (corpus / "images" / "qemu" / f"{name}.qcow2").read_bytes()
        assert not inspect(content).evidence[-1].bad
        (row,) = [item for item in inspect(cut(content, len(content) - 1)).evidence if item.bad]
        assert (row.check, row.offset) == ("qcow2.file.needed", len(content) - 1)


def test_real_snapshots_of_another_writer_are_sound(corpus):
    folder = corpus / "misc" / "from_public_repos" / "hypervisor" / "disk" / "qcow2"
    with gzip.open(folder / "snapshot.qcow2.gz") as file:
        image = inspect(file.read())
    assert len(image.facts["snapshots"]) == 2
    assert not [item for item in image.evidence if item.bad]
