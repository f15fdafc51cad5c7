"""LZ77+Huffman blocks: the specification's examples, an encoder of our own, real chunks, oracles.

Every property runs on the compiled decoder, where numba is installed, and on the same code
interpreted.
"""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.core import xpress
from tests import damage
from tests.builders.xpress import encode

NATIVE = xpress.native()
ROOM = 70_000


def example(nibbles: dict[int, int], stream: str) -> bytes:
    """Return a block from the bytes of its table that are not zero, and what follows."""
    table = bytearray(256)
    for index, value in nibbles.items():
        table[index] = value
    return bytes(table) + bytes.fromhex(stream)


# [MS-XCA] 3.2: the alphabet, and "abc" a hundred times.
ALPHABET = example(
    dict(enumerate(bytes.fromhex("50 55 55 55 55 55 55 55 55 55 55 45 44 04"), 48)) | {128: 4},
    "d8523ed794115be9195ff9d67cdf8d0400000000",
)
HUNDRED = example({48: 0x30, 49: 0x23, 128: 2, 143: 0x20}, "a8dc0000ff2601")


def interpreted(stored: bytes, plain_bytes: int | None) -> bytes | int:
    try:
        return xpress.decompress(stored, plain_bytes)
    except xpress.XpressError as error:
        return next(code for code, text in xpress.ERRORS.items() if text == str(error))


def compiled(stored: bytes, plain_bytes: int | None) -> bytes | int:
    """Decode in the middle of a larger array, and see that nothing around it was written to."""
    assert NATIVE is not None
    limit = xpress.BLOCK_PLAIN_BYTES if plain_bytes is None else plain_bytes
    out = np.full(ROOM, 0xA5, np.uint8)
    memory = np.frombuffer(b"\xff" * 7 + stored + b"\xff" * 9, np.uint8)
    exact = plain_bytes is not None
    bounds = 7, 7 + len(stored)
    length = NATIVE(memory, *bounds, out, 11, 11 + limit, exact, xpress.new_scratch())
    assert (out[:11] == 0xA5).all()
    assert (out[11 + limit :] == 0xA5).all()
    return out[11 : 11 + length].tobytes() if length >= 0 else length


needs_numba = pytest.mark.skipif(NATIVE is None, reason="numba is not installed")
DECODERS = pytest.mark.parametrize(
    "decode", [interpreted, pytest.param(compiled, marks=needs_numba)]
)


@DECODERS
@pytest.mark.parametrize("known", [True, False])
def test_examples_of_the_specification_decode(decode, known):
    for stored, plain in (
        (ALPHABET, b"abcdefghijklmnopqrstuvwxyz"),
        (HUNDRED, b"abc" * 100),
    ):
        assert decode(stored, len(plain) if known else None) == plain


@DECODERS
@pytest.mark.parametrize("size", [0, 1, 2, 300, 65_535, 65_536])
@pytest.mark.parametrize("values", [1, 2, 16, 90])
def test_blocks_of_an_encoder_of_our_own_decode(decode, size, values):
    plain = np.random.default_rng(size).integers(0, values, size, dtype=np.uint8).tobytes()
    full = size == xpress.BLOCK_PLAIN_BYTES
    assert decode(encode(plain, end=not full), size if full else None) == plain
    assert decode(encode(plain), size) == plain


@DECODERS
def test_a_match_where_the_block_could_end_is_a_match_if_the_length_is_known(decode):
    # The last symbol is 256 and only zero bits follow: three more bytes, or the end.
    plain = b"\0" * 4
    stored = encode(plain, end=False)
    assert decode(stored, 4) == plain
    assert decode(stored, None) == b"\0"


@DECODERS
def test_a_long_code_decodes(decode):
    # 24 symbols, each half as frequent as the one before: codes of up to 15 bits.
    plain = b"".join(bytes([value]) * max(1, 30_000 >> value) for value in range(24))
    plain = bytes(np.random.default_rng(5).permutation(np.frombuffer(plain, np.uint8)))
    stored = encode(plain)
    lengths = {item & 15 for item in stored[:256]} | {item >> 4 for item in stored[:256]}
    assert max(lengths) > xpress.FAST_BITS
    assert decode(stored, None) == plain


