"""The decoder of `formats.core.xpress`, compiled: importable only where numba is installed."""

from typing import cast

import numba
from numba import types
from numba.extending import register_jitable

from formats.core import xpress

STORED = types.Array(types.uint8, 1, "C", readonly=True)
PLAIN = types.Array(types.uint8, 1, "C")
SCRATCH = types.Array(types.int32, 1, "C")
NUMBER = types.int64

for part in (
    xpress.prepare,
    xpress.follow,
    xpress.fill_fast,
    xpress.long_entry,
    xpress.word_at,
    xpress.long_length,
    xpress.repeat,
):
    register_jitable(part)

# One signature, so that it is compiled once, here, and not while threads wait. No cache on disk:
# beside the source it may not be writable, and then numba refuses to compile at all.
SIGNATURE = NUMBER(STORED, NUMBER, NUMBER, PLAIN, NUMBER, NUMBER, types.boolean, SCRATCH)
decode = cast("xpress.NativeDecode", numba.njit(SIGNATURE, nogil=True)(xpress.decode))
