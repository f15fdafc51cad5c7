"""Every limit and default of the program, with its name. Sizes are bytes, times seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from pathlib import PurePath

MIB = 1 << 20

DIGEST_BLOCK_BYTES = MIB
"""The baseline has one digest per block of this size."""

DIGEST_BYTES = 16
"""XXH3-128."""

UNIT_BYTES = 64 * MIB
"""One unit of work: read, checked and recorded as a whole, repeated as a whole after a kill."""

WINDOW_BYTES = 2 * MIB
"""One read. Memory is workers x (window + carry) plus a small constant."""

CARRY_BYTES_MAX = MIB
"""The longest element a format's kernel may ask for in one piece."""

SPAN_BYTES = 64 * 1024 * MIB
"""Units are planned for this much of a file at a time, so a plan stays small."""

EXTENTS_PER_SPAN_MAX = 8_000_000
"""More extents than this in one span is hostile: 64 GiB of 16 KiB blocks have half as many."""

EVIDENCE_PER_CHECK_MAX = 200
"""Bad extents kept one by one, per image and check; beyond that they are counted."""

CONFIRM_BLOCKS_MAX = 256
"""Blocks read again before bad evidence is believed, per file."""

PROBE_EDGE_BYTES = 128 * 1024
"""Read once at both ends of a file to tell its format."""

SMALL_FILE_BYTES_MAX = PROBE_EDGE_BYTES
"""A file no larger is read in one go when it is opened, and looked at in memory."""

FINE_READ_BYTES = 4096
"""A failed read is retried in pieces of this size, so that a bad sector costs one piece."""

QUEUE_RESULTS_MAX = 64
"""Results waiting to be recorded; a full queue blocks the readers."""

FILES_MAX = 20_000_000
"""A survey that finds more files than this stops with an error."""

DIRECTORY_DEPTH_MAX = 256
"""Folders nested deeper than this are reported and not entered."""

SETTLE = timedelta(minutes=15)
"""An unfinished file whose stamps are younger than this is being written, not broken."""

MAX_PROOF_AGE = timedelta(days=30)
"""Unchanged stamps postpone the next read of a file up to this long."""

PLAIN_PROGRESS_SECONDS = 60.0
"""Between two lines of progress when standard error is no terminal."""

SCAN_AGE_MAX = timedelta(days=3)
"""Without any scan for this long, the scanner itself may have died: a weekend is shorter."""

CRAMPED_BYTES_MAX = 64 * MIB
CRAMPED_SHARE_MAX = 0.01
"""With no more than this left, and no more than this share of it all, a writer has no room."""

CRAMPED_APART = timedelta(minutes=2)
"""Writers side by side find within this time that no room is left."""

EXCLUDES = (".snapshot", ".zfs", "@eaDir", "#recycle", "lost+found")
"""Names never entered: snapshots of the same files, indexes of the NAS, wastebaskets."""

SQL_FULL_AGE_MAX = timedelta(days=35)
"""A database whose last full backup is older than this is warned of: a month, and some days."""

SQL_LOG_AGE_MAX = timedelta(days=1)
"""How long the first log backup after a full one is waited for, in the full recovery model."""

SQL_RETIRED_AGE = timedelta(days=90)
"""A database without any backup for this long is taken to be retired: it is mentioned, no more."""

SQL_DATABASE_VERSION_MAX = 998
"""The newest database version in the backups this was tested with: SQL Server 2025."""

SQL_STORED_SHARE_MIN = 0.5
"""A finished backup that stores less than this share of what its file list counts is suspicious."""

DATABASE_AGE_MAX = timedelta(days=7)
"""How old the newest database backup of a machine may be that has image backups too."""

USUAL_MIN = 5
"""So many earlier backups of a kind tell what is usual of it; with fewer it is being learned."""

USUAL_WINDOW = 60
"""Only so many of the newest earlier backups tell it, so that what was long ago is forgotten."""

USUAL_SPAN = timedelta(days=8)
"""How long increments and logs are watched before one is unusual: no two weekdays are alike."""

CONFIG_BYTES_MAX = 1 << 20
"""A configuration larger than this is none."""

RATE_SMOOTHING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What one scan is told. ``jobs`` None means one reader per core, one per spinning disk.

    ``excludes_below`` are further excludes, by the folder in which they hold.
    """

    jobs: int | None = None
    excludes: tuple[str, ...] = EXCLUDES
    reread: bool = False
    max_proof_age: timedelta = MAX_PROOF_AGE
    settle: timedelta = SETTLE
    window_bytes: int = WINDOW_BYTES
    unit_bytes: int = UNIT_BYTES
    excludes_below: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def excludes_of(self, folder: PurePath) -> tuple[str, ...]:
        """Return what is left out in a folder, or wherever a file lies."""
        below = (
            excludes
            for place, excludes in self.excludes_below.items()
            if folder.is_relative_to(place)
        )
        return (*self.excludes, *chain.from_iterable(below))
