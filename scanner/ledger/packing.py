"""How values become columns, and come back exactly.

Times are UTC microseconds. Text is UTF-8; what UTF-8 cannot hold (a file name in an old code page,
seen as a lone surrogate) and NUL are written as U+FFFD and four hex digits, so that every program
can read the ledger and no name is lost.
"""

import io
import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import numpy as np
import xxhash

from formats.core.model import Columns
from scanner.config import DIGEST_BLOCK_BYTES, DIGEST_BYTES
from scanner.results import Stamps

T = TypeVar("T")

INT64_MAX = (1 << 63) - 1
RAW, ZLIB = 0, 1
ZLIB_LEVEL = 1
"""Tallies are many small integers: the fastest level already takes most of the air out."""

UNPACKED_BYTES = DIGEST_BYTES
"""A single digest is not worth a try: most files are small and have no more."""

ESCAPE = "\ufffd"
UNWRITABLE = re.compile("[\\x00\ud800-\udfff\ufffd]")
ESCAPED = re.compile(ESCAPE + "([0-9a-f]{4})")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - counts zone-less times
MICROSECOND = timedelta(microseconds=1)
ZERO_BLOCK_DIGEST = xxhash.xxh3_128_digest(bytes(DIGEST_BLOCK_BYTES))


def to_us(moment: datetime) -> int:
    """Return UTC microseconds; ``moment`` must be aware."""
    return (moment - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """Return the aware time of UTC microseconds."""
    return EPOCH + timedelta(microseconds=us)


def maybe_us(moment: datetime | None) -> int | None:
    """Return UTC microseconds, or None for an unknown time."""
    return None if moment is None else to_us(moment)


def maybe_time(us: int | None) -> datetime | None:
    """Return the aware time, or None where it is unknown."""
    return None if us is None else from_us(us)


class Times:
    """The times of many rows, each made once: all that one scan saw, it saw at the same time."""

    def __init__(self) -> None:
        self._known: dict[int, datetime] = {}

    def at(self, us: int) -> datetime:
        """Return what `from_us` does."""
        known = self._known.get(us)
        if known is None:
            known = self._known[us] = from_us(us)
        return known

    def maybe(self, us: int | None) -> datetime | None:
        """Return what `maybe_time` does."""
        return None if us is None else self.at(us)


def to_zoned(moment: datetime | None) -> tuple[int | None, str | None]:
    """Return microseconds and ``utc``, or ``local`` for a time whose zone nobody wrote down."""
    if moment is None:
        return None, None
    if moment.tzinfo is None:
        return (moment - LOCAL_EPOCH) // MICROSECOND, "local"
    return to_us(moment), "utc"


def from_zoned(us: int | None, zone: str | None) -> datetime | None:
    """Return the time as it was: aware in UTC, or without a zone."""
    if us is None:
        return None
    return from_us(us) if zone == "utc" else LOCAL_EPOCH + timedelta(microseconds=us)


def to_whole(number: int | None) -> int | None:
    """Return a number SQLite can hold: a damaged field may claim more bytes than 64 bits count."""
    if number is None or -INT64_MAX <= number <= INT64_MAX:
        return number
    return INT64_MAX if number > 0 else -INT64_MAX


def to_signed(number: int) -> int:
    """Return an unsigned 64-bit number (an inode) as the signed one with the same bits."""
    return number - (1 << 64) if number > INT64_MAX else number


def stamp_columns(stamps: Stamps) -> tuple[int | None, ...]:
    """Return size, mtime_ns, ctime_ns, inode, allocated_bytes as columns."""
    return (
        to_whole(stamps.size),
        to_whole(stamps.mtime_ns),
        to_whole(stamps.ctime_ns),
        to_signed(stamps.inode),
        to_whole(stamps.allocated_bytes),
    )


def from_stamp_columns(row: Sequence[int]) -> Stamps:
    """Return the stamps of five columns."""
    size, mtime_ns, ctime_ns, inode, allocated_bytes = row
    return Stamps(size, mtime_ns, ctime_ns, inode % (1 << 64), allocated_bytes)


def to_text(text: str) -> str:
    """Return text that UTF-8 and every reader of SQLite can hold; `from_text` undoes it."""
    if text.isascii() and "\0" not in text:
        return text
    return UNWRITABLE.sub(lambda found: f"{ESCAPE}{ord(found[0]):04x}", text)


def from_text(text: str) -> str:
    """Return the text as it was."""
    if ESCAPE not in text:
        return text
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def maybe_text(text: str | None) -> str | None:
    """Return writable text, or None."""
    return None if text is None else to_text(text)


def maybe_from_text(text: str | None) -> str | None:
    """Return the text as it was, or None."""
    return None if text is None else from_text(text)


def to_json(value: object) -> str:
    """Return JSON; text inside it is escaped as `to_text` does where that is needed."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        encoded = b""
    if not encoded or ESCAPE.encode() in encoded or b"\\u0000" in encoded:
        encoded = msgspec.json.encode(_mapped(msgspec.to_builtins(value), to_text))
    return encoded.decode()


def from_json(text: str, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the value `to_json` was given, as the type of ``decoder``."""
    if ESCAPE not in text:
        return decoder.decode(text)
    # Any: the decoder knows its type, msgspec does not say it to type checkers.
    kind: Any = decoder.type
    plain = _mapped(msgspec.json.decode(text), from_text)
    converted: T = msgspec.convert(plain, kind, str_keys=True)
    return converted


def _mapped(value: Any, change: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Apply ``change`` to every text in plain JSON values."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(key, change): _mapped(entry, change) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(entry, change) for entry in value]
    return value


def pack(content: bytes) -> tuple[int, bytes]:
    """Return how the blob is packed, and the blob: compressed only where that is smaller."""
    if len(content) <= UNPACKED_BYTES:
        return RAW, content
    squeezed = zlib.compress(content, ZLIB_LEVEL)
    return (ZLIB, squeezed) if len(squeezed) < len(content) else (RAW, content)


def unpack(packing: int, blob: bytes) -> bytes:
    """Return the content of a packed blob."""
    return zlib.decompress(blob) if packing == ZLIB else blob


def table_bytes(columns: Columns) -> bytes:
    """Return a tally's table with the description of its columns, as NumPy's own NPY format."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, columns, allow_pickle=False)
    return buffer.getvalue()


def table_of(content: bytes) -> Columns:
    """Return the table of `table_bytes`."""
    table: Columns = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return table


def block_count(length: int) -> int:
    """Return how many digest blocks so many bytes have."""
    return -(-length // DIGEST_BLOCK_BYTES)


def zero_digests(length: int) -> bytes:
    """Return the digests of so many bytes of zeros."""
    whole, rest = divmod(length, DIGEST_BLOCK_BYTES)
    tail = xxhash.xxh3_128_digest(bytes(rest)) if rest else b""
    return ZERO_BLOCK_DIGEST * whole + tail


def spelled_out(digests: bytes, length: int) -> bytes:
    """Return one digest per block, also where none stand for zeros."""
    spelled = digests or zero_digests(length)
    assert len(spelled) == block_count(length) * DIGEST_BYTES
    return spelled
