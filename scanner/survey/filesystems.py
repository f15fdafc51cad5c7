"""What file system a path lies on, and what that system is, wherever it is mounted.

A repository is a file system and a folder in it. The same disk mounted elsewhere is the same
repository; two disks taking turns at one mount point are two.
"""

import fcntl
import os
import re
import stat
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FS_IOC_GETFSUUID = 0x80111500
"""``_IOR(0x15, 0, struct fsuuid2)``: one byte of length, sixteen of UUID (Linux 6.9, fs.h)."""

UUID_BYTES_MAX = 16
SYSTEM_ROOT = Path("/")
OCTAL = re.compile(r"\\([0-7]{3})")
NETWORK = frozenset(
    {
        "9p",
        "acfs",
        "afs",
        "auristorfs",
        "autofs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb2",
        "smb3",
        "smbfs",
        "virtiofs",
    }
)
"""A write-ahead log needs memory shared by all who have the file open: one machine, that is."""

NETWORK_FUSE = frozenset(
    {
        "ceph",
        "ceph-fuse",
        "cephfs",
        "curlftpfs",
        "davfs",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "gvfsd-fuse",
        "juicefs",
        "moosefs",
        "mfs",
        "nfs",
        "rclone",
        "s3fs",
        "smbnetfs",
        "sshfs",
        "vmhgfs-fuse",
    }
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo. ``root`` is the folder of the file system that is mounted here."""

    device: str
    root: str
    mount_point: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class FilesystemPlace:
    """A path seen from its file system.

    ``filesystem`` names the file system with the scheme of the name (``uuid:``, ``fsid:``,
    ``source:``, ``dev:``; only the last may change when the machine starts again). ``root`` is the
    path inside it. ``rotational`` None means that nobody says.
    """

    filesystem: str
    root: str
    kind: str
    mount_point: str
    source: str
    network: bool
    rotational: bool | None


def place_of(path: Path, system_root: Path = SYSTEM_ROOT) -> FilesystemPlace:
    """Return what a path that exists lies on. Raises OSError where it cannot be looked at.

    ``system_root`` is where ``proc``, ``sys`` and ``dev`` are found.
    """
    real = Path(os.path.realpath(path))
    st_dev = real.stat().st_dev  # before mounts are read: this may make the automounter mount
    mount = mount_for(read_mounts(system_root), str(real), device_text(st_dev))
    device = device_number(mount, st_dev, system_root)
    return FilesystemPlace(
        filesystem=identity(real, mount, device, system_root),
        root=inside(mount, str(real)),
        kind=mount.kind,
        mount_point=mount.mount_point,
        source=mount.source,
        network=is_network(mount.kind),
        rotational=rotational(device, system_root),
    )


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """Return the mounts of ``/proc/self/mountinfo``, in its order (proc_pid_mountinfo(5))."""
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        if "-" not in fields[6:]:
            continue  # not a line of mountinfo
        dash = fields.index("-", 6)
        kind, source = fields[dash + 1 : dash + 3]
        mounts.append(
            Mount(fields[2], unescaped(fields[3]), unescaped(fields[4]), kind, unescaped(source))
        )
    return tuple(mounts)


def unescaped(text: str) -> str:
    r"""Return text without the octal escapes of space, tab, newline and backslash."""
    return OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def mount_for(mounts: Sequence[Mount], real_path: str, device: str) -> Mount:
    """Return the mount a real path lies on: the longest mount point, of equal ones the last.

    Mounts that show the path's own device number come first, because a longer mount point may be
    hidden under a later mount. Subvolumes of Btrfs show a number that is in no mount.
    """
    over = [mount for mount in mounts if is_under(real_path, mount.mount_point)]
    best = Mount(device, "/", "/", "unknown", "none")
    for mount in [mount for mount in over if mount.device == device] or over:
        if len(mount.mount_point) >= len(best.mount_point):
            best = mount
    return best


def is_under(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it; both absolute."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def inside(mount: Mount, real_path: str) -> str:
    """Return a path as seen from the root of its file system, also through a bind mount."""
    relative = os.path.relpath(real_path, mount.mount_point)
    return str(PurePosixPath(mount.root) / relative) if relative != "." else mount.root


def is_network(kind: str) -> bool:
    """Whether a file system of this kind may be open on several machines at once."""
    prefix, _, name = kind.partition(".")
    return kind in NETWORK or (prefix == "fuse" and name in NETWORK_FUSE)


def identity(real_path: Path, mount: Mount, device: str, system_root: Path) -> str:
    """Return the best name there is for a file system, with its scheme."""
    own = uuid_by_ioctl(real_path)
    if own is None:
        own = uuid_by_link(read_links(system_root), device)
    if own is not None:
        return f"uuid:{own}"
    fsid = os.statvfs(real_path).f_fsid
    if is_telling(fsid, real_path.stat().st_dev):
        return f"fsid:{fsid:016x}"
    if is_network(mount.kind):
        return f"source:{mount.kind}:{mount.source}"
    return f"dev:{device}"


def uuid_by_ioctl(path: Path) -> str | None:
    """Return the UUID the kernel knows; None before Linux 6.9 and where there is none."""
    folder = path if path.is_dir() else path.parent
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    answer = bytearray(1 + UUID_BYTES_MAX)
    try:
        fcntl.ioctl(descriptor, FS_IOC_GETFSUUID, answer)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return uuid_text(bytes(answer[1 : 1 + answer[0]]))


def uuid_text(value: bytes) -> str | None:
    """Return a UUID as text. All zeros is none: seen on the ext4 root of a virtual machine."""
    if not any(value):
        return None
    return str(uuid.UUID(bytes=value)) if len(value) == UUID_BYTES_MAX else value.hex()


def uuid_by_link(links: Iterable[tuple[str, str]], device: str) -> str | None:
    """Return the name of the by-uuid link that leads to a device, of (name, device) pairs."""
    return min((name.lower() for name, number in links if number == device), default=None)


def is_telling(fsid: int, device: int) -> bool:
    """Whether an f_fsid says more than the device number.

    XFS, FAT and others put the number there (``huge_encode_dev``), and many have nothing to say.
    """
    major, minor = os.major(device), os.minor(device)
    encoded = (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
    return fsid not in (0, encoded)


def rotational(device: str, system_root: Path) -> bool | None:
    """Return whether a device is a spinning disk; a partition has its disk's answer."""
    folder = system_root / "sys/dev/block" / device
    for place in (folder / "queue/rotational", folder.resolve().parent / "queue/rotational"):
        try:
            return parse_rotational(place.read_text())
        except OSError:
            continue
    return None


def parse_rotational(text: str) -> bool | None:
    """Return what sysfs says; anything but 0 and 1 is no answer."""
    answers: Mapping[str, bool] = {"0": False, "1": True}
    return answers.get(text.strip())


def read_mounts(system_root: Path) -> tuple[Mount, ...]:
    """Return what this process sees mounted; nothing where that cannot be read."""
    try:
        text = (system_root / "proc/self/mountinfo").read_bytes()
    except OSError:
        return ()
    return parse_mounts(os.fsdecode(text))


def read_links(system_root: Path) -> tuple[tuple[str, str], ...]:
    """Return (name, device number) of every link in ``/dev/disk/by-uuid``."""
    folder = system_root / "dev/disk/by-uuid"
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return ()
    numbered = ((link.name, block_number(link)) for link in found)
    return tuple((name, number) for name, number in numbered if number is not None)


def device_number(mount: Mount, st_dev: int, system_root: Path) -> str:
    """Return the number of the device a mount comes from, as text.

    Btrfs and others show an invented number (major 0); the source then names the real device.
    """
    if mount.device.startswith("0:") and mount.source.startswith("/dev/"):
        return block_number(system_root / mount.source.lstrip("/")) or device_text(st_dev)
    return mount.device


def block_number(path: Path) -> str | None:
    """Return the device number of a block device, or None."""
    try:
        status = path.stat()
    except OSError:
        return None
    return device_text(status.st_rdev) if stat.S_ISBLK(status.st_mode) else None


def device_text(number: int) -> str:
    """Return a device number as mountinfo and sysfs spell it."""
    return f"{os.major(number)}:{os.minor(number)}"
