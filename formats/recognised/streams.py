"""Streams and archives of open programs that are not read yet."""

from formats.core.model import Source, WriteModel
from formats.core.source import starts_with
from formats.recognised.row import Row, begins, every, piece, stands

POSTGRES_INCREMENTAL_MAGIC = (0xD3AE1F0D).to_bytes(4, "little")
POSTGRES_INCREMENTAL_HEADER_BYTES = 12
BACULA_BLOCK_HEADER_BYTES = 24


def _is_bacula(source: Source) -> bool:
    # Media format: checksum, block length, block number, then the magic; big-endian. Bacula 9
    # and Bareos write BB02; BB03 was only reported of newer ones.
    if not (starts_with(source, b"BB02", 12) or starts_with(source, b"BB03", 12)):
        return False
    block_bytes = int.from_bytes(piece(source, 4, 4), "big")
    return block_bytes >= BACULA_BLOCK_HEADER_BYTES


def _has_room_for_blocks(source: Source) -> bool:
    # Magic, block count, truncation length, then the numbers of the blocks.
    header = piece(source, 0, POSTGRES_INCREMENTAL_HEADER_BYTES)
    if len(header) < POSTGRES_INCREMENTAL_HEADER_BYTES:
        return False
    block_count = int.from_bytes(header[4:8], "little")
    return POSTGRES_INCREMENTAL_HEADER_BYTES + 4 * block_count <= source.size


ROWS = (
    Row(
        name="wim",
        title="Windows image (WIM, ESD, SWM)",
        suffixes=(".wim", ".esd", ".swm"),
        # The second one is wimlib's pipable variant.
        test=begins(b"MSWIM\x00\x00\x00", b"WLPWM\x00\x00\x00"),
        # Images are appended in place and the header is rewritten.
        write_model=WriteModel.REWRITTEN,
        reference="Microsoft, Windows Imaging File Format; wimlib, pipable WIM",
        seen="DISM, wimlib 1.13",
    ),
    Row(
        name="partclone",
        title="partclone image",
        suffixes=(".pcl", ".partclone"),
        test=begins(b"partclone-image\x00"),
        write_model=WriteModel.WRITE_ONCE,
        reference="partclone, image format 0001 and 0002",
        seen="partclone 0.3.23",
    ),
    Row(
        name="ntfsclone",
        title="ntfsclone image",
        suffixes=(".ntfsclone",),
        test=begins(b"\x00ntfsclone-image"),
        write_model=WriteModel.WRITE_ONCE,
        reference="ntfs-3g source, ntfsclone.c: image header",
        seen="ntfsclone of ntfs-3g",
    ),
    Row(
        name="fsarchiver",
        title="fsarchiver archive",
        suffixes=(".fsa", ".f01"),
        test=begins(b"FsA0"),
        write_model=WriteModel.WRITE_ONCE,
        reference="fsarchiver source, volume header",
        seen="fsarchiver 0.8, four volumes",
    ),
    Row(
        name="btrfs_send",
        title="btrfs send stream",
        suffixes=(".btrfs",),
        test=begins(b"btrfs-stream\x00"),
        write_model=WriteModel.WRITE_ONCE,
        reference="Linux, fs/btrfs/send.h: BTRFS_SEND_STREAM_MAGIC",
        seen="btrfs-progs, streams 1 and 2",
    ),
    Row(
        name="zfs_send",
        title="ZFS send stream",
        suffixes=(".zfs",),
        # Record type 0 (BEGIN), then the payload's length, then 0x2F5BACBAC in the writer's order.
        test=every(
            begins(bytes(4)),
            stands(8, (0x2F5BACBAC).to_bytes(8, "little"), (0x2F5BACBAC).to_bytes(8, "big")),
        ),
        write_model=WriteModel.WRITE_ONCE,
        reference="OpenZFS, sys/zfs_ioctl.h: DMU_BACKUP_MAGIC",
        seen="OpenZFS 2.3.9, zfs-fuse; little-endian only",
    ),
    Row(
        name="xbstream",
        title="MariaDB or Percona backup stream (xbstream)",
        suffixes=(".xb", ".xbstream"),
        test=begins(b"XBSTCK01"),
        write_model=WriteModel.WRITE_ONCE,
        reference="MariaDB source, extra/mariabackup/xbstream.h",
        seen="mariabackup 10.11",
    ),
    Row(
        name="postgres_manifest",
        title="PostgreSQL backup manifest",
        suffixes=(),
        test=begins(b'{ "PostgreSQL-Backup-Manifest-Version"'),
        write_model=WriteModel.WRITE_ONCE,
        reference="PostgreSQL documentation, Backup Manifest Format",
        seen="PostgreSQL 18",
    ),
    Row(
        name="postgres_incremental",
        title="PostgreSQL incremental file",
        suffixes=(),
        test=every(begins(POSTGRES_INCREMENTAL_MAGIC), _has_room_for_blocks),
        write_model=WriteModel.WRITE_ONCE,
        reference="PostgreSQL source, backup/basebackup_incremental.h: INCREMENTAL_MAGIC",
        seen="PostgreSQL 18",
    ),
    Row(
        name="rbd",
        title="Ceph RBD export",
        suffixes=(".rbd",),
        test=begins(b"rbd diff v1\n", b"rbd diff v2\n", b"rbd image v2\n"),
        write_model=WriteModel.WRITE_ONCE,
        reference="Ceph documentation, RBD Incremental Backup (dev/rbd-diff, dev/rbd-export)",
    ),
    Row(
        name="bacula",
        title="Bacula or Bareos volume",
        suffixes=(),
        test=_is_bacula,
        # Jobs are appended, and a volume is relabelled when it is recycled.
        write_model=WriteModel.REWRITTEN,
        reference="Bacula developer's guide, Storage Media Output Format",
        seen="Bacula 9.6",
    ),
)
