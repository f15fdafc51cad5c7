"""What RESTORE HEADERONLY, FILELISTONLY and LABELONLY would show, under Microsoft's names."""

from collections.abc import Mapping
from datetime import datetime

from formats.core.model import Kind
from formats.mtf.structures import SetBody, VolumeBody, date_at, text_at, zoned
from formats.mtf.walk import Block
from formats.sqlserver_bak import sets
from formats.sqlserver_bak.collations import collation_name
from formats.sqlserver_bak.lsn import lsn_at
from formats.sqlserver_bak.media import VENDOR_ID
from formats.sqlserver_bak.records import (
    COMPRESSED_SIZE_END,
    COMPRESSED_SIZE_OFFSET,
    KIND_DATA,
    KIND_LOG,
    Config,
    FileRecord,
    GroupRecord,
    Record,
    SetRecord,
    guid_text,
)
from formats.sqlserver_bak.sets import Chunk

SET_GUID_OFFSET = 100
SET_GUID_BYTES = 16

# msdb.dbo.backupset.type and RESTORE HEADERONLY, BackupType and BackupTypeDescription.
TYPES: Mapping[str, tuple[int, str, Kind]] = {
    "D": (1, "Database", Kind.FULL),
    "L": (2, "Transaction Log", Kind.LOG),
    "F": (4, "File", Kind.FULL),
    "I": (5, "Database Differential", Kind.DIFFERENTIAL),
    "G": (6, "File Differential", Kind.DIFFERENTIAL),
    "P": (7, "Partial", Kind.FULL),
    "Q": (8, "Partial Differential", Kind.DIFFERENTIAL),
}

# RESTORE HEADERONLY, Flags; the last two are seen, in copy-only and differential backups.
FLAGS: Mapping[str, int] = {
    "HasBulkLoggedData": 1,
    "IsSnapshot": 2,
    "IsReadOnly": 4,
    "IsSingleUser": 8,
    "HasBackupChecksums": 16,
    "IsDamaged": 32,
    "HasIncompleteMetaData": 128,
    "IsForceOffline": 256,
    "IsCopyOnly": 1024,
}
# Microsoft Learn, sys.sysdatabases, status: 4 "select into/bulkcopy" and 8 "trunc. log on chkpt",
# both set by ALTER DATABASE SET RECOVERY; the second alone, or both, is the simple model.
# Seen: this number of the set is dbi_status of the boot page (at its offset 132) in all of 170
# full backups of SQL Server 2005 to 2025, but for the bit "cleanly shutdown"; 16, "torn page
# detection", stands in just those whose pages have it; no one of 50 log backups has 8 or 4.
STATUS_BULK_LOGGED = 4
STATUS_SIMPLE = 8
LETTER_LOG = b"L"
LETTER_FULL = b"D"
FILE_TYPES: Mapping[int, str] = {KIND_DATA: "D", KIND_LOG: "L"}


def set_guid(chunk: Chunk) -> str | None:
    """Return BackupSetGUID, which stands behind the fields of [MTF] in the start of a set."""
    start = chunk.first(sets.SET)
    end = SET_GUID_OFFSET + SET_GUID_BYTES
    if start is None or len(start.body) < end:
        return None
    return guid_text(start.body[SET_GUID_OFFSET:end])


def set_facts(chunk: Chunk) -> dict[str, object]:
    """Return what a set's own blocks say."""
    facts: dict[str, object] = {"BackupSetGUID": set_guid(chunk)}
    start, volume = chunk.first(sets.SET), chunk.first(sets.VOLUME)
    if start is not None and len(start.body) >= SetBody.size:
        body = SetBody.parse(start.body)
        facts |= {
            "BackupName": block_text(start, body.name),
            "BackupDescription": block_text(start, body.description),
            "UserName": block_text(start, body.user_name),
            "Position": body.set_number,
            "SoftwareVendorId": VENDOR_ID,
        }
    if volume is not None and len(volume.body) >= VolumeBody.size:
        names = VolumeBody.parse(volume.body)
        facts |= {
            "MachineName": block_text(volume, names.machine_name),
            "DeviceName": block_text(volume, names.device_name),
            "VolumeName": block_text(volume, names.volume_name),
        }
    return facts


def block_text(block: Block, address: bytes) -> str | None:
    """Return a block's text, None where it is empty or lies outside."""
    return text_at(block.body, address, block.header.string_type) or None


def config_facts(config: Config, time_zone: int | None, *, final: bool) -> dict[str, object]:
    """Return the configuration's fields; sizes are forecasts until ``final``."""
    head, record = config.set, config.head
    letter = head.letter.decode("latin-1")
    number, description, _kind = TYPES.get(letter, (None, None, None))
    return {
        "BackupType": number,
        "BackupTypeDescription": description,
        "BackupTypeLetter": letter if letter.isascii() and letter.isprintable() else None,
        "Compressed": 0,
        "DatabaseName": record.text(head.database_name),
        "ServerName": record.text(head.server_name),
        "DatabaseVersion": head.database_version,
        "CompatibilityLevel": head.compatibility_level,
        "SoftwareVersionMajor": head.software_major,
        "SoftwareVersionMinor": head.software_minor,
        "SoftwareVersionBuild": head.software_build,
        "DatabaseCreationDate": iso(head.creation_date, time_zone),
        "BackupStartDate": iso(head.start_date, time_zone),
        "BackupFinishDate": iso(head.finish_date, time_zone),
        "BackupSize" if final else "BackupSizeForecast": head.backup_size,
        "CompressedBackupSize": compressed_size(record) if final else None,
        "SortOrder": head.sort_order,
        "UnicodeLocaleId": head.unicode_locale_id,
        "UnicodeComparisonStyle": head.unicode_comparison_style,
        "Collation": collation_name(head.collation, head.unicode_comparison_style),
        "RecoveryModel": recovery_model(head.database_status),
        "BeginsLogChain": begins_log_chain(head),
        "Flags": head.flags,
        **{name: bool(head.flags & bit) for name, bit in FLAGS.items()},
        **lsn_facts(head),
        **guid_facts(head),
    }


