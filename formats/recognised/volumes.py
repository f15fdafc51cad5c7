"""Raw disks and volumes: no header of their own, so they are known by what they hold.

A boot sector's mark 55 AA proves little; every test asks for fields that fit together.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from formats.core.layout import Layout, raw, u8, u16, u32
from formats.core.model import Source, WriteModel
from formats.core.source import starts_with
from formats.recognised.row import Row, Test, begins, every, piece, stands

SECTOR_BYTES = 512
SECTOR_BYTES_ALLOWED = frozenset({512, 1024, 2048, 4096})
BOOT_MARK = b"\x55\xaa"
LVM_LABEL_SECTORS = 4
EXT_SUPERBLOCK_OFFSET = 1024
EXT_MAGIC = 0xEF53
EXT_REVISION_MAX = 1
EXT_BLOCK_SHIFT_MAX = 6
XFS_BLOCK_BYTES_MAX = 65_536
BTRFS_MAGIC_OFFSET = 65_536 + 64
ISO_9660_OFFSET = 32_769

_has_boot_mark = stands(510, BOOT_MARK)


class MasterBootRecord(Layout, size=512, order="<"):
    """The partition table of a disk (UEFI 2.10, 5.2.1, "Legacy Master Boot Record")."""

    partitions = raw(446, 64)


class PartitionEntry(Layout, size=16, order="<"):
    """One of its four entries (UEFI 2.10, table 5-2); sectors are counted from 0."""

    boot_indicator = u8(0)
    os_type = u8(4)
    starting_lba = u32(8)
    size_in_lba = u32(12)


class FatBootSector(Layout, size=512, order="<"):
    """Start of a FAT volume (Microsoft FAT specification of 2000, "BPB")."""

    jump = raw(0, 3)
    bytes_per_sector = u16(11)
    sectors_per_cluster = u8(13)
    reserved_sector_count = u16(14)
    fat_count = u8(16)
    type_fat16 = raw(54, 8)
    type_fat32 = raw(82, 8)


class ExtSuperblock(Layout, size=1024, order="<"):
    """The first superblock of ext2, ext3 or ext4 (Linux, Documentation/filesystems/ext4)."""

    inodes_count = u32(0)
    blocks_count = u32(4)
    log_block_size = u32(24)
    inodes_per_group = u32(40)
    magic = u16(56)
    revision = u32(76)


Ranges: TypeAlias = list[tuple[int, int]]


def _is_raw_disk(source: Source) -> bool:
    sector = piece(source, 0, MasterBootRecord.size)
    if len(sector) < MasterBootRecord.size or not sector.endswith(BOOT_MARK):
        return False
    # ISO 9660 images for USB sticks carry a partition table too, and are no backup of a disk.
    if starts_with(source, b"CD001", ISO_9660_OFFSET):
        return False
    table = MasterBootRecord.parse(sector).partitions
    entries = [PartitionEntry.parse(table, index * PartitionEntry.size) for index in range(4)]
    used = _partitions(entries)
    # A file that ends before its first partition is a saved boot sector.
    return bool(used) and _disjoint(used) and source.size > used[0][0] * SECTOR_BYTES


def _partitions(entries: Sequence[PartitionEntry]) -> Ranges:
    """Return the sector ranges of all partitions, sorted; none where an entry makes no sense."""
    for entry in entries:
        empty = entry.os_type == 0
        if entry.boot_indicator not in (0x00, 0x80) or empty != (entry.size_in_lba == 0):
            return []
    used = [entry for entry in entries if entry.os_type]
    if any(entry.starting_lba == 0 for entry in used):
        return []
    return sorted((entry.starting_lba, entry.starting_lba + entry.size_in_lba) for entry in used)


def _disjoint(ranges: Ranges) -> bool:
    return all(first[1] <= second[0] for first, second in pairwise(ranges))


def _is_fat(source: Source) -> bool:
    sector = piece(source, 0, FatBootSector.size)
    if len(sector) < FatBootSector.size or not sector.endswith(BOOT_MARK):
        return False
    boot = FatBootSector.parse(sector)
    jumps = boot.jump[:1] == b"\xe9" or (boot.jump[:1] == b"\xeb" and boot.jump[2:] == b"\x90")
    power_of_two = boot.sectors_per_cluster.bit_count() == 1
    # The specification calls the type a mere label; all of mkfs.fat's and Windows' carry it.
    labelled = boot.type_fat32 == b"FAT32   " or boot.type_fat16 in (b"FAT12   ", b"FAT16   ")
    plausible = boot.bytes_per_sector in SECTOR_BYTES_ALLOWED and boot.fat_count in (1, 2)
    return jumps and power_of_two and labelled and plausible and boot.reserved_sector_count > 0


def _is_ext(source: Source) -> bool:
    block = piece(source, EXT_SUPERBLOCK_OFFSET, ExtSuperblock.size)
    if len(block) < ExtSuperblock.size:
        return False
    superblock = ExtSuperblock.parse(block)
    return (
        superblock.magic == EXT_MAGIC
        and superblock.revision <= EXT_REVISION_MAX
        and superblock.log_block_size <= EXT_BLOCK_SHIFT_MAX
        and 0 < superblock.inodes_per_group <= superblock.inodes_count
        and superblock.blocks_count > 0
    )


def _is_xfs(source: Source) -> bool:
    head = piece(source, 0, 8)
    block_bytes = int.from_bytes(head[4:], "big")
    power_of_two = block_bytes.bit_count() == 1
    in_range = SECTOR_BYTES <= block_bytes <= XFS_BLOCK_BYTES_MAX
    return head.startswith(b"XFSB") and power_of_two and in_range


def _is_lvm(source: Source) -> bool:
    # The label may stand in any of the first four sectors; its type is 24 bytes in.
    head = piece(source, 0, LVM_LABEL_SECTORS * SECTOR_BYTES)
    return any(
        head.startswith(b"LABELONE", start) and head.startswith(b"LVM2 001", start + 24)
        for start in range(0, len(head), SECTOR_BYTES)
    )


def _raw(name: str, title: str, test: Test, reference: str, seen: str = "") -> Row:
    return Row(
        name=name,
        title=title,
        suffixes=(".img", ".raw", ".dd"),
        test=test,
        write_model=WriteModel.REWRITTEN,
        reference=reference,
        seen=seen,
    )


# What a file system wrote stands before the partition table: its boot sector may hold one by
# accident, as code. FAT is asked late, for other file systems leave its old boot sector in place.
ROWS = (
    _raw(
        "luks_volume",
        "LUKS encrypted volume",
        begins(b"LUKS\xba\xbe\x00\x01", b"LUKS\xba\xbe\x00\x02"),
        "LUKS1 On-Disk Format 1.2.3; LUKS2 On-Disk Format 1.1.1",
    ),
    _raw(
        "xfs_volume",
        "XFS file system",
        every(begins(b"XFSB"), _is_xfs),
        "XFS Algorithms & Data Structures, Superblocks",
        "mkfs.xfs",
    ),
    _raw(
        "ntfs_volume",
        "NTFS file system",
        every(stands(3, b"NTFS    "), _has_boot_mark),
        "ntfs-3g source, layout.h: boot sector",
        "mkfs.ntfs",
    ),
    _raw(
        "exfat_volume",
        "exFAT file system",
        every(stands(3, b"EXFAT   "), _has_boot_mark),
        "Microsoft, exFAT file system specification, 3.1",
        "mkfs.exfat",
    ),
    _raw("lvm_volume", "LVM physical volume", _is_lvm, "LVM2 source, lib/label/label.h"),
    _raw(
        "btrfs_volume",
        "btrfs file system",
        stands(BTRFS_MAGIC_OFFSET, b"_BHRfS_M"),
        "btrfs documentation, On-disk Format, Superblock",
        "mkfs.btrfs",
    ),
    _raw(
        "ext_volume",
        "ext2, ext3 or ext4 file system",
        _is_ext,
        "Linux, Documentation/filesystems/ext4, Super Block",
        "mkfs.ext4",
    ),
    _raw(
        "fat_volume",
        "FAT file system",
        every(begins(b"\xe9", b"\xeb"), _is_fat),
        "Microsoft, FAT General Overview 1.03, Boot Sector and BPB",
        "mkfs.fat (FAT32)",
    ),
    _raw(
        "raw_disk",
        "raw disk image",
        _is_raw_disk,
        "UEFI 2.10, 5.2 (MBR) and 5.3 (GPT, behind a protective MBR)",
        "sfdisk, qemu-img",
    ),
)
