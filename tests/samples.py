"""Where the sample files are, and what each of them is.

Own fixtures lie in ``tests/fixtures/<format>/<case>/``; the corpus of real files is found through
``BAKPROOF_CORPUS``. A sample that is compressed only to be small is unpacked in memory.

A fixture folder may hold an ``expected.json``: file name → list of check ids that are rightly bad.
"""

import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import formats
from formats.core.model import Format, Source
from tests.sources import UNPACKERS, stored, unpack

FIXTURES = Path(__file__).parent / "fixtures"
EXPECTED_NAME = "expected.json"
DOCUMENT_SUFFIXES = frozenset({".md", ".txt", ".sh", ".py", ".toml"})

# First match wins. Pattern, what the stored file is, what is inside of it where it is compressed.
CORPUS_TABLE: Sequence[tuple[str, str | None, str | None]] = (
    ("images/bacula/Vol-*", "bacula", None),
    ("images/btrfs/*.btrfs", "btrfs_send", None),
    ("images/fsarchiver/ext4s.f*", "fsarchiver", None),
    ("images/mariabackup/*.xb", "xbstream", None),
    ("images/ntfsclone/*.ntfsclone", "ntfsclone", None),
    ("images/partclone/*.pcl", "partclone", None),
    ("images/pbs_synth/.chunks/*", "pbs_blob", None),
    ("images/pbs_synth/vm/*.blob", "pbs_blob", None),
    ("images/pbs_synth/vm/*.fidx", "pbs_fixed_index", None),
    ("images/*/*.qcow2", "qcow2", None),
    ("images/*/*.qed", "qed", None),
    ("images/*/*.vdi", "vdi", None),
    ("images/*/*.vhd", "vhd", None),
    ("images/*/*.vpc", "vhd", None),
    ("images/*/*.vhdx", "vhdx", None),
    ("images/*/*.avhdx", "vhdx", None),
    ("images/qemu/flat-flat.vmdk", "raw_disk", None),
    ("images/*/*.vmdk", "vmdk", None),
    ("images/qemu/ext.data", "raw_disk", None),
    ("images/src/*.raw", "raw_disk", None),
    ("images/vma_synth/*.vma", "vma", None),
    ("images/wim/*", "wim", None),
    ("images/zfs/*.zfs", "zfs_send", None),
    ("images/zfs_fuse/*.zfs", "zfs_send", None),
    # The second and later pieces of a split file begin in the middle of nowhere.
    ("misc/clonezilla/*.gz.aa", "gzip", None),
    ("misc/clonezilla/*.zst", "zstd", "partclone"),
    ("misc/compressed/*.gz", "gzip", "raw_disk"),
    ("misc/compressed/*.xz", "xz", "raw_disk"),
    ("misc/compressed/*.zst", "zstd", "raw_disk"),
    ("misc/from_public_repos/*.asif.gz", "gzip", "asif"),
    # A "plain" disk is raw, and this one is all zeros, as is the other's data file.
    ("misc/from_public_repos/*/plain.hdd*.hds.gz", "gzip", None),
    ("misc/from_public_repos/*.hds.gz", "gzip", "parallels_hds"),
    ("misc/from_public_repos/*/data-file.bin.gz", "gzip", None),
    ("misc/from_public_repos/*.qcow2.gz", "gzip", "qcow2"),
    ("misc/from_public_repos/*.vdi.gz", "gzip", "vdi"),
    ("misc/from_public_repos/*.vhd.gz", "gzip", "vhd"),
    ("misc/from_public_repos/*.vmdk.gz", "gzip", "vmdk"),
    ("misc/from_public_repos/*.tgz.ve", "esxi_envelope", None),
    ("misc/postgres/*/backup_manifest", "postgres_manifest", None),
    ("misc/postgres/*.tar.gz", "gzip", "tar"),
    ("misc/postgres/*.tar.zst", "zstd", "tar"),
    ("misc/raw/gpt.img.zst", "zstd", "raw_disk"),
    ("misc/raw/fat32.img.zst", "zstd", "fat_volume"),
    ("misc/raw/ext4.img.zst", "zstd", "ext_volume"),
    ("misc/raw/btrfs.img.zst", "zstd", "btrfs_volume"),
    ("misc/raw/exfat.img.zst", "zstd", "exfat_volume"),
    ("misc/raw/ntfs.img.zst", "zstd", "ntfs_volume"),
    ("misc/raw/xfs.img.zst", "zstd", "xfs_volume"),
    ("sqlserver/*.bak", "sqlserver_bak", None),
    ("sqlserver/*.trn", "sqlserver_bak", None),
    ("vendor/hyperv/*.vhd.gz", "gzip", "vhd"),
    ("vendor/hyperv/*.vhdx.gz", "gzip", "vhdx"),
    ("vendor/hyperv/*.avhdx.gz", "gzip", "vhdx"),
    ("vendor/hyperv/test.vmcx", "hyperv_vmcx", None),
    ("vendor/hyperv/test.VMRS", "hyperv_vmcx", None),
    ("vendor/macrium/*.metadata", "macrium_checkpoint", None),
    ("vendor/macrium/*", "macrium", None),
    ("vendor/veeam/*.vbm", "veeam_metadata", None),
    ("vendor/veeam/*.vib", "veeam", None),
    ("vendor/veeam/*.vbk.gz", "gzip", "veeam"),
    ("vendor/vhd/*.vhd", "vhd", None),
    ("vendor/vma/*.vma.gz", "gzip", "vma"),
    ("vendor/wim/*.wim.gz", "gzip", "wim"),
    # What lies beside backups and is none.
    ("images/bacula/catalog.db", None, None),
    ("images/mariabackup/*.checkpoints", None, None),
    ("misc/clonezilla/*", None, None),
    ("misc/from_public_repos/*.xml", None, None),
    ("misc/from_public_repos/*.vbox", None, None),
    ("misc/from_public_repos/*.vmx", None, None),
    ("*/test.vgz", None, None),
    ("vendor/veeam/*.bank", None, None),
    ("*.txt", None, None),
    ("*.tsv", None, None),
)

