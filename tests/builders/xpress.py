"""Encode LZ77+Huffman blocks ([MS-XCA] 2.1), plainly: literals, and runs of one byte as matches.

An independent hand: nothing is imported from the decoder. No match is long enough for extra bytes,
so a block is its table and then nothing but bits. What does not shrink is not handled.
"""

import numpy as np

SYMBOLS = 512
END = 256
LENGTH_MAX = 15
RUN_MAX = 17  # the longest match without extra bytes
RUN_LEAST = 3


def encode(plain: bytes, *, end: bool = True) -> bytes:
    """Return the block for up to 64 KiB; ``end`` adds the symbol that ends a short one."""
    symbols = symbols_of(np.frombuffer(plain, np.uint8))
    if end:
        symbols = np.append(symbols, END)
    lengths = code_lengths(np.bincount(symbols, minlength=SYMBOLS))
    table = (lengths[0::2] | lengths[1::2] << 4).astype(np.uint8)
    return table.tobytes() + bits_of(symbols, lengths, codes_of(lengths))


def symbols_of(plain: np.ndarray) -> np.ndarray:
    """Return literals, with runs of one byte cut into matches at distance 1."""
    if not len(plain):
        return np.zeros(0, np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(plain)) + 1))
    lengths = np.diff(np.append(starts, len(plain)))
    symbols = plain.astype(np.int64)
    kept = np.ones(len(plain), bool)
    for start, length in zip(
        starts[lengths > RUN_LEAST], lengths[lengths > RUN_LEAST], strict=True
    ):
        # The first byte is a literal; the rest are matches of it, and what is too short for one.
        whole, rest = divmod(length - 1, RUN_MAX)
        kept[start + 1 : start + length] = False
        at = start + 1
        symbols[at : at + whole] = END + RUN_MAX - RUN_LEAST
        kept[at : at + whole] = True
        at += whole
        if rest >= RUN_LEAST:
            symbols[at], kept[at] = END + rest - RUN_LEAST, True
        else:
            kept[at : at + rest] = True
    return symbols[kept]


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Return lengths of a complete code that suits the counts roughly."""
    used = np.flatnonzero(counts)
    share = counts[used] / counts.sum()
    lengths = np.zeros(SYMBOLS, np.int64)
    lengths[used] = np.clip(np.ceil(-np.log2(share)), 1, 12)
    room = 1 << LENGTH_MAX
    # Clipping may have taken too much: the rarest short codes grow again.
    while (spent := int((room >> lengths[lengths > 0]).sum())) > room:
        at = max(used[lengths[used] < LENGTH_MAX], key=lambda index: (lengths[index], -index))
        lengths[at] += 1
    left = room - spent
    for index in used[np.argsort(-counts[used], kind="stable")]:
        while lengths[index] > 1 and room >> lengths[index] <= left:
            left -= room >> lengths[index]
            lengths[index] -= 1
    # A code must be complete: symbols that never come take what is left.
    spare = iter(np.flatnonzero(lengths == 0))
    for length in range(1, LENGTH_MAX + 1):
        if left & room >> length:
            lengths[next(spare)] = length
    return lengths


def codes_of(lengths: np.ndarray) -> np.ndarray:
    """Return canonical codes: by length, then by symbol."""
    codes = np.zeros(SYMBOLS, np.int64)
    order = sorted(np.flatnonzero(lengths), key=lambda index: (lengths[index], index))
    code, before = 0, 0
    for index in order:
        code <<= int(lengths[index]) - before
        before = int(lengths[index])
        codes[index] = code
        code += 1
    return codes


def bits_of(symbols: np.ndarray, lengths: np.ndarray, codes: np.ndarray) -> bytes:
    """Return the codes as bits, highest first, in little-endian words of 16 bits."""
    sizes = lengths[symbols]
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    bits = np.zeros(max(32, -(-total // 16) * 16), np.uint8)
    for place in range(LENGTH_MAX):
        some = np.flatnonzero(sizes > place)
        bits[ends[some] - 1 - place] = codes[symbols[some]] >> place & 1
    return np.packbits(bits).view(">u2").astype("<u2").tobytes()
