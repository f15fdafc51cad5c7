"""The smallest files that are recognised as each format: heads (and feet) written by hand.

They prove that a probe looks where it should; none is a real sample.
"""

import struct
from collections.abc import Mapping, Sequence

FILE_BYTES = 128 * 1024


def file_of(*parts: tuple[int, bytes], size: int = FILE_BYTES) -> bytes:
    """Return zeros with ``parts`` written over them; a negative offset counts from the end."""
    content = bytearray(size)
    for offset, part in parts:
        start = offset if offset >= 0 else size + offset
        content[start : start + len(part)] = part
    assert len(content) == size
    return bytes(content)


def tar_header(*, sum_error: int = 0) -> bytes:
    """Return the header of an empty member, with a right or wrong sum."""
    header = bytearray(512)
    header[0:6] = b"member"
    header[100:108] = b"0000644\0"
    header[148:156] = b" " * 8
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % (sum(header) + sum_error)
    return bytes(header)


def boot_sector(*entries: tuple[int, int, int, int]) -> bytes:
    """Return a master boot record; each entry is status, type, first sector, sector count."""
    table = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries)
    return bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"


def fat_boot_sector(
    label_offset: int,
    label: bytes,
    *,
    jump: bytes = b"\xeb\x3c\x90",
    sector_bytes: int = 512,
    cluster_sectors: int = 1,
    reserved: int = 1,
    tables: int = 2,
) -> bytes:
    """Return the boot sector of a FAT volume."""
    sector = bytearray(512)
    sector[0:3] = jump
    struct.pack_into("<HBHB", sector, 11, sector_bytes, cluster_sectors, reserved, tables)
    sector[label_offset : label_offset + 8] = label
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def ext_superblock(*, block_shift: int = 2, inodes: int = 100, revision: int = 1) -> bytes:
    """Return the superblock of an ext file system."""
    block = bytearray(1024)
    struct.pack_into("<II", block, 0, inodes, 1000)
    struct.pack_into("<I", block, 24, block_shift)
    struct.pack_into("<I", block, 40, 50)
    struct.pack_into("<H", block, 56, 0xEF53)
    struct.pack_into("<I", block, 76, revision)
    return bytes(block)


def signed(name: bytes) -> bytes:
    """Return a boot sector that carries a file system's name."""
    return b"\xeb\x52\x90" + name + bytes(499) + b"\x55\xaa"


GPT = (0, boot_sector((0, 0xEE, 1, 0xFFFFFFFF))), (512, b"EFI PART")
LVM_LABEL = b"LABELONE" + bytes(16) + b"LVM2 001"
MACRIUM_FOOTER = (4096).to_bytes(8, "little") + b"MACRIUM_FILE"
SESPARSE = struct.pack("<QQ", 0xCAFEBABE, 0x0000000200000001)
ZFS_BEGIN = 0x2F5BACBAC