def recovery_model(status: int) -> str:
    """Return the recovery model as HEADERONLY names it. No set in BULK-LOGGED was seen."""
    if status & STATUS_SIMPLE:
        return "SIMPLE"
    return "BULK-LOGGED" if status & STATUS_BULK_LOGGED else "FULL"


def begins_log_chain(head: SetRecord) -> bool:
    """Whether a log backup is the first of its chain; HEADERONLY says no of all other sets.

    Seen in 50 log backups: every set of a chain repeats where the chain began, and only the first
    log begins there. Zero in databases that were never in another model than the simple one.
    """
    return head.letter == LETTER_LOG and head.log_chain_lsn == head.first_lsn


def file_list(config: Config) -> list[dict[str, object]]:
    """Return the rows of RESTORE FILELISTONLY."""
    return [file_facts(config, record, entry) for record, entry in config.files]


def lsn_facts(head: SetRecord) -> dict[str, object]:
    """Return the log sequence numbers in decimal."""
    return {
        "FirstLSN": lsn_at(head.first_lsn).decimal,
        "LastLSN": lsn_at(head.last_lsn).decimal,
        "CheckpointLSN": lsn_at(head.checkpoint_lsn).decimal,
        "DatabaseBackupLSN": lsn_at(head.database_backup_lsn).decimal,
        "DifferentialBaseLSN": lsn_at(head.differential_base_lsn).decimal,
        "ForkPointLSN": lsn_at(head.fork_point_lsn).decimal,
    }


def guid_facts(head: SetRecord) -> dict[str, object]:
    """Return the identities."""
    return {
        "BindingID": guid_text(head.binding_id),
        "FamilyGUID": guid_text(head.family_guid),
        "RecoveryForkID": guid_text(head.recovery_fork_id),
        "FirstRecoveryForkID": guid_text(head.first_recovery_fork_id),
        "DifferentialBaseGUID": guid_text(head.differential_base_guid),
        "PreviousFullGUID": guid_text(head.previous_full_guid),
    }


def file_facts(config: Config, record: Record, entry: FileRecord) -> dict[str, object]:
    """Return one row of RESTORE FILELISTONLY."""
    return {
        "LogicalName": record.text(entry.logical_name),
        "PhysicalName": record.text(entry.physical_name),
        "Type": FILE_TYPES.get(entry.kind),
        "FileGroupName": group_name(config, entry.group_id) if entry.group_id else None,
        "Size": entry.size_bytes,
        "MaxSize": entry.max_bytes,
        "FileId": entry.file_id,
        "UniqueId": guid_text(entry.unique_id),
        "BackupSizeInBytes": entry.backup_bytes,
        "FileGroupId": entry.group_id,
        "SourceBlockSize": entry.sector_bytes,
        **differential_base(config.set, entry),
    }


def differential_base(head: SetRecord, entry: FileRecord) -> dict[str, object]:
    """Return what a differential of the file would be against before this set was taken.

    Seen: FILELISTONLY prints it of fulls too, where its documentation says NULL.
    """
    own = head.letter == LETTER_FULL and entry.differential_base_lsn == head.checkpoint_lsn
    return {
        "DifferentialBaseLSN": None if own else lsn_at(entry.differential_base_lsn).decimal,
        "DifferentialBaseGUID": None if own else guid_text(entry.differential_base_guid),
    }


def group_name(config: Config, group_id: int) -> str | None:
    """Return a filegroup's name."""
    groups: tuple[tuple[Record, GroupRecord], ...] = config.groups
    return next((item.text(body.name) for item, body in groups if body.ordinal == group_id), None)


def compressed_size(record: Record) -> int | None:
    """Return CompressedBackupSize; SQL Server 2005 had none."""
    stored = record.content[COMPRESSED_SIZE_OFFSET:COMPRESSED_SIZE_END]
    name_offset = int.from_bytes(record.content[106:108], "little")
    if (
        len(stored) < COMPRESSED_SIZE_END - COMPRESSED_SIZE_OFFSET
        or name_offset < COMPRESSED_SIZE_END
    ):
        return None
    return int.from_bytes(stored, "little")


def moment(stored: bytes, time_zone: int | None) -> datetime | None:
    """Return a date with the server's zone, if that is known."""
    when = date_at(stored)
    return when if time_zone is None else zoned(when, time_zone)


def iso(stored: bytes, time_zone: int | None) -> str | None:
    """Return a date as ISO 8601 text."""
    when = moment(stored, time_zone)
    return when.isoformat() if when else None
