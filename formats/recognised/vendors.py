"""Images and metadata of backup products that are not read yet."""

from formats.core.model import Source, WriteModel
from formats.core.source import starts_with
from formats.recognised.row import Row, begins, every, piece, stands

MACRIUM_LAYOUT = "Macrium, mrimgx_file_layout: docs/FILE_LAYOUT.md, Footer"
PBS_LAYOUT = "Proxmox Backup Server documentation, File Formats"
PHOTOREC = "PhotoRec's signatures"

_macrium_footer = stands(-12, b"MACRIUM_FILE")

CHECKPOINT_DATA_BYTES = 4096
VEEAM_VERSION_MAX = 255
VBM_HEAD_BYTES = 4096
UTF8_BOM = b"\xef\xbb\xbf"


def _is_checkpoint(source: Source) -> bool:
    # Seen in three checkpoints of Reflect X: 4096 zero bytes where an image keeps its data, and
    # the metadata straight behind. An image of a single block starts with that block instead.
    return (
        _macrium_footer(source)
        and starts_with(source, b"$TRACK0 ", CHECKPOINT_DATA_BYTES)
        and not any(piece(source, 0, CHECKPOINT_DATA_BYTES))
    )


def _is_veeam(source: Source) -> bool:
    # Seen in formats 9 and 13: version, a flag, then the length and name of the block digest.
    version = int.from_bytes(piece(source, 0, 4), "little")
    return 0 < version <= VEEAM_VERSION_MAX and starts_with(source, b"\x03\x00\x00\x00md5\x00", 8)


def _is_veeam_metadata(source: Source) -> bool:
    text = piece(source, 0, VBM_HEAD_BYTES).removeprefix(UTF8_BOM)
    # Seen in 2015: <BackupMeta Version="36">. <BackupMetaInfo> of newer ones was only reported.
    return text.startswith(b"<") and b"<BackupMeta" in text


# Macrium's own data stands at offset 0 and may be anything, so its footer is asked before all
# that only looks at the start of a file.
FOOTED = (
    Row(
        name="macrium_checkpoint",
        title="Macrium Reflect checkpoint (no backup by itself)",
        suffixes=(".metadata",),
        test=every(begins(bytes(4)), _is_checkpoint),
        write_model=WriteModel.REWRITTEN,
        reference=MACRIUM_LAYOUT,
        seen="Macrium Reflect X",
    ),
    Row(
        name="macrium",
        title="Macrium Reflect X image",
        suffixes=(".mrimgx", ".mrbakx", ".mrimg", ".mrbak"),
        test=_macrium_footer,
        # Consolidation rewrites later increments (Macrium's documentation of Reflect X).
        write_model=WriteModel.REWRITTEN,
        reference=MACRIUM_LAYOUT,
        seen="Macrium Reflect X",
    ),
)

