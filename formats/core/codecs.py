"""Decompression in bounded pieces: no input can make more than `PIECE_BYTES_MAX` at once."""

from collections.abc import Iterator
from typing import assert_never

import pyzstd
from isal import igzip_lib

from formats.core.model import Codec

PIECE_BYTES_MAX = 1 << 20
"""One native call decodes at most this much: longer ones stall the other threads."""

DEFLATE_WINDOW_BITS = 15


# Both are C classes without stubs.
STREAM_ERRORS: tuple[type[Exception], ...] = (
    igzip_lib.error,  # type: ignore[assignment]
    pyzstd.ZstdError,
)


class CodecError(Exception):
    """The stored bytes are not one complete stream of the expected length."""


class Decoder:
    """Decodes one stored extent, fed in pieces of any size.

    A stream that yields more than ``plain_bytes_max`` bytes, or bytes behind its end where
    ``slack`` is not allowed, raises `CodecError`.
    """

    def __init__(self, codec: Codec, plain_bytes_max: int, *, slack: bool) -> None:
        self._plain_left = plain_bytes_max
        self._slack = slack
        self._stream = open_stream(codec)

    def feed(self, stored: bytes | memoryview) -> Iterator[bytes]:
        """Yield what ``stored`` decodes to, in bounded pieces."""
        if self._stream.eof:
            self._refuse_trailing(len(stored))
            return
        pending: bytes | memoryview = stored
        while True:
            # One byte more than allowed may be asked for, so that running over is seen.
            wanted = min(PIECE_BYTES_MAX, self._plain_left + 1)
            try:
                plain = self._stream.decompress(pending, max_length=wanted)
            except STREAM_ERRORS as error:
                raise CodecError(str(error)) from error
            pending = b""
            self._plain_left -= len(plain)
            if self._plain_left < 0:
                message = "decodes to more than expected"
                raise CodecError(message)
            if plain:
                yield plain
            if self._stream.eof:
                self._refuse_trailing(len(self._stream.unused_data))
                return
            if self._stream.needs_input:
                return
            if not plain:
                # Neither output nor a wish for input: the stream cannot go on.
                message = "stream does not advance"
                raise CodecError(message)

    def finish(self) -> None:
        """Raise `CodecError` unless the stream has ended."""
        if not self._stream.eof:
            message = "stream ends early"
            raise CodecError(message)

    def _refuse_trailing(self, length: int) -> None:
        if length and not self._slack:
            # How many depends on the pieces, and what is found must not.
            message = "bytes behind the end of the stream"
            raise CodecError(message)


def open_stream(codec: Codec) -> igzip_lib.IgzipDecompressor | pyzstd.ZstdDecompressor:
    """Return a fresh decompressor; both kinds share one interface."""
    match codec:
        case Codec.DEFLATE:
            return igzip_lib.IgzipDecompressor(
                flag=igzip_lib.DECOMP_DEFLATE, hist_bits=DEFLATE_WINDOW_BITS
            )
        case Codec.ZSTD:
            return pyzstd.ZstdDecompressor()
        case _:
            assert_never(codec)
