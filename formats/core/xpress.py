"""LZ77+Huffman of the Xpress Compression Algorithm ([MS-XCA] 2.2), one block at a time.

A block is up to 64 KiB of plain bytes: a table of 512 code lengths, then Huffman codes, with the
extra bytes of long matches in between. SQL Server stores compressed backups in such blocks, WIM
its "XPRESS" resources.

`decode` is written so that it runs as it stands, slowly, on bytes and a bytearray, and compiled by
numba on numpy arrays (`formats.core.xpress_native`, an optional extra). It trusts nothing: every
read is held against the end of the input, every write against the room that is left.
"""

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

BLOCK_PLAIN_BYTES = 1 << 16
TABLE_BYTES = 256
SYMBOLS = 512
LENGTHS = 16
LITERALS = 256
# A length of 15 in a symbol, and of 255 in the byte behind it, means that more follows.
LENGTH_FOLLOWS = 15
BYTE_FULL = 255
LENGTH_LEAST = 3
MASK = 0xFFFFFFFF

# The decoder's memory: what the next 11 bits mean, symbols in the order of their codes, and for
# each length its first code and the index of its first symbol.
FAST_BITS = 11
FAST_ENTRIES = 1 << FAST_BITS
ORDERED = FAST_ENTRIES
FIRSTS = ORDERED + SYMBOLS
BASES = FIRSTS + LENGTHS
SCRATCH_ENTRIES = BASES + LENGTHS

# Added to an octet it makes a signed number of 64 bits where the code is compiled.
ZERO = 0

# What `decode` returns instead of a length.
BAD_TABLE = -1  # the code lengths make no complete code
CUT_INPUT = -2  # the input ends inside a symbol
BAD_MATCH = -3  # a match reaches back before the block's start, or is of no such length
OVERRUN = -4  # a match is longer than the room that is left
ERRORS: Mapping[int, str] = {
    BAD_TABLE: "no complete Huffman code",
    CUT_INPUT: "input ends early",
    BAD_MATCH: "a match of nothing",
    OVERRUN: "more than the expected bytes",
}

Octets: TypeAlias = npt.NDArray[np.uint8]
NativeDecode: TypeAlias = Callable[
    [Octets, int, int, Octets, int, int, bool, npt.NDArray[np.int32]], int
]


class XpressError(Exception):
    """The stored bytes are not one block of at most the expected length."""


def native() -> NativeDecode | None:
    """Return the compiled decoder; None where numba is not installed.

    Importing numba takes half a second and compiling a few, so both are left to who needs them.
    """
    try:
        from formats.core import xpress_native  # noqa: PLC0415 - see above
    except ImportError:
        return None
    return xpress_native.decode


def decompress(stored: bytes, plain_bytes: int | None = None) -> bytes:
    """Decode one block, slowly, to exactly ``plain_bytes``; without them up to its last symbol."""
    limit = BLOCK_PLAIN_BYTES if plain_bytes is None else plain_bytes
    plain, scratch = bytearray(limit), [0] * SCRATCH_ENTRIES
    length = decode(stored, 0, len(stored), plain, 0, limit, plain_bytes is not None, scratch)
    if length < 0:
        raise XpressError(ERRORS[length])
    return bytes(plain[:length])


def new_scratch() -> npt.NDArray[np.int32]:
    """Return the memory the compiled decoder works in; one call at a time may use it."""
    return np.zeros(SCRATCH_ENTRIES, np.int32)


def decode(
    stored: Sequence[int],
    start: int,
    end: int,
    plain: MutableSequence[int],
    begin: int,
    limit: int,
    exact: bool,  # noqa: FBT001 - compiled code takes no keywords
    scratch: MutableSequence[int],
) -> int:
    """Decode ``stored[start:end]`` into ``plain[begin:limit]``; return how many bytes, or an error.

    The block ends where the room does; if it need not be ``exact``, also with symbol 256 when all
    input has been read and only zero bits are left of it.
    """
    position = start + TABLE_BYTES
    inside = 0 <= start <= end <= len(stored) and 0 <= begin <= limit <= len(plain)
    # [MS-XCA] 2.2.4 reads two words before the first symbol.
    if not inside or len(scratch) < SCRATCH_ENTRIES or position + 4 > end:
        return CUT_INPUT
    if not prepare(stored, start, scratch):
        return BAD_TABLE
    return follow(stored, position, end, plain, begin, limit, exact, scratch)


