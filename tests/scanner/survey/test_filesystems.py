import os
from pathlib import Path

import pytest

from scanner.survey import filesystems
from scanner.survey.filesystems import (
    Mount,
    device_number,
    inside,
    is_network,
    is_telling,
    mount_for,
    parse_mounts,
    parse_rotational,
    place_of,
    rotational,
    unescaped,
    uuid_by_ioctl,
    uuid_by_link,
    uuid_text,
)

# Lines as Linux writes them: proc_pid_mountinfo(5). The order is that of mounting.
MOUNTINFO = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
22 27 0:21 / /proc rw,relatime - proc proc rw
40 27 8:17 / /mnt/usb\\040disk rw,noatime shared:5 - xfs /dev/sdb1 rw
41 27 8:17 /back\\134ups /srv/bound rw shared:5 master:2 - xfs /dev/sdb1 rw
42 27 0:52 / /mnt/nas rw - nfs4 nas:/export/all rw,vers=4.2
43 27 0:30 /@data /data rw - btrfs /dev/sdc rw,subvol=/@data
44 27 0:60 / /mnt/f\\011g ro - fuse.sshfs me@host:/a\\040b ro
45 27 8:33 / /mnt/usb\\040disk rw - ext4 /dev/sdd1 rw
46 27 8:49 / /caf\udce9 rw - ext4 /dev/sde1 rw
"""
MOUNTS = parse_mounts(MOUNTINFO)
VDA, USB, BOUND, NAS, DATA, FUSE, OVER, ODD = (MOUNTS[n] for n in (0, 2, 3, 4, 5, 6, 7, 8))


def test_mountinfo_is_read_with_its_escapes():
    assert len(MOUNTS) == 9
    assert Mount("254:0", "/", "/", "ext4", "/dev/vda") == VDA
    assert Mount("8:17", "/back\\ups", "/srv/bound", "xfs", "/dev/sdb1") == BOUND
    assert Mount("0:60", "/", "/mnt/f\tg", "fuse.sshfs", "me@host:/a b") == FUSE
    assert ODD.mount_point == "/caf\udce9"


def test_lines_that_are_no_mounts_are_skipped():
    assert parse_mounts("\nnothing here\n1 2 3:4 / / rw no dash ext4 x y\n") == ()


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [("a\\040b", "a b"), ("\\134040", "\\040"), ("\\012\\011\\043", "\n\t#"), ("\\9", "\\9")],
)
def test_octal_escapes(escaped, plain):
    assert unescaped(escaped) == plain


@pytest.mark.parametrize(
    ("path", "device", "mount"),
    [
        ("/srv/backups", "254:0", VDA),
        ("/srv/bound/x.bak", "8:17", BOUND),
        ("/srv/bound2/x.bak", "254:0", VDA),
        ("/mnt/nas", "0:52", NAS),
        ("/mnt/nas/deep/er", "0:52", NAS),
        ("/", "254:0", VDA),
        ("/data/vm", "0:31", DATA),  # a subvolume shows a number of its own
        ("/mnt/usb disk/a", "8:33", OVER),  # the later mount covers the earlier one
        ("/mnt/usb disk/a", "0:99", OVER),
        ("/mnt/usb disk/a", "8:17", USB),  # opened before it was covered
    ],
)
def test_path_lies_on_the_longest_mount_point_above_it(path, device, mount):
    assert mount_for(MOUNTS, path, device) == mount


def test_mount_hidden_under_a_later_one_is_not_taken():
    mounts = parse_mounts(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 8:2 / /mnt/a rw - ext4 /dev/sda2 rw\n"
        "3 1 8:3 / /mnt rw - ext4 /dev/sda3 rw\n"
    )
    assert mount_for(mounts, "/mnt/a/file", "8:3").mount_point == "/mnt"


def test_without_mounts_a_path_lies_at_its_own_path():
    mount = mount_for((), "/srv/x", "8:1")
    assert (mount.device, mount.kind, inside(mount, "/srv/x")) == ("8:1", "unknown", "/srv/x")


@pytest.mark.parametrize(
    ("mount", "path", "expected"),
    [
        (VDA, "/", "/"),
        (VDA, "/srv/backups", "/srv/backups"),
        (USB, "/mnt/usb disk", "/"),
        (USB, "/mnt/usb disk/back\\ups/x", "/back\\ups/x"),
        (BOUND, "/srv/bound", "/back\\ups"),
        (BOUND, "/srv/bound/x", "/back\\ups/x"),
        (DATA, "/data/vm", "/@data/vm"),
    ],
)
def test_path_inside_its_file_system(mount, path, expected):
    assert inside(mount, path) == expected


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "fuse.sshfs",
        "fuse.rclone",
        "ceph",
        "fuse.ceph",
        "glusterfs",
        "fuse.glusterfs",
        "afs",
        "lustre",
        "autofs",
    ],
)
def test_network_file_systems(kind):
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "fuseblk", "fuse.mergerfs", "vfat", "nfsd"]
)
def test_local_file_systems(kind):
    assert not is_network(kind)


def test_uuid_is_spelled_as_blkid_does():
    assert uuid_text(bytes(range(16))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert uuid_text(b"\x12\x34\xab\xcd") == "1234abcd"


@pytest.mark.parametrize("value", [b"", bytes(16)])
def test_uuid_of_zeros_is_none(value):
    assert uuid_text(value) is None


def test_kernel_is_asked_for_the_uuid_of_the_folder_of_a_file(tmp_path, monkeypatch):
    asked = []

    def answer(descriptor, request, buffer):
        asked.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), request, len(buffer)))
        buffer[:] = bytes([16, *range(1, 17)])

    monkeypatch.setattr(filesystems.fcntl, "ioctl", answer)
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        assert uuid_by_ioctl(path) == "01020304-0506-0708-090a-0b0c0d0e0f10"
    # _IOR(0x15, 0, struct fsuuid2), by hand: direction 2, size 17, type 0x15, number 0.
    assert asked == [(str(tmp_path), 2 << 30 | 17 << 16 | 0x15 << 8, 17)] * 2
    assert tmp_path not in {Path(os.path.realpath(fd)) for fd in Path("/proc/self/fd").iterdir()}


def test_kernel_that_does_not_know_the_question_gives_no_uuid(tmp_path, monkeypatch):
    def refuse(_descriptor, _request, _buffer):
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(filesystems.fcntl, "ioctl", refuse)
    assert uuid_by_ioctl(tmp_path) is None
    assert uuid_by_ioctl(tmp_path / "not there" / "x") is None


def test_link_by_uuid_names_a_device():
    links = (("1234-ABCD", "8:17"), ("aaaa", "8:1"), ("0000", "8:17"))
    assert uuid_by_link(links, "8:1") == "aaaa"
    assert uuid_by_link(links, "8:17") == "0000"
    assert uuid_by_link(links[:1], "8:17") == "1234-abcd"
    assert uuid_by_link(links, "8:2") is None


@pytest.mark.parametrize(
    ("fsid", "telling"),
    [(0, False), (0x811, False), (0x812, True), (0x5305382E462D584F, True)],
)
def test_file_system_id_that_is_the_device_number_tells_nothing(fsid, telling):
    assert is_telling(fsid, os.makedev(8, 17)) is telling


def test_large_minor_numbers_are_recognised_in_the_file_system_id():
    # huge_encode_dev(259, 0x12345) = 0x12300000 | 259 << 8 | 0x45
    assert not is_telling(0x12300000 | 259 << 8 | 0x45, os.makedev(259, 0x12345))


@pytest.mark.parametrize(
    ("text", "answer"), [("1\n", True), ("0\n", False), ("", None), ("2", None)]
)
def test_rotational_flag(text, answer):
    assert parse_rotational(text) is answer


@pytest.fixture
def system(tmp_path):
    """A made-up /proc, /sys and /dev with one spinning disk and one partition on it."""
    disk = tmp_path / "sys/devices/pci0/block/sdb"
    (disk / "sdb1").mkdir(parents=True)
    (disk / "queue").mkdir()
    (disk / "queue/rotational").write_text("1\n")
    block = tmp_path / "sys/dev/block"
    block.mkdir(parents=True)
    (block / "8:16").symlink_to(disk)
    (block / "8:17").symlink_to(disk / "sdb1")
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path


def test_partition_has_the_flag_of_its_disk(system):
    assert rotational("8:16", system) is True
    assert rotational("8:17", system) is True
    assert rotational("8:33", system) is None


def test_device_of_a_plain_mount_is_the_one_it_shows(system):
    assert device_number(BOUND, os.makedev(9, 9), system) == "8:17"
    assert device_number(NAS, os.makedev(0, 52), system) == "0:52"


def test_device_behind_an_invented_number_is_its_source(system, monkeypatch):
    def number(path):
        return "8:32" if path == system / "dev/sdc" else None

    monkeypatch.setattr(filesystems, "block_number", number)
    assert device_number(DATA, os.makedev(0, 31), system) == "8:32"
    lost = Mount("0:30", "/", "/data", "btrfs", "/dev/gone")
    assert device_number(lost, os.makedev(0, 31), system) == "0:31"


def mounted(system, tmp_path, line):
    (system / "proc/self/mountinfo").write_text(line)
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def silent(monkeypatch):
    """A kernel without FS_IOC_GETFSUUID and a file system that tells nothing of itself."""
    monkeypatch.setattr(filesystems, "uuid_by_ioctl", lambda _path: None)
    monkeypatch.setattr(filesystems, "is_telling", lambda _fsid, _device: False)


@pytest.mark.usefixtures("silent")
def test_device_number_is_the_last_resort(system, tmp_path):
    folder = mounted(system, tmp_path, f"1 0 8:17 /a {tmp_path} rw - ext4 /dev/sdb1 rw\n")
    place = place_of(folder, system)
    assert place.filesystem == "dev:8:17"
    assert (place.root, place.mount_point) == ("/a/repository", str(tmp_path))
    assert (place.kind, place.source) == ("ext4", "/dev/sdb1")
    assert (place.network, place.rotational) == (False, True)


@pytest.mark.usefixtures("silent")
def test_share_is_known_by_its_source(system, tmp_path):
    folder = mounted(system, tmp_path, f"1 0 0:52 / {tmp_path} rw - nfs4 nas:/export rw\n")
    place = place_of(folder, system)
    assert place.filesystem == "source:nfs4:nas:/export"
    assert (place.network, place.rotational) == (True, None)


@pytest.mark.usefixtures("silent")
def test_two_disks_at_one_mount_point_are_two(system, tmp_path, monkeypatch):
    line = "1 0 8:17 / {} rw - ext4 /dev/sdb1 rw\n"
    folder = mounted(system, tmp_path, line.format(tmp_path))
    names = []
    for uuid in ("AAAA", "BBBB"):
        monkeypatch.setattr(filesystems, "read_links", lambda _root, uuid=uuid: ((uuid, "8:17"),))
        names.append(place_of(folder, system).filesystem)
    assert names == ["uuid:aaaa", "uuid:bbbb"]


def test_same_disk_mounted_elsewhere_is_the_same_repository(system, tmp_path, monkeypatch):
    monkeypatch.setattr(filesystems, "uuid_by_ioctl", lambda _path: "u1")
    places = []
    for name in ("here", "there"):
        (tmp_path / name / "backups").mkdir(parents=True)
        line = f"1 0 8:17 / {tmp_path / name} rw - ext4 /dev/sdb1 rw\n"
        (system / "proc/self/mountinfo").write_text(line)
        place = place_of(tmp_path / name / "backups", system)
        places.append((place.filesystem, place.root))
    assert places == [("uuid:u1", "/backups")] * 2


def test_kernels_own_uuid_comes_before_the_link_and_the_link_before_the_id(
    system, tmp_path, monkeypatch
):
    folder = mounted(system, tmp_path, f"1 0 8:17 / {tmp_path} rw - ext4 /dev/sdb1 rw\n")
    monkeypatch.setattr(filesystems, "is_telling", lambda _fsid, _device: True)
    monkeypatch.setattr(filesystems, "read_links", lambda _root: (("link", "8:17"),))
    monkeypatch.setattr(filesystems, "uuid_by_ioctl", lambda _path: "own")
    assert place_of(folder, system).filesystem == "uuid:own"
    monkeypatch.setattr(filesystems, "uuid_by_ioctl", lambda _path: None)
    assert place_of(folder, system).filesystem == "uuid:link"
    monkeypatch.setattr(filesystems, "read_links", lambda _root: ())
    expected = f"fsid:{os.statvfs(folder).f_fsid:016x}"
    assert place_of(folder, system).filesystem == expected


def test_link_to_a_folder_is_the_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert place_of(tmp_path / "link") == place_of(tmp_path / "real")


def test_this_machine_can_be_looked_at():
    place = place_of(Path(__file__))
    assert place.filesystem.split(":")[0] in {"uuid", "fsid", "source", "dev"}
    assert place.root.endswith("tests/scanner/survey/test_filesystems.py")
    assert place_of(Path(__file__)) == place


def test_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        place_of(tmp_path / "not there")


def test_links_that_lead_to_no_device_are_skipped(tmp_path):
    folder = tmp_path / "dev/disk/by-uuid"
    folder.mkdir(parents=True)
    (folder / "dead").symlink_to("../../gone")
    (folder / "file").touch()
    assert filesystems.read_links(tmp_path) == ()
    assert filesystems.read_links(tmp_path / "nowhere") == ()
    assert filesystems.read_mounts(tmp_path) == ()
