"""Formats that are known and not read yet: named by content, so that nothing is passed over.

A file of one of them becomes an image that is *unproven: not supported yet*. What a probe says
must hold beside all others: rows are in order of precedence, and none claims a file whose own
marks show that another module of `formats` reads it.
"""

from formats.recognised import disks, streams, vendors, volumes, wrappers
from formats.recognised.row import begins, either, every, formats_of, stands

__all__ = ["FORMATS"]

# A fixed VHD is a raw disk with a footer behind it. [VHD] "Hard Disk Footer Format": 512 bytes,
# and 511 in files older than Virtual PC 2004. A VHDX that lost its signature is still known by its
# two headers ([MS-VHDX] 2.2).
_read_elsewhere = either(
    begins(b"QFI\xfb", b"vhdxfile", b"conectix", b"TAPE", b"MSSQLBAK"),
    stands(-512, b"conectix"),
    stands(-511, b"conectix"),
    every(stands(64 << 10, b"head"), stands(128 << 10, b"head")),
)

FORMATS = formats_of(
    (*vendors.FOOTED, *disks.ROWS, *vendors.ROWS, *streams.ROWS, *wrappers.ROWS, *volumes.ROWS),
    _read_elsewhere,
)
