"""What `inspect` hands on to the later steps: small, plain, and it pickles."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from formats.sqlserver_bak.lsn import Lsn

Ranges = npt.NDArray[np.int64]
"""Offsets and lengths, one row each, sorted by offset."""


@dataclass(frozen=True, slots=True)
class DataStream:
    """Pages of one MQDA stream. ``copy`` counts the MSDA blocks of its set from 0."""

    offset: int
    length: int
    available: int
    copy: int
    csum: int | None = None


@dataclass(frozen=True, slots=True)
class LogStream:
    """Log blocks of one MQTL stream; ``saved`` bytes are log, the rest of ``length`` is zeros.

    ``sequence`` is the virtual log file's number, ``block`` the number of the first block.
    """

    offset: int
    length: int
    available: int
    saved: int
    sequence: int
    block: int
    csum: int | None = None


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the database: its id, size, and pages stored by each MSDA copy, where known."""

    file_id: int
    size_bytes: int
    pages: int
    pages_again: int | None


@dataclass(frozen=True, slots=True)
class SetState:
    """One backup set on one medium.

    ``log_ranges`` are the virtual log files of which something is saved, by number, each with the
    offset of its block: on stripes the log itself may stand in another file. ``first_lsn`` is where
    the log of the first copy of the pages begins, ``first_lsn_again`` that of later copies.
    """

    pads: Ranges
    slack: Ranges
    data: tuple[DataStream, ...] = ()
    logs: tuple[LogStream, ...] = ()
    files: tuple[DataFile, ...] = ()
    log_ranges: tuple[tuple[int, int], ...] = ()
    letter: str = ""
    first_lsn: Lsn | None = None
    first_lsn_again: Lsn | None = None
    database_name: str | None = None
    database_version: int | None = None
    set_guid: str | None = None
    family_count: int = 1
    family_number: int = 1
    spanned_bytes: int | None = None
    backup_size: int | None = None
    backup_size_offset: int | None = None
    cut: bool = False
