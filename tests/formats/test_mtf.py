"""The tape format's framing: what a walk yields, where it stops, and what it makes of damage."""

import io
import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core.model import Bearing, Outcome
from formats.core.source import BytesSource, NoNeighbours
from formats.mtf import FORMAT
from formats.mtf.filemarks import filemarks_behind, judge_filemark, last_filemark
from formats.mtf.structures import date_at, repairs, sum_holds, text_at, zoned
from formats.mtf.walk import Block, End, Gap, Walker
from tests import damage
from tests.builders.sqlserver_bak import Medium, Recipe, xor16

SQL_KINDS = frozenset({
    b"TAPE", b"SFMB", b"SSET", b"VOLB", b"MSCI", b"MSDA", b"MSTL", b"MSLS", b"ESET",
})  # fmt: skip
SMALL = Recipe(database_bytes=2 * 65_536, log_blocks=2, compressible=True)


def medium(mark_bytes: int = 512, sets: int = 1) -> tuple[bytes, Medium]:
    file = io.BytesIO()
    built = Medium(file, mark_bytes)
    for _ in range(sets):
        built.add_set(SMALL)
    return file.getvalue(), built


def foreign(name: str = "NTBackup") -> bytes:
    """Return a medium of a program that is not SQL Server: a tape header, a set, an end."""
    out = bytearray()
    for kind, body in ((b"TAPE", tape_body(name)), (b"SSET", bytes(60)), (b"ESET", bytes(40))):
        head = kind + struct.pack("<IHBB", 0, 52 + len(body), 14, 1) + bytes(36) + b"\2\0"
        start = len(out)
        out += head + struct.pack("<H", xor16(head)) + body
        pad = -(len(out) - start + 22) % 1024
        stream = b"SPAD" + struct.pack("<HHQHH", 0, 0, pad, 0, 0)
        out += stream + struct.pack("<H", xor16(stream)) + bytes(pad)
    return bytes(out)


def tape_body(name: str) -> bytes:
    stored = name.encode("utf-16-le")
    body = struct.pack("<IIHHHH", 7, 0, 1, 0, 1, 0) + bytes(12)
    body += struct.pack("<HHHH", len(stored), 94, 1024, 0x0FFF) + bytes(5) + b"\1" + stored
    return body + bytes(-len(body) % 4)


def walked(content: bytes) -> tuple[list[Block | Gap], Walker]:
    walker = Walker(BytesSource(content), 0, SQL_KINDS)
    return list(walker), walker


def found(content: bytes) -> set[tuple[str, int | None]]:
    """Return check and place of everything a walk finds wrong."""
    items, walker = walked(content)
    rows = [row for item in items if isinstance(item, Block) for row in item.evidence]
    rows += [item.evidence for item in items if isinstance(item, Gap)]
    assert walker.stop is not None
    if walker.stop.evidence is not None:
        rows.append(walker.stop.evidence)
    return {(row.check, row.offset) for row in rows}


def test_walk_meets_every_block_once_and_ends_with_the_file():
    content, _ = medium(sets=2)
    items, walker = walked(content)
    kinds = [item.kind.decode() for item in items if isinstance(item, Block)]
    one = "SSET VOLB MSCI MSDA MSTL MSTL MSLS SFMB ESET ESET SFMB"
    assert kinds == ["TAPE", "SFMB", *one.split(), *one.split()]
    assert all(left.end == right.offset for left, right in itertools.pairwise(items))
    assert walker.stop is not None
    assert walker.stop.end is End.CLEAN
    assert walker.stop.offset == len(content)
    assert found(content) == set()


