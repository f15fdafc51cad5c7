"""What ``RESTORE HEADERONLY``, ``FILELISTONLY`` and ``LABELONLY`` print, from a backup's facts.

Column names and their order are those of Microsoft Learn, of SQL Server 2022, in the spelling a
server prints (``MirrorCount``, ``SnapshotUrl``). What a backup does not say, or is not known to,
is NULL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from scanner.judge.sqlserver.lsn import lsn

Cell: TypeAlias = str | int | None
Facts: TypeAlias = Mapping[str, object]

HEADER_COLUMNS = (
    "BackupName",
    "BackupDescription",
    "BackupType",
    "ExpirationDate",
    "Compressed",
    "Position",
    "DeviceType",
    "UserName",
    "ServerName",
    "DatabaseName",
    "DatabaseVersion",
    "DatabaseCreationDate",
    "BackupSize",
    "FirstLSN",
    "LastLSN",
    "CheckpointLSN",
    "DatabaseBackupLSN",
    "BackupStartDate",
    "BackupFinishDate",
    "SortOrder",
    "CodePage",
    "UnicodeLocaleId",
    "UnicodeComparisonStyle",
    "CompatibilityLevel",
    "SoftwareVendorId",
    "SoftwareVersionMajor",
    "SoftwareVersionMinor",
    "SoftwareVersionBuild",
    "MachineName",
    "Flags",
    "BindingID",
    "RecoveryForkID",
    "Collation",
    "FamilyGUID",
    "HasBulkLoggedData",
    "IsSnapshot",
    "IsReadOnly",
    "IsSingleUser",
    "HasBackupChecksums",
    "IsDamaged",
    "BeginsLogChain",
    "HasIncompleteMetaData",
    "IsForceOffline",
    "IsCopyOnly",
    "FirstRecoveryForkID",
    "ForkPointLSN",
    "RecoveryModel",
    "DifferentialBaseLSN",
    "DifferentialBaseGUID",
    "BackupTypeDescription",
    "BackupSetGUID",
    "CompressedBackupSize",
    "Containment",
    "KeyAlgorithm",
    "EncryptorThumbprint",
    "EncryptorType",
    "LastValidRestoreTime",
    "TimeZone",
    "CompressionAlgorithm",
)
FILE_COLUMNS = (
    "LogicalName",
    "PhysicalName",
    "Type",
    "FileGroupName",
    "Size",
    "MaxSize",
    "FileId",
    "CreateLSN",
    "DropLSN",
    "UniqueId",
    "ReadOnlyLSN",
    "ReadWriteLSN",
    "BackupSizeInBytes",
    "SourceBlockSize",
    "FileGroupId",
    "LogGroupGUID",
    "DifferentialBaseLSN",
    "DifferentialBaseGUID",
    "IsReadOnly",
    "IsPresent",
    "TDEThumbprint",
    "SnapshotUrl",
)
LABEL_COLUMNS = (
    "MediaName",
    "MediaSetId",
    "FamilyCount",
    "FamilySequenceNumber",
    "MediaFamilyId",
    "MediaSequenceNumber",
    "MediaLabelPresent",
    "MediaDescription",
    "SoftwareName",
    "SoftwareVendorId",
    "MediaDate",
    "MirrorCount",
    "IsCompressed",
)
DATES = frozenset(
    {
        "BackupFinishDate",
        "BackupStartDate",
        "DatabaseCreationDate",
        "ExpirationDate",
        "LastValidRestoreTime",
        "MediaDate",
    }
)


@dataclass(frozen=True, slots=True)
class Rows:
    """A result set: ``noun`` is what one row is about, ``rows`` are as long as ``columns``."""

    noun: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def headers(sets: Sequence[Facts]) -> Rows:
    """Return one row per backup set, as ``RESTORE HEADERONLY`` does."""
    rows = (row(HEADER_COLUMNS, facts | header_changes(facts)) for facts in map(dict, sets))
    return Rows("backup set", HEADER_COLUMNS, tuple(rows))


def header_changes(facts: Facts) -> dict[str, object]:
    """Return the columns a server derives from what is stored.

    Seen: a set remembers the database's last recovery fork for ever, and a server prints it only
    for a log in which the fork lies; a database that never had a full backup shows LSN 0.
    """
    changes: dict[str, object] = {}
    point, first, last = (lsn(facts, name) for name in ("ForkPointLSN", "FirstLSN", "LastLSN"))
    inside = point is not None and first is not None and last is not None and first <= point <= last
    if not (inside and facts.get("BackupTypeLetter") == "L"):
        changes["FirstRecoveryForkID"] = facts.get("RecoveryForkID")
        changes["ForkPointLSN"] = None
    if "DatabaseBackupLSN" in facts and facts["DatabaseBackupLSN"] is None:
        changes["DatabaseBackupLSN"] = "0"
    return changes


def files(facts: Facts) -> Rows:
    """Return one row per database file of a backup set, as ``RESTORE FILELISTONLY`` does."""
    listed = facts.get("FileList")
    entries = listed if isinstance(listed, list | tuple) else ()
    rows = (row(FILE_COLUMNS, entry) for entry in entries if isinstance(entry, Mapping))
    return Rows("file", FILE_COLUMNS, tuple(rows))


def label(facts: Facts) -> Rows:
    """Return the one row of ``RESTORE LABELONLY``."""
    changes: dict[str, object] = {}
    if facts.get("IsCompressed") is None:
        changes["IsCompressed"] = facts.get("Compressed")
    number = facts.get("MediaFamilyId")
    if isinstance(number, int):
        # Seen: four bytes, printed as the beginning of a GUID that is otherwise zero.
        changes["MediaFamilyId"] = f"{number:08X}-0000-0000-0000-000000000000"
    return Rows("medium", LABEL_COLUMNS, (row(LABEL_COLUMNS, {**facts, **changes}),))


def row(columns: Sequence[str], facts: Facts) -> tuple[Cell, ...]:
    """Return the cells of one row."""
    return tuple(cell(name, facts.get(name)) for name in columns)


def cell(name: str, value: object) -> Cell:
    """Return one value as a server prints it: bits as 0 and 1, dates without their zone."""
    match value:
        case None:
            return None
        case bool() | int():
            return int(value)
        case str() if name in DATES:
            return date(value)
        case _:
            return str(value)


def date(stored: str) -> str:
    """Return a time of the server as type ``datetime`` is printed."""
    try:
        when = datetime.fromisoformat(stored)
    except ValueError:
        return stored
    return when.strftime("%Y-%m-%d %H:%M:%S.") + f"{when.microsecond // 1000:03}"
