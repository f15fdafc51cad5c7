from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from scanner.ledger import packing
from scanner.results import Stamps
from tests.scanner.ledger.stories import MIB

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
ODD_TEXT = st.text(st.sampled_from("a\0\ufffd\ud800\udce9\udfff/0dce9\U0001f600"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | ODD_TEXT | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT, inner, max_size=4),
    max_leaves=12,
)
ANYTHING = msgspec.json.Decoder(dict[str, object])


@given(ANY_TEXT | ODD_TEXT)
def test_any_text_comes_back_and_is_utf8_without_nul(text):
    written = packing.to_text(text)
    assert "\0" not in written
    assert written.encode().decode() == written
    assert packing.from_text(written) == text


@given(ODD_TEXT, ODD_TEXT)
def test_no_two_texts_are_written_alike(one, other):
    assert (packing.to_text(one) == packing.to_text(other)) == (one == other)


def test_name_in_an_old_code_page_stays_readable():
    assert packing.to_text("caf\udce9.bak") == "caf\ufffddce9.bak"


@given(st.dictionaries(ODD_TEXT, JSON, max_size=4))
def test_json_comes_back(value):
    written = packing.to_json(value)
    assert written.encode().decode() == written
    assert packing.from_json(written, ANYTHING) == value


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9.5))])))
def test_aware_times_come_back_as_utc(moment):
    again = packing.from_us(packing.to_us(moment))
    assert again == moment
    assert again.utcoffset() == timedelta(0)


@given(st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)))
def test_times_without_a_zone_stay_without_one(moment):
    again = packing.from_zoned(*packing.to_zoned(moment))
    assert again == moment
    assert again is None or (again.tzinfo is None) == (moment.tzinfo is None)


def test_local_time_is_marked():
    assert packing.to_zoned(datetime(1970, 1, 1, 0, 0, 1)) == (1_000_000, "local")  # noqa: DTZ001
    assert packing.to_zoned(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == (1_000_000, "utc")


@given(
    st.builds(
        Stamps,
        st.integers(0, 2**63 - 1),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.integers(0, 2**64 - 1),
        st.none() | st.integers(0, 2**63 - 1),
    )
)
def test_stamps_come_back_also_with_inodes_of_64_bits(stamps):
    columns = packing.stamp_columns(stamps)
    assert all(column is None or -(2**63) <= column < 2**63 for column in columns)
    assert packing.from_stamp_columns(columns) == stamps


def test_number_beyond_64_bits_becomes_the_largest():
    assert packing.to_whole(2**64 - 1) == 2**63 - 1
    assert packing.to_whole(-(2**70)) == -(2**63) + 1
    assert packing.to_whole(None) is None


@given(st.binary(max_size=300))
def test_blobs_come_back_and_never_grow(content):
    how, blob = packing.pack(content)
    assert len(blob) <= len(content)
    assert packing.unpack(how, blob) == content


def test_blob_is_compressed_only_where_that_is_smaller():
    assert packing.pack(bytes(1000))[0] == packing.ZLIB
    assert packing.pack(xxhash.xxh3_128_digest(b"x") * 1) == (
        packing.RAW,
        xxhash.xxh3_128_digest(b"x"),
    )


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("page", "<u4"), ("sum", "<u8")]),
        np.dtype([("page", "<u2"), ("sum", "<u8")], align=True),
        np.dtype([("grid", "<i4", (2, 3)), ("name", "S5"), ("inner", [("a", ">u2")])]),
        np.dtype([("flag", "?"), ("part", "<f8")]),
        np.dtype("<u8"),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_tables_come_back_with_their_columns(dtype, rows):
    noise = np.random.default_rng(rows).integers(0, 2, rows * dtype.itemsize, np.uint8)
    table = np.frombuffer(noise.tobytes(), dtype)
    again = packing.table_of(packing.table_bytes(table))
    assert again.dtype == table.dtype
    assert np.array_equal(again, table)


def test_table_of_objects_is_no_plain_value():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        packing.table_bytes(np.array([("x",)], dtype=[("any", object)]))


@pytest.mark.parametrize("length", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])
def test_digests_of_zeros_are_those_of_zeros(length):
    blocks = [bytes(min(MIB, length - start)) for start in range(0, length, MIB)]
    expected = b"".join(map(xxhash.xxh3_128_digest, blocks))
    assert packing.zero_digests(length) == expected
    assert packing.spelled_out(b"", length) == expected


def test_times_of_many_rows_are_made_once():
    times = packing.Times()
    assert times.at(1_700_000_000_000_001) == packing.from_us(1_700_000_000_000_001)
    assert times.at(5) is times.maybe(5)
    assert times.maybe(0) == packing.EPOCH
    assert times.maybe(None) is None