ROWS = (
    Row(
        name="veeam",
        title="Veeam backup",
        suffixes=(".vbk", ".vib", ".vrb"),
        test=_is_veeam,
        # Forever-forward, reverse and compact jobs rewrite the full (Veeam help centre).
        write_model=WriteModel.REWRITTEN,
        reference="headers of real .vbk and .vib files, formats 9 and 13",
        seen="Veeam Agent for Windows 6.2 (format 13), Agent for Linux (format 9)",
    ),
    Row(
        name="veeam_metadata",
        title="Veeam chain metadata (VBM)",
        suffixes=(".vbm",),
        test=every(begins(b"<", UTF8_BOM + b"<"), _is_veeam_metadata),
        write_model=WriteModel.REWRITTEN,
        reference="a real .vbm of 2015, outer version 36",
        seen="Veeam Backup & Replication of 2015",
    ),
    Row(
        name="vma",
        title="Proxmox vzdump archive (VMA)",
        suffixes=(".vma",),
        test=begins(b"VMA\x00\x00\x00\x00\x01"),
        write_model=WriteModel.WRITE_ONCE,
        reference="Proxmox pve-qemu, vma_spec.txt: magic and version 1, big-endian",
        seen="Proxmox VE vzdump",
    ),
    Row(
        name="pbs_fixed_index",
        title="Proxmox Backup Server fixed index",
        suffixes=(".fidx",),
        test=begins(b"\x2f\x7f\x41\xed\x91\xfd\x0f\xcd"),
        write_model=WriteModel.WRITE_ONCE,
        reference=PBS_LAYOUT,
    ),
    Row(
        name="pbs_dynamic_index",
        title="Proxmox Backup Server dynamic index",
        suffixes=(".didx",),
        test=begins(b"\x1c\x91\x4e\xa5\x19\xba\xb3\xcd"),
        write_model=WriteModel.WRITE_ONCE,
        reference=PBS_LAYOUT,
    ),
    Row(
        name="pbs_blob",
        title="Proxmox Backup Server chunk or blob",
        suffixes=(".blob",),
        # Plain, zstd, encrypted, encrypted zstd. Chunks share the magics of blobs.
        test=begins(
            b"\x42\xab\x38\x07\xbe\x83\x70\xa1",
            b"\x31\xb9\x58\x42\x6f\xb6\xa3\x7f",
            b"\x7b\x67\x85\xbe\x22\x2d\x4c\xf0",
            b"\xe6\x59\x1b\xbf\x0b\xbf\xd8\x0b",
        ),
        # Chunks never change, but verify jobs rewrite index.json.blob, and nothing in the file
        # tells the two apart.
        write_model=WriteModel.REWRITTEN,
        reference=PBS_LAYOUT,
    ),
    Row(
        name="urbackup_compressed",
        title="UrBackup compressed image",
        suffixes=(".vhdz", ".vhdxz"),
        test=begins(b"URBACKUP COMPRESSED FILE#"),
        write_model=WriteModel.WRITE_ONCE,
        reference="UrBackup source, fsimageplugin/CompressedFile.cpp",
    ),
    Row(
        name="shadowprotect",
        title="ShadowProtect image",
        suffixes=(".spf", ".spi", ".sp1"),
        # Published lists give "SPFI" with a binary number behind it, and "SPVB" alone. Letters
        # alone could open a text, so a binary byte behind them is asked for (assumed for "SPVB").
        test=begins(b"SPFI\x00\x02\x00\x00", b"SPVB\x00"),
        write_model=WriteModel.WRITE_ONCE,
        reference=f"{PHOTOREC} (SPFI); filesignature.org (SPVB)",
    ),
    Row(
        name="acronis_tib",
        title="Acronis True Image archive (TIB)",
        suffixes=(".tib",),
        # The newest magic is followed by the header's length: 0x20 on Windows, 0x24 on a Mac.
        test=begins(
            b"\xce\x24\xb9\xa2\x20\x00",
            b"\xce\x24\xb9\xa2\x24\x00",
            b"\xb4\x6e\x68\x44",
            b"\xb5\xa2\xb0\xb3\xb3\xb0\xa5\xb5",
        ),
        write_model=WriteModel.WRITE_ONCE,
        reference=f"dennisss/acronis-tib (2015 to 2019); {PHOTOREC} (older ones)",
    ),
    Row(
        name="veritas_v2i",
        title="Veritas System Recovery image",
        suffixes=(".v2i", ".iv2i"),
        test=every(begins(b"$CAN"), stands(0x14, b"\x13\x04\x08\x00")),
        write_model=WriteModel.WRITE_ONCE,
        reference=PHOTOREC,
    ),
    Row(
        name="easeus_pbd",
        title="EaseUS Todo Backup image (PBD)",
        suffixes=(".pbd",),
        test=begins(b"IMGF\x2c\x05\x00\x00\x00\x00\x02\x00"),
        write_model=WriteModel.WRITE_ONCE,
        reference="R-Tools Technology forum, a reader's file",
    ),
)