@DECODERS
@pytest.mark.parametrize(
    ("stored", "plain_bytes", "code"),
    [
        (b"", None, xpress.CUT_INPUT),
        (ALPHABET[:259], None, xpress.CUT_INPUT),
        (bytes(256) + b"\0" * 8, None, xpress.BAD_TABLE),
        (b"\x11" * 256 + b"\0" * 8, None, xpress.BAD_TABLE),
        (HUNDRED[:-1], 300, xpress.CUT_INPUT),
        (HUNDRED[:-2], 300, xpress.CUT_INPUT),
        (HUNDRED[:-3], 300, xpress.CUT_INPUT),
        (HUNDRED[:-2] + b"\x0e\0", 300, xpress.BAD_MATCH),
        (HUNDRED, 299, xpress.OVERRUN),
        # What ended the block is taken for three more bytes, and one is missing.
        (ALPHABET, 27, xpress.OVERRUN),
        # The first symbol is a match.
        (example({128: 1, 129: 1}, "0000000000000000"), 10, xpress.BAD_MATCH),
    ],
)
def test_what_is_wrong_with_a_block_is_said(decode, stored, plain_bytes, code):
    assert decode(stored, plain_bytes) == code


@needs_numba
@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=700), st.none() | st.integers(0, 65_536))
def test_random_bytes_end_in_an_error_or_the_right_length(stored, plain_bytes):
    for block in (stored, encode(b"bakproof" * 9)[:256] + stored):
        found = compiled(block, plain_bytes)
        assert isinstance(found, int) or plain_bytes is None or len(found) == plain_bytes
        assert found == interpreted(block, plain_bytes)


@needs_numba
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_and_cut_blocks_end_in_an_error_or_the_right_length(data):
    stored = data.draw(st.sampled_from([ALPHABET, HUNDRED, encode(bytes(range(60)) * 50)]))
    changed = damage.flip(stored, data.draw(st.integers(0, len(stored) - 1)), 3)
    changed = changed[: data.draw(st.integers(0, len(changed)))]
    plain_bytes = data.draw(st.none() | st.integers(0, 4_000))
    found = compiled(changed, plain_bytes)
    assert isinstance(found, int) or plain_bytes is None or len(found) == plain_bytes
    assert found == interpreted(changed, plain_bytes)


@needs_numba
def test_bounds_outside_the_memory_are_refused():
    out, scratch = np.zeros(300, np.uint8), xpress.new_scratch()
    memory = np.frombuffer(HUNDRED, np.uint8)
    size, exact = len(memory), True
    assert NATIVE(memory, 0, size, out, 0, 300, exact, scratch) == 300
    for bounds in (
        (-1, size, 0, 300),
        (0, size + 1, 0, 300),
        (0, size, -1, 299),
        (0, size, 0, 301),
    ):
        start, end, begin, limit = bounds
        assert NATIVE(memory, start, end, out, begin, limit, exact, scratch) == xpress.CUT_INPUT
    assert NATIVE(memory, 0, size, out, 0, 300, exact, scratch[:-1]) == xpress.CUT_INPUT


def test_an_independent_decoder_agrees():
    oracle = pytest.importorskip(
        "dissect.util.compression.lzxpress_huffman", reason="dissect.util is not installed"
    )
    plain = np.random.default_rng(3).integers(0, 30, 20_000, dtype=np.uint8).tobytes()
    for stored in (ALPHABET, HUNDRED, encode(plain), encode(b"\0" * 5_000 + plain)):
        ours = xpress.decompress(stored)
        # It stops where the input does, which may be some symbols early or one match late.
        theirs = oracle.decompress(BytesIO(stored))
        assert len(theirs) > len(ours) - 40
        assert theirs[: len(ours)] == ours[: len(theirs)]


@DECODERS
def test_xpress_chunks_of_a_wim_decode(decode):
    corpus = os.environ.get("BAKPROOF_CORPUS")
    if not corpus:
        pytest.skip("BAKPROOF_CORPUS is not set")
    image = (Path(corpus) / "images" / "wim" / "xpress.wim").read_bytes()
    found = list(resources(image))
    assert found
    for stored, size in found:
        assert len(decode(stored, size)) == size


def resources(image: bytes):
    """Yield the compressed resources of one chunk that the lookup table of a WIM lists."""
    # "Windows Imaging File Format" (Microsoft, 2007): the table's own entry stands at 48.
    at = int.from_bytes(image[56:64], "little")
    size = int.from_bytes(image[48:55], "little")
    for entry in range(at, at + size, 50):
        stored = int.from_bytes(image[entry : entry + 7], "little")
        offset = int.from_bytes(image[entry + 8 : entry + 16], "little")
        plain = int.from_bytes(image[entry + 16 : entry + 24], "little")
        if image[entry + 7] & 4 and plain <= 32_768 and stored < plain:
            yield image[offset : offset + stored], plain
