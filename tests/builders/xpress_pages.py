"""Encode whole chunks of database pages fast, where many pages have the same body.

An independent hand, as `tests.builders.xpress` is. One Huffman code of literals serves all chunks,
so that the bits of a body are made once; only page headers are encoded each time.
"""

import numpy as np

from tests.builders.xpress import SYMBOLS, code_lengths, codes_of

PAGE = 8192
PAGE_HEAD = 96
BODIES_MAX = 1024


class PageEncoder:
    """Encodes chunks with a code that suits a sample; every byte has a place in it."""

    def __init__(self, sample: bytes):
        counts = np.bincount(np.frombuffer(sample, np.uint8), minlength=SYMBOLS)
        counts[:256] += 1
        lengths = code_lengths(counts)
        codes = codes_of(lengths)
        self._table = (lengths[0::2] | lengths[1::2] << 4).astype(np.uint8).tobytes()
        self._words = [f"{codes[byte]:0{lengths[byte]}b}" for byte in range(256)]
        self._bodies: dict[bytes, tuple[int, int]] = {}

    def encode(self, plain: bytes) -> bytes:
        """Return the block for whole pages."""
        value = size = 0
        for page in range(0, len(plain), PAGE):
            for bits, count in (
                self._literals(plain[page : page + PAGE_HEAD]),
                self._body(plain[page + PAGE_HEAD : page + PAGE]),
            ):
                value, size = value << count | bits, size + count
        fill = -size % 16
        words = (value << fill).to_bytes((size + fill) // 8, "big")
        return self._table + np.frombuffer(words, ">u2").astype("<u2").tobytes()

    def _literals(self, plain: bytes) -> tuple[int, int]:
        """Return the bits of some bytes, and how many."""
        text = "".join([self._words[byte] for byte in plain])
        return int(text, 2), len(text)

    def _body(self, plain: bytes) -> tuple[int, int]:
        found = self._bodies.get(plain)
        if found is None:
            found = self._literals(plain)
            if len(self._bodies) < BODIES_MAX:
                self._bodies[plain] = found
        return found