@pytest.mark.parametrize("bit", range(0, 52 * 8, 7))
def test_flipped_bit_in_a_block_header_is_named_and_walked_over(bit):
    content, built = medium()
    offset = built.structures["block header"][4][0]
    damaged = damage.flip(content, offset + bit // 8, bit % 8)
    items, walker = walked(damaged)
    assert ("mtf.block.header_xor", offset) in found(damaged)
    assert walker.stop is not None
    assert walker.stop.end is End.CLEAN
    assert len(items) >= len(walked(content)[0])


@pytest.mark.parametrize("bit", range(0, 22 * 8, 5))
@pytest.mark.parametrize("index", [0, 4, 7, 9])
def test_flipped_bit_in_a_stream_header_is_named_and_walked_over(index, bit):
    content, built = medium()
    offset = built.structures["stream header"][index][0]
    damaged = damage.flip(content, offset + bit // 8, bit % 8)
    items, _ = walked(damaged)
    assert found(damaged) == {("mtf.stream.header_xor", offset)}
    assert [item.offset for item in items] == [item.offset for item in walked(content)[0]]


def test_zeros_over_a_block_are_a_gap_up_to_the_next_block():
    content, built = medium()
    starts = [offset for offset, _ in built.structures["block header"]]
    volume, config = starts[2], starts[3]
    damaged = damage.zero(content, volume, config - volume)
    items, _ = walked(damaged)
    gaps = [item for item in items if isinstance(item, Gap)]
    assert [(item.offset, item.end) for item in gaps] == [(volume, config)]
    assert gaps[0].evidence.check == "mtf.block.present"


def test_header_of_zeros_is_no_header_although_its_sum_is_zero():
    assert not sum_holds(bytes(52))


def test_cut_in_a_stream_says_how_long_the_file_must_be():
    content, built = medium()
    start, length = built.structures["pages"][0]
    items, walker = walked(damage.cut(content, start + 100))
    assert walker.stop is not None
    assert walker.stop.end is End.CUT
    assert walker.stop.needed_bytes >= start + length
    last = items[-1]
    assert isinstance(last, Block)
    assert last.kind == b"MSDA"


@pytest.mark.parametrize("cut", [1, 51, 53, 400])
def test_cut_below_a_header_asks_for_the_header(cut):
    content, built = medium()
    start = built.structures["block header"][2][0]
    _, walker = walked(damage.cut(content, start + cut))
    assert walker.stop is not None
    assert walker.stop.end is End.CUT
    assert walker.stop.needed_bytes > start + cut


def test_length_beyond_any_file_stops_the_walk_without_a_size():
    content, built = medium()
    offset = built.structures["stream header"][-1][0]
    head = bytearray(content[offset : offset + 22])
    head[8:16] = b"\xff" * 8
    head[20:22] = struct.pack("<H", xor16(bytes(head[:20])))
    damaged = content[:offset] + bytes(head) + content[offset + 22 :]
    assert ("mtf.stream.header_xor", offset) in found(damaged)


def test_repairs_name_the_flipped_bit_among_few_others():
    content, _ = medium()
    head = content[:52]
    tried = list(repairs(damage.flip(head, 9, 3)))
    assert head in tried
    assert len(tried) <= 26
    assert all(sum_holds(item) for item in tried)
    assert list(repairs(damage.flip(damage.flip(head, 9, 3), 20, 1))) == []


def test_last_filemark_lists_every_filemark_of_the_medium():
    content, built = medium(mark_bytes=4096, sets=3)
    mark = last_filemark(BytesSource(content))
    assert mark is not None
    assert [*reversed(mark.offsets), mark.offset] == built.marks
    assert list(filemarks_behind(BytesSource(content), built.marks[2])) == built.marks[2:]


def test_filemark_that_lists_another_offset_is_told_by_place():
    content, built = medium(sets=2)
    place = built.marks[-1] + 72 + 8
    items, _ = walked(damage.flip(content, place + 1, 3))
    row = judge_filemark(items[-1], built.marks[:-1])
    assert (row.outcome, row.offset, row.bearing) == (
        Outcome.MISMATCHED,
        place,
        Bearing.DOUBTFUL,
    )
    assert judge_filemark(walked(content)[0][-1], built.marks[:-1]).outcome is Outcome.MATCHED


@pytest.mark.parametrize("place", [52, 57, 60, 65, 200, 511])
def test_any_flip_in_a_filemarks_body_is_noticed(place):
    content, built = medium(sets=1)
    items, _ = walked(damage.flip(content, built.marks[-1] + place, 2))
    last = items[-1]
    assert isinstance(last, Block)
    assert judge_filemark(last, built.marks[:-1]).outcome is Outcome.MISMATCHED


def test_dates_and_texts():
    stored = bytes.fromhex("1f6e153bb8")
    assert str(date_at(stored)) == "2011-08-10 19:46:56"
    assert date_at(bytes(5)) is None
    assert date_at(b"\xff" * 5) is None
    assert str(zoned(date_at(stored), 22)) == "2011-08-10 19:46:56+05:30"
    assert str(zoned(date_at(stored), 256 - 28)) == "2011-08-10 19:46:56-07:00"
    assert str(zoned(date_at(stored), 127)) == "2011-08-10 19:46:56"
    block = bytes(10) + "Ä".encode("utf-16-le")
    assert text_at(block, struct.pack("<HH", 2, 10), 2) == "Ä"
    assert text_at(block, struct.pack("<HH", 4, 10), 2) is None


def test_medium_of_another_program_is_walked_and_its_content_left_unproven():
    source = BytesSource(foreign())
    assert FORMAT.probe(source)
    (image,) = FORMAT.inspect(source, NoNeighbours())
    bad = [row for row in image.evidence if row.bad]
    assert [(row.check, row.outcome) for row in bad] == [("mtf.media.content", Outcome.UNSUPPORTED)]
    assert image.facts["software_name"] == "NTBackup"
    assert image.needed_bytes == source.size


def test_cut_medium_of_another_program_lacks_its_end():
    content = foreign()
    (image,) = FORMAT.inspect(BytesSource(damage.cut(content, 2000)), NoNeighbours())
    rows = {(row.check, row.outcome, row.offset) for row in image.evidence if row.bad}
    assert ("mtf.media.end", Outcome.TRUNCATED, 2000) in rows


def test_medium_of_sql_server_is_left_to_its_own_format():
    content, _ = medium()
    assert not FORMAT.probe(BytesSource(content))
    assert not FORMAT.probe(BytesSource(foreign("Microsoft SQL Server")))
    assert not FORMAT.probe(BytesSource(b"TAPE"))


@given(st.binary(max_size=3000), st.booleans())
@settings(max_examples=50, deadline=None)
def test_random_bytes_end_a_walk(content, behind_a_head):
    head = foreign()[:1024] if behind_a_head else b""
    source = BytesSource(head + content)
    walker = Walker(source, 0, SQL_KINDS)
    assert len(list(walker)) <= 2 + source.size // 52
    FORMAT.probe(source)
    FORMAT.inspect(source, NoNeighbours())
    last_filemark(source)