HEADS: Mapping[str, Sequence[bytes]] = {
    "macrium": [file_of((0, b"\x28\xb5\x2f\xfd"), (-20, MACRIUM_FOOTER))],
    "macrium_checkpoint": [file_of((4096, b"$TRACK0 "), (-20, MACRIUM_FOOTER))],
    "vmdk": [
        file_of((0, b"KDMV\x01\0\0\0")),
        file_of((0, b"# Disk DescriptorFile\nversion=1\n"), size=512),
        file_of((0, b"COWD\x01\0\0\0")),
        file_of((0, SESPARSE)),
    ],
    "vdi": [file_of((0, b"<<< any text >>>\n"), (64, b"\x7f\x10\xda\xbe"))],
    "qed": [file_of((0, b"QED\0"))],
    "parallels_hds": [file_of((0, b"WithoutFreeSpace")), file_of((0, b"WithouFreSpacExt"))],
    "asif": [file_of((0, b"shdw\0\0\0\x01"))],
    "hyperv_vmcx": [file_of((0, b"\x14\x20\x28\x01"))],
    "esxi_envelope": [file_of((0, b"DataTransformEnvelope\0"))],
    "veeam": [file_of((0, struct.pack("<III3sx", 13, 1, 3, b"md5")))],
    "veeam_metadata": [
        file_of((0, b'<?xml version="1.0"?><BackupMeta Version="36"/>'), size=512),
        file_of((0, b'\xef\xbb\xbf<?xml version="1.0"?>\r\n<BackupMetaInfo>'), size=512),
    ],
    "vma": [file_of((0, b"VMA\0\0\0\0\x01"))],
    "pbs_fixed_index": [file_of((0, bytes.fromhex("2f7f41ed91fd0fcd")))],
    "pbs_dynamic_index": [file_of((0, bytes.fromhex("1c914ea519bab3cd")))],
    "pbs_blob": [
        file_of((0, bytes.fromhex("42ab3807be8370a1"))),
        file_of((0, bytes.fromhex("31b958426fb6a37f")), (12, b"\x28\xb5\x2f\xfd")),
        file_of((0, bytes.fromhex("7b6785be222d4cf0"))),
        file_of((0, bytes.fromhex("e6591bbf0bbfd80b"))),
    ],
    "urbackup_compressed": [file_of((0, b"URBACKUP COMPRESSED FILE#1.1"))],
    "shadowprotect": [
        file_of((0, bytes.fromhex("535046490002000041000000"))),
        file_of((0, b"SPVB")),
    ],
    "acronis_tib": [
        file_of((0, bytes.fromhex("ce24b9a22000"))),
        file_of((0, bytes.fromhex("ce24b9a22400"))),
        file_of((0, bytes.fromhex("b46e6844"))),
        file_of((0, bytes.fromhex("b5a2b0b3b3b0a5b5"))),
    ],
    "veritas_v2i": [file_of((0, b"$CAN"), (0x14, bytes.fromhex("13040800")))],
    "easeus_pbd": [file_of((0, bytes.fromhex("494d47462c0500000000" + "0200")))],
    "wim": [file_of((0, b"MSWIM\0\0\0")), file_of((0, b"WLPWM\0\0\0"))],
    "partclone": [file_of((0, b"partclone-image\0"))],
    "ntfsclone": [file_of((0, b"\0ntfsclone-image"))],
    "fsarchiver": [file_of((0, b"FsA0"))],
    "btrfs_send": [file_of((0, b"btrfs-stream\0\x02\0\0\0"), size=64)],
    "zfs_send": [
        file_of((0, struct.pack("<IIQ", 0, 660, ZFS_BEGIN))),
        file_of((0, struct.pack(">IIQ", 0, 660, ZFS_BEGIN))),
    ],
    "xbstream": [file_of((0, b"XBSTCK01"))],
    "postgres_manifest": [file_of((0, b'{ "PostgreSQL-Backup-Manifest-Version": 2,\n'), size=200)],
    "postgres_incremental": [
        struct.pack("<III", 0xD3AE1F0D, 0, 4),
        file_of((0, struct.pack("<III", 0xD3AE1F0D, 1, 4)), size=16384),
    ],
    "rbd": [
        file_of((0, b"rbd diff v1\n")),
        file_of((0, b"rbd diff v2\n")),
        file_of((0, b"rbd image v2\n")),
    ],
    "bacula": [
        file_of((0, struct.pack(">III4s", 0x12345678, 200, 0, b"BB02"))),
        file_of((0, struct.pack(">III4s", 0x12345678, 200, 0, b"BB03"))),
    ],
    "gzip": [file_of((0, b"\x1f\x8b\x08\x00"), size=30)],
    "zstd": [file_of((0, b"\x28\xb5\x2f\xfd"), size=30)],
    "xz": [file_of((0, b"\xfd7zXZ\0"), size=64)],
    "lz4": [file_of((0, b"\x04\x22\x4d\x18")), file_of((0, b"\x02\x21\x4c\x18"))],
    "bzip2": [
        file_of((0, b"BZh9\x31\x41\x59\x26\x53\x59")),
        file_of((0, b"BZh1\x17\x72\x45\x38\x50\x90"), size=14),
    ],
    "lzop": [file_of((0, b"\x89LZO\0\r\n\x1a\n"))],
    "sevenzip": [file_of((0, b"7z\xbc\xaf\x27\x1c"))],
    "zip": [
        file_of((0, b"PK\x03\x04")),
        file_of((0, b"PK\x05\x06"), size=22),
        file_of((0, b"PK\x07\x08PK\x03\x04")),
    ],
    "tar": [file_of((0, tar_header()))],
    "luks_volume": [file_of((0, b"LUKS\xba\xbe\0\x01")), file_of((0, b"LUKS\xba\xbe\0\x02"))],
    "xfs_volume": [file_of((0, b"XFSB" + (4096).to_bytes(4, "big")))],
    "ntfs_volume": [file_of((0, signed(b"NTFS    ")))],
    "exfat_volume": [file_of((0, signed(b"EXFAT   ")))],
    "lvm_volume": [file_of((0, LVM_LABEL)), file_of((512, LVM_LABEL)), file_of((1536, LVM_LABEL))],
    "btrfs_volume": [file_of((65_600, b"_BHRfS_M"))],
    "ext_volume": [file_of((1024, ext_superblock()))],
    "fat_volume": [
        file_of((0, fat_boot_sector(54, b"FAT12   "))),
        file_of((0, fat_boot_sector(54, b"FAT16   "))),
        file_of((0, fat_boot_sector(82, b"FAT32   "))),
    ],
    "raw_disk": [
        file_of(*GPT),
        file_of((0, boot_sector((0x80, 0x07, 63, 100), (0, 0x83, 200, 50)))),
    ],
}

ISO_HYBRID = file_of((0, boot_sector((0x80, 0x17, 1, 100))), (32_769, b"CD001"))