def follow(  # noqa: C901, PLR0911 - the hot loop: each way out is a thing that is wrong
    stored: Sequence[int],
    position: int,
    end: int,
    plain: MutableSequence[int],
    begin: int,
    limit: int,
    exact: bool,  # noqa: FBT001 - compiled code takes no keywords
    scratch: Sequence[int],
) -> int:
    """Decode symbol by symbol from ``position``, where two words stand; otherwise as `decode`."""
    bits = (word_at(stored, position, end) << 16) | word_at(stored, position + 2, end)
    position += 4
    extra = 16  # as many bits beyond sixteen as are in hand
    out = begin
    while out < limit:
        value = ZERO + scratch[bits >> (32 - FAST_BITS)]
        if value == 0:
            value = long_entry(scratch, bits >> 17)
        bits = (bits << (value & 15)) & MASK
        extra -= value & 15
        if extra < 0:
            # One word of zeros is fed behind the end; whoever needs a second one has used it.
            if position > end:
                return CUT_INPUT
            bits |= word_at(stored, position, end) << -extra
            position += 2
            extra += 16
        symbol = value >> 4
        if symbol < LITERALS:
            plain[out] = symbol
            out += 1
            continue
        # The symbol also means a match of three bytes at distance one; it ends a block only when
        # nothing follows but the zeros that fill up the last word.
        if symbol == LITERALS and not exact and position >= end and bits == 0:
            return out - begin
        length = symbol & 15
        if length == LENGTH_FOLLOWS:
            length, position = long_length(stored, position, end)
            if length < 0:
                return length
        count = (symbol >> 4) & 15
        distance = (1 << count) | (bits >> 1 >> (31 - count))
        bits = (bits << count) & MASK
        extra -= count
        if extra < 0:
            if position > end:
                return CUT_INPUT
            bits |= word_at(stored, position, end) << -extra
            position += 2
            extra += 16
        length += LENGTH_LEAST
        if distance > out - begin:
            return BAD_MATCH
        if length > limit - out:
            return OVERRUN
        repeat(plain, out, distance, length)
        out += length
    return out - begin


def prepare(stored: Sequence[int], start: int, scratch: MutableSequence[int]) -> bool:
    """Lay out the code that the 256 bytes at ``start`` describe; whether it is a complete one.

    [MS-XCA] 2.2.4: canonical codes, ordered by length, then by symbol.
    """
    for index in range(ORDERED, SCRATCH_ENTRIES):
        scratch[index] = 0
    for index in range(TABLE_BYTES):
        pair = ZERO + stored[start + index]
        scratch[FIRSTS + (pair & 15)] += 1
        scratch[FIRSTS + (pair >> 4)] += 1
    # From here on FIRSTS has each length's first code, in 15 bits, and BASES the index of the
    # first symbol of that length.
    code, base = 0, 0
    for length in range(1, LENGTHS):
        count = ZERO + scratch[FIRSTS + length]
        scratch[FIRSTS + length] = code
        scratch[BASES + length] = base
        code += count << (15 - length)
        base += count
    if code != 1 << 15:
        return False
    for symbol in range(SYMBOLS):
        length = ((ZERO + stored[start + (symbol >> 1)]) >> (4 * (symbol & 1))) & 15
        if length > 0:
            index = ZERO + scratch[BASES + length]
            scratch[ORDERED + index] = symbol
            scratch[BASES + length] = index + 1
    # Each base now stands behind its last symbol, which is where the next one was.
    for length in range(LENGTHS - 1, 1, -1):
        scratch[BASES + length] = scratch[BASES + length - 1]
    scratch[BASES + 1] = 0
    fill_fast(scratch)
    return True


def fill_fast(scratch: MutableSequence[int]) -> None:
    """Give each short code all entries that begin with it: symbol above four bits of length."""
    entry = 0
    for length in range(1, FAST_BITS + 1):
        for index in range(scratch[BASES + length], scratch[BASES + length + 1]):
            value = ((ZERO + scratch[ORDERED + index]) << 4) | length
            for _ in range(1 << (FAST_BITS - length)):
                scratch[entry] = value
                entry += 1
    for index in range(entry, FAST_ENTRIES):
        scratch[index] = 0


def long_entry(scratch: Sequence[int], peek: int) -> int:
    """Return symbol and length of the code, longer than a fast one, that 15 bits begin with."""
    length = FAST_BITS + 1
    while length < LENGTHS - 1 and peek >= scratch[FIRSTS + length + 1]:
        length += 1
    index = scratch[BASES + length] + ((peek - scratch[FIRSTS + length]) >> (15 - length))
    # A complete code leaves no bits without a symbol; held all the same.
    return ((ZERO + scratch[ORDERED + min(max(index, 0), SYMBOLS - 1)]) << 4) | length


def word_at(stored: Sequence[int], position: int, end: int) -> int:
    """Return the word of 16 bits at ``position``; zero behind the end."""
    if position + 2 > end:
        return 0
    return (ZERO + stored[position]) | ((ZERO + stored[position + 1]) << 8)


def long_length(stored: Sequence[int], position: int, end: int) -> tuple[int, int]:
    """Return the length, less three, that stands in extra bytes, and where they end; or an error.

    Assumed of all writers: four-byte lengths are not used, for a block is no longer than two bytes
    count.
    """
    if position + 1 > end:
        return CUT_INPUT, position
    length = ZERO + stored[position]
    if length < BYTE_FULL:
        return length + LENGTH_FOLLOWS, position + 1
    if position + 3 > end:
        return CUT_INPUT, position
    length = word_at(stored, position + 1, end)
    return (length if length >= LENGTH_FOLLOWS else BAD_MATCH), position + 3


def repeat(plain: MutableSequence[int], out: int, distance: int, length: int) -> None:
    """Copy what stands ``distance`` bytes back, byte by byte: it may run into itself."""
    if distance == 1:
        octet = plain[out - 1]
        for index in range(length):
            plain[out + index] = octet
    else:
        for index in range(length):
            plain[out + index] = plain[out + index - distance]