# Corpus files that are rightly found wanting, and the check ids that say so; patterns in both.
KNOWN_BAD: Sequence[tuple[str, tuple[str, ...]]] = (
    # Edited by hand for the tests of a reader that looks at no sums.
    ("*/image.vhd*", ("vhd.footer.checksum",)),
    ("*/image-differential.vhd*", ("vhd.footer.checksum", "vhd.header.checksum")),
    # The one compressed backup, which only numba can look into, and a medium that no backup was
    # ever written to.
    (
        "sqlserver/67_TutorialDB.bak",
        () if find_spec("numba") else ("sqlserver_bak.compressed.content",),
    ),
    ("sqlserver/92_noset.bak", ("sqlserver_bak.media.sets",)),
)


@dataclass(frozen=True)
class Sample:
    """One sample file: its label in test names, its place, and what it is."""

    label: str
    path: Path
    format_name: str | None
    inner: bool = False
    allowed_bad: tuple[str, ...] = ()

    def source(self) -> Source:
        """Return its bytes, unpacked where the sample is what is inside."""
        return _source(self.path, inner=self.inner)

    def neighbours(self) -> "Folder":
        """Return the files beside it."""
        return Folder(self.path.parent)

    def allows(self, check: str) -> bool:
        """Whether this check may be bad for this sample."""
        return any(fnmatch(check, pattern) for pattern in self.allowed_bad)


class Folder:
    """The files of one folder under the names they have unpacked."""

    def __init__(self, path: Path) -> None:
        self._paths = {plain_name(item): item for item in path.iterdir() if item.is_file()}

    def names(self) -> Sequence[str]:
        return sorted(self._paths)

    def open(self, name: str) -> Source | None:
        path = self._paths.get(name)
        return None if path is None else _source(path, inner=True)


@functools.lru_cache(maxsize=32)
def _source(path: Path, *, inner: bool) -> Source:
    return unpack(path) if inner else stored(path)


def plain_name(path: Path) -> str:
    """Return the name a file has when it is unpacked."""
    return path.stem if path.suffix.lower() in UNPACKERS else path.name


def corpus_root() -> Path | None:
    """Return the folder of real files, or None where there is none."""
    root = os.environ.get("BAKPROOF_CORPUS")
    return Path(root) if root else None


def corpus_files(root: Path) -> list[Path]:
    """Return every file of the corpus."""
    return sorted(item for item in root.rglob("*") if item.is_file())


def corpus_row(root: Path, path: Path) -> tuple[str, str | None, str | None] | None:
    """Return the table's row for a file of the corpus, or None where it has none."""
    name = path.relative_to(root).as_posix()
    return next((row for row in CORPUS_TABLE if fnmatch(name, row[0])), None)


def corpus_samples() -> Iterator[Sample]:
    """Yield every file of the corpus as it is stored, then as it is inside; nothing is read."""
    root = corpus_root()
    for path in corpus_files(root) if root else []:
        row = corpus_row(root, path)
        if row is None:
            continue
        label = path.relative_to(root).as_posix()
        allowed = [ids for pattern, ids in KNOWN_BAD if fnmatch(label, pattern)]
        bad = tuple(check for ids in allowed for check in ids)
        yield Sample(label, path, row[1], allowed_bad=bad)
        if path.suffix.lower() in UNPACKERS:
            yield Sample(f"{label}!", path, row[2], inner=True, allowed_bad=bad)


def fixture_samples(subject: Format) -> Iterator[Sample]:
    """Yield the fixtures of a format: what looks like it by content or by name."""
    folder = FIXTURES / subject.name
    paths = (
        [item for item in sorted(folder.rglob("*")) if item.is_file()] if folder.is_dir() else []
    )
    for path in paths:
        if path.suffix in DOCUMENT_SUFFIXES or path.name == EXPECTED_NAME:
            continue
        named_so = Path(plain_name(path)).suffix.lower() in subject.suffixes
        if named_so or subject.probe(_source(path, inner=True)):
            label = path.relative_to(FIXTURES).as_posix()
            allowed = tuple(expected(path.parent).get(path.name, ()))
            yield Sample(label, path, subject.name, inner=True, allowed_bad=allowed)


def expected(folder: Path) -> Mapping[str, Sequence[str]]:
    """Return what a fixture folder says of its files: which checks are rightly bad."""
    side_file = folder / EXPECTED_NAME
    return json.loads(side_file.read_text("utf-8")) if side_file.exists() else {}


def samples_of(subject: Format) -> list[Sample]:
    """Return every sample of a format: own fixtures first, then the corpus."""
    from_corpus = [item for item in corpus_samples() if item.format_name == subject.name]
    return [*fixture_samples(subject), *from_corpus]


def supported() -> list[Format]:
    """Return the formats that are read."""
    return [item for item in formats.FORMATS if item.supported]