STRANGERS: Mapping[str, bytes] = {
    "empty": b"",
    "one_byte": b"\x1f",
    "zeros": bytes(FILE_BYTES),
    "text": b"Backup of 2026-01-05 finished.\n" * 100,
    "xml": b'<?xml version="1.0"?><ParallelsDiskImage Version="1.0"/>',
    "text_about_xml": b"What <BackupMeta Version=36> means",
    "json": b'{ "PostgreSQL": 18 }',
    "sqlite": file_of((0, b"SQLite format 3\0")),
    "java_class": file_of((0, b"\xca\xfe\xba\xbe\0\0\0\x34")),
    "boot_mark_alone": file_of((510, b"\x55\xaa")),
    "saved_boot_sector": boot_sector((0x80, 0x07, 2048, 96_256)),
    "partitions_overlap": file_of((0, boot_sector((0, 7, 63, 100), (0, 7, 100, 50)))),
    "partition_with_odd_status": file_of((0, boot_sector((0x13, 7, 63, 100)))),
    "partition_without_length": file_of((0, boot_sector((0, 7, 63, 0)))),
    "partition_at_the_boot_sector": file_of((0, boot_sector((0, 7, 0, 100)))),
    "partition_without_type": file_of((0, boot_sector((0, 0, 63, 100)))),
    "partitions_without_boot_mark": file_of((0, boot_sector((0, 7, 63, 100))[:510])),
    "iso_hybrid": ISO_HYBRID,
    "tar_with_wrong_sum": file_of((0, tar_header(sum_error=1))),
    "gzip_with_reserved_flag": file_of((0, b"\x1f\x8b\x08\x80")),
    "gzip_of_three_bytes": b"\x1f\x8b\x08",
    "veeam_with_other_digest": file_of((0, struct.pack("<III3sx", 13, 1, 3, b"md4"))),
    "veeam_without_version": file_of((0, struct.pack("<III3sx", 0, 1, 3, b"md5"))),
    "veeam_with_odd_version": file_of((0, struct.pack("<III3sx", 0x4D42, 1, 3, b"md5"))),
    "bacula_with_short_block": file_of((0, struct.pack(">III4s", 0, 23, 0, b"BB02"))),
    "postgres_with_too_many_blocks": struct.pack("<III", 0xD3AE1F0D, 1, 4),
    "postgres_cut_short": struct.pack("<I", 0xD3AE1F0D),
    "zfs_with_other_record": file_of((0, struct.pack("<IIQ", 1, 0, ZFS_BEGIN))),
    "shadow_text": b"SPVB is an acronym, and this is a text.",
    "ext_with_huge_blocks": file_of((1024, ext_superblock(block_shift=7))),
    "ext_with_few_inodes": file_of((1024, ext_superblock(inodes=49))),
    "ext_of_the_future": file_of((1024, ext_superblock(revision=2))),
    "ext_magic_alone": file_of((1080, b"\x53\xef")),
    "xfs_with_odd_blocks": file_of((0, b"XFSB" + (4097).to_bytes(4, "big"))),
    "xfs_with_small_blocks": file_of((0, b"XFSB" + (256).to_bytes(4, "big"))),
    "fat_without_name": file_of((0, fat_boot_sector(54, b"        "))),
    "fat_with_odd_clusters": file_of((0, fat_boot_sector(54, b"FAT16   ", cluster_sectors=3))),
    "fat_without_jump": file_of((0, fat_boot_sector(54, b"FAT16   ", jump=b"\xeb\x3c\x00"))),
    "fat_with_odd_sectors": file_of((0, fat_boot_sector(54, b"FAT16   ", sector_bytes=500))),
    "fat_without_boot_sector": file_of((0, fat_boot_sector(54, b"FAT16   ", reserved=0))),
    "fat_without_tables": file_of((0, fat_boot_sector(54, b"FAT16   ", tables=0))),
    "ntfs_without_boot_mark": file_of((3, b"NTFS    ")),
    "lvm_label_too_late": file_of((2048, LVM_LABEL)),
    "veritas_name_alone": file_of((0, b"$CAN")),
    "vma_of_another_version": file_of((0, b"VMA\0\0\0\0\x02")),
    "sesparse_magic_alone": file_of((0, SESPARSE[:8])),
    "bzip2_name_alone": b"BZh9 is how it starts",
}

# What other modules read. A fixed VHD begins with the raw disk it holds.
READ_ELSEWHERE: Mapping[str, bytes] = {
    "qcow2": file_of((0, b"QFI\xfb\0\0\0\x03"), (1024, ext_superblock())),
    "vhdx": file_of((0, b"vhdxfile"), (65_600, b"_BHRfS_M")),
    "vhdx_without_signature": file_of(
        (0, boot_sector((0x80, 7, 63, 100))), (65_536, b"head"), (131_072, b"head"), size=256 << 10
    ),
    "vhd": file_of((0, b"conectix"), (-512, b"conectix")),
    "fixed_vhd": file_of((0, boot_sector((0x80, 7, 63, 100))), (-512, b"conectix")),
    "fixed_vhd_of_2003": file_of((0, boot_sector((0x80, 7, 63, 100))), (-511, b"conectix")),
    "mtf": file_of((0, b"TAPE"), (65_600, b"_BHRfS_M")),
    "sqlserver_bak": file_of((0, b"MSSQLBAK"), (65_600, b"_BHRfS_M")),
}
