"""Names of backups, as programs and people write them. The one mistake that must not happen is to
read two machines as one: most tests ask for that."""

import subprocess
import sys
from datetime import datetime
from functools import partial

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from formats.core.model import Kind
from scanner.judge.names.reading import NO_NUMBERS, NameLink, read_name, sequences

FULL, INC, DIFF, LOG = Kind.FULL, Kind.INCREMENTAL, Kind.DIFFERENTIAL, Kind.LOG
moment = partial(datetime, tzinfo=None)
NIGHT = moment(2026, 11, 1, 22)
DAY = moment(2026, 11, 1)


def source_of(path):
    reading = read_name(path)
    return reading.home, reading.stem, reading.family


def read(path):
    """What a name says, in the order the tables below have it."""
    item = read_name(path)
    return item.grammar, item.stem, item.kind, item.set_id, item.number, item.at


PROGRAMS = [
    # Real names.
    (
        "m/2394E9AA621DDC3A-00-00.mrimgx",
        "macrium", "2394E9AA621DDC3A", FULL, "2394E9AA621DDC3A", 0, None,
    ),
    ("584221F3840B0DBE-MP-Full-03-03.mrimg", "macrium", "MP", INC, "584221F3840B0DBE", 3, None),
    (
        "DD5A77E6B68A6C34-Full-01-01.mrimg",
        "macrium", "DD5A77E6B68A6C34", INC, "DD5A77E6B68A6C34", 1, None,
    ),
    (
        "AgentBack2024-09-16T164908.vib",
        "veeam", "AgentBack", INC, None, None, moment(2024, 9, 16, 16, 49, 8),
    ),
    (
        "BackupJob1_2024-02-27T114047.vbk",
        "veeam", "BackupJob1", FULL, None, None, moment(2024, 2, 27, 11, 40, 47),
    ),
    (
        "db1/DIFF/SQL2008_db1_DIFF_20170518_041826.bak",
        "ola-hallengren", "SQL2008_db1", DIFF, None, None,
        moment(2017, 5, 18, 4, 18, 26),
    ),
    # Names as the programs' documents have them.
    ("JobNameD2026-11-01T220000_AB12.vrb", "veeam", "JobName", INC, None, None, NIGHT),
    ("VM.vm-12D2026-11-01T220000_AB12.vbk", "veeam", "VM.vm-12", FULL, None, None, NIGHT),
    ("ServerD2026-11-01T220000.vbk", "veeam", "ServerD", FULL, None, None, NIGHT),
    ("ServerDD2026-11-01T220000_AB12.vbk", "veeam", "ServerD", FULL, None, None, NIGHT),
    (
        "vzdump-qemu-100-2026_11_01-22_00_00.vma.zst",
        "proxmox", "vzdump-qemu-100", FULL, None, None, NIGHT,
    ),
    ("SRV_inc_b2_s3_v1.tib", "acronis", "SRV", INC, "b2", 3, None),
    ("SRV_full_b1_s1_v1-2.tib", "acronis", "SRV", FULL, "b1", 1, None),
    ("SRV-0001.tibx", "acronis-archive", "SRV", None, None, 1, None),
    ("C_VOL-b001.spf", "shadowprotect", "C_VOL", FULL, "b1", 0, None),
    ("C_VOL-b001-i1971.spi", "shadowprotect", "C_VOL", INC, "b1", 1971, None),
    ("C_VOL-b001-d002-i000.spi", "shadowprotect", "C_VOL", DIFF, "b1", 2, None),
    (
        "System Reserved_VOL-b001-d002-i003-cd-cw.spi",
        "shadowprotect", "System Reserved_VOL", INC, "b1-d2", 3, None,
    ),
    ("SRV_C_Drive001.v2i", "veritas", "SRV_C_Drive", FULL, "001", 0, None),
    ("SRV_C_Drive001_i003.iv2i", "veritas", "SRV_C_Drive", INC, "001", 3, None),
    ("SRV123002.v2i", "veritas", "SRV123", FULL, "002", 0, None),
    (
        "c1/261101-2200_Image_C/Image_C_261101-2200.vhdz",
        "urbackup", "Image_C", None, None, None, NIGHT,
    ),
    (
        "WindowsImageBackup/S1/Backup 2026-11-01 220000/6b1e-11.vhdx",
        "windows-image", "6b1e-11", None, None, None, NIGHT,
    ),
    (
        "S$I_DB_FULL_COPY_ONLY_20261101_220000_1.bak",
        "ola-hallengren", "S$I_DB_COPY_ONLY", FULL, None, None, NIGHT,
    ),
    ("db_backup_2026_11_01_220000_1234567.bak", "maintenance-plan", "db", None, None, None, NIGHT),
    ("db_backup_2026_11_01_220000_1234567.trn", "maintenance-plan", "db", LOG, None, None, NIGHT),
    ("SRV.001", "split", "SRV", None, "SRV", 1, None),
    ("SRV-2026-11-01.vhdx.102", "split", "SRV", None, "SRV-2026-11-01.vhdx", 102, DAY),
    (
        "sda1.ntfs-ptcl-img.gz.ac",
        "split", "sda1.ntfs-ptcl-img", None, "sda1.ntfs-ptcl-img.gz", 3, None,
    ),
]  # fmt: skip


@pytest.mark.parametrize("line", PROGRAMS, ids=lambda line: line[0])
def test_names_that_programs_give(line):
    assert read(line[0]) == line[1:]


GENERAL = [
    ("SRV_full_2026-11-01.vhdx", "SRV", FULL, None, DAY),
    ("SRV-Full-20261101-220000.vhdx", "SRV", FULL, None, NIGHT),
    ("20261101220000 SRV.tar.gz", "SRV", None, None, NIGHT),
    ("SRV_202611012200.bak", "SRV", None, None, NIGHT),
    ("SRV 2026-11-01T22:00:00Z.raw", "SRV", None, None, NIGHT),
    ("SRV1 (2026-11-01 22-00).vhdx", "SRV1", None, None, NIGHT),
    ("SRV1 [full] copy.vhdx", "SRV1 copy", FULL, None, None),
    ("01.11.2026 SRV.img", "SRV", None, None, DAY),
    ("SRV_30-01-2026.img", "SRV", None, None, moment(2026, 1, 30)),
    ("SRV_01-30-2026.img", "SRV", None, None, moment(2026, 1, 30)),
    ("SRV_01-11-2026.img", "SRV", None, None, None),  # the first of November, or the other way
    ("2026-11-01-clinic-img", "clinic-img", None, None, DAY),
    ("clinic_2026-11-01_C.vhd", "clinic_C", None, None, DAY),
    ("SRV1/inc-003.qcow2", "SRV1", INC, 3, None),
    ("SRV1/full_1.vhdx", "SRV1", FULL, 1, None),
    ("SRV1/snap12.qcow2", "SRV1", None, 12, None),
    ("difftest-diff2.bak", "difftest", DIFF, 2, None),
    ("SRV_differential.vhdx", "SRV", DIFF, None, None),
    ("SRV_incr.vhdx", "SRV", INC, None, None),
    ("SRV.INCREMENTAL.007.vhdx", "SRV", INC, 7, None),
    ("SRV_dif_2026-11-01.bak", "SRV", DIFF, None, DAY),
    ("backup-log.bak", "backup", LOG, None, None),
    ("db_log_7.trn", "db", LOG, 7, None),
    ("db.dif", "db", DIFF, None, None),
    ("test13.vbk.gz", "test13", FULL, None, None),
    # Two kinds at once: which one is meant is not known, so nothing is taken out.
    ("db_full_diff.bak", "db_full_diff", None, None, None),
    ("db_full.trn", "db_full", LOG, None, None),
    # No such day.
    ("SRV_20260230.bak", "SRV_20260230", None, None, None),
    ("SRV_2026-13-01.bak", "SRV_2026-13-01", None, None, None),
    # The end of a longer number.
    ("SRV_720261101.bak", "SRV_720261101", None, None, None),
]


@pytest.mark.parametrize("line", GENERAL, ids=lambda line: line[0])
def test_names_that_people_give(line):
    path, *expected = line
    grammar, stem, kind, set_id, number, at = read(path)
    assert [stem, kind, number, at] == expected
    assert (grammar, set_id) == ("generic", None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vm-100.qcow2", "vm-101.qcow2"),
        ("vm1-disk0.raw", "vm1-disk1.raw"),
        ("SRV2019-C.vhdx", "SRV2022-C.vhdx"),
        ("SRV-2019-01.vhdx", "SRV-2019-02.vhdx"),
        ("vm-20261101-1001.vhdx", "vm-20261101-1002.vhdx"),  # a time, or the number of a guest
        ("20261101_1001.vhdx", "20261101_1002.vhdx"),
        ("backup_2026-11-01_10-01.img", "backup_2026-11-01_10-02.img"),
        ("SRV-2026-11-01-01.vhdx", "SRV-2026-11-01-02.vhdx"),
        ("vm-full-100.vhdx", "vm-full-101.vhdx"),
        ("dc-inc-2019.vhdx", "dc-inc-2022.vhdx"),
        ("srv-log-01.vhdx", "srv-log-02.vhdx"),  # two servers that keep logs
        ("log01.bak", "log02.bak"),
        ("log-server.vhdx", "server.vhdx"),
        ("snapshot-server.vhdx", "server.vhdx"),
        ("10.0.0.101", "10.0.0.102"),
        ("10.0.0.001", "10.0.0.002"),
        ("vm.101", "vm.102"),
        ("srv1.clinic.local", "srv1.branch.local"),
        ("A/C.vhdx", "B/C.vhdx"),
        ("A/2026-11-01/full.vhdx", "B/2026-11-01/full.vhdx"),
        ("srv.bak", "srv.vhdx"),  # a database is not the machine of that name
        (
            "WindowsImageBackup/A/Backup 2026-11-01 220000/x.vhdx",
            "WindowsImageBackup/B/Backup 2026-11-01 220000/x.vhdx",
        ),
        ("2394E9AA621DDC3A-00-00.mrimg", "584221F3840B0DBE-00-00.mrimg"),
        ("VM-D2026-11-01T220000.vbk", "VM-2026-11-01T220000.vbk"),
        ("vzdump-qemu-100-2026_11_01-22_00_00.vma", "vzdump-lxc-100-2026_11_01-22_00_00.vma"),
        ("261101-2200.vhdx", "261101-2201.vhdx"),
        ("backups/2026-11-01_1001/disk.vhd", "backups/2026-11-01_1002/disk.vhd"),
        ("daily.0/vm1.qcow2", "daily.0/vm2.qcow2"),
        ("site.0/disk.qcow2", "site.1/disk.qcow2"),
        (
            "sr/web_3D5E1F0A-6C2B-4F6E-9E0B-0123456789AB.vhdx",
            "sr/web_3D5E1F0A-6C2B-4F6E-9E0B-0123456789AC.vhdx",
        ),
        ("k/261101-2200/x.vhdx", "k/261101-2201/x.vhdx"),
        ("fulltime.vhdx", "time.vhdx"),
        ("überfull.vhdx", "über.vhdx"),
        ("C_VOL-b001.spf", "D_VOL-b001.spf"),
    ],
)
def test_two_sources_are_not_read_as_one(one, other):
    assert source_of(one) != source_of(other)


@given(st.text("abSRV-_. disk", max_size=12), st.integers(0, 99_999), st.integers(0, 99_999))
@settings(deadline=None, max_examples=200)
def test_a_number_that_is_no_date_tells_two_machines_apart(text, one, other):
    assume(one != other)
    names = [f"x/{text}{number}-C.qcow2" for number in (one, other)]
    assert source_of(names[0]) != source_of(names[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("D/FULL/s_D_FULL_20261101_220000.bak", "D/LOG/s_D_LOG_20261102_220000.trn"),
        ("V/V-2026-11-01_22-00-00/V-flat.vmdk", "V/V-2026-11-02_22-00-00/V-flat.vmdk"),
        ("vm/100/2026-01-05T02:00:00Z/a.img.fidx", "vm/100/2026-01-06T02:00:00Z/a.img.fidx"),
        ("S/2026-11-01/full.vhdx", "S/2026-11-02/inc1.vhdx"),
        ("SRV1/2026-11-01_2200/disk0.vhd", "SRV1/2026-11-02_2203/disk0.vhd"),
        ("SRV1/2026-11-01 22-00/disk0.vhd", "SRV1/2026-11-02 22-17/disk0.vhd"),
        ("daily.0/vm1.qcow2", "weekly.3/vm1.qcow2"),  # rsnapshot
        (
            "vm/web.vhdx",
            "vm/web_3D5E1F0A-6C2B-4F6E-9E0B-0123456789AB.avhdx",  # a checkpoint of Hyper-V
        ),
        ("full.xb", "inc1.xb"),
        ("2026-11-01T220000.vbk", "2026-11-02T220000.vib"),
        ("image.vhd", "image-differential.vhd"),
    (
        "c/261101-2200_Image_C/Image_C_261101-2200.vhd",
        "c/261102-2200_Image_C/Image_C_261102-2200.vhd",
    ),
        ("584221F3840B0DBE-MP-00-00.mrimg", "684221F3840B0DBE-MP-00-00.mrimg"),
    ],
)  # fmt: skip
def test_one_source_is_read_as_one(one, other):
    assert source_of(one) == source_of(other)


def test_what_has_no_name_of_its_own_is_named_after_its_folder():
    assert read_name("nas/SRV1/2026-11-01.bak").stem == "SRV1"
    assert read_name("SRV1/2026-11-01/full.bak").stem == "SRV1"
    assert read_name("full.bak").stem == "*"
    assert read_name("").stem == "*"


def test_a_date_in_the_folder_counts_where_the_name_has_none():
    assert read_name("SRV1/2026-11-01/full.bak").at == DAY
    assert read_name("SRV1/2026-11-02/full_2026-11-01.bak").at == DAY


def test_a_rollback_needs_what_is_newer():
    assert read_name("JobD2026-11-01T220000_AB12.vrb").backwards
    assert read_name("renamed.vrb").backwards
    assert not read_name("JobD2026-11-01T220000_AB12.vib").backwards


anything = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            [
                "2026",
                "-",
                "_",
                ".",
                "/",
                " ",
                "11",
                "01",
                "T",
                "2200",
                "00",
                "full",
                "inc",
                "D",
                "é",
                "log",
                "vbk",
                "mrimg",
                "bak",
                "gz",
                "b1",
                "s1",
                "v1",
                "tib",
                "srv",
                "\0",
                "001",
            ]
        ),
        max_size=24,
    ).map("".join),
)


@given(anything)
@example("\u0662\u0660\u0662\u0666-\u0661\u0661-\u0660\u0661.bak")
@example("\udce9/\udce9.001")
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_the_same_each_time_and_names_a_source(path):
    reading = read_name(path)
    assert reading.stem
    assert reading == read_name(path)
    assert reading.number is None or reading.number >= 0


DATED = [
    "SRV1_{:%Y-%m-%d}.vhdx",
    "full {:%Y%m%d_%H%M%S}.bak",
    "vm{:%Y%m%d}.img.gz",
    "SRV1-{:%Y-%m-%d_%H-%M}.raw",
    "{:%d.%m.%Y %H.%M} clinic.tar",
    "S/{:%Y%m%d%H%M%S}/disk0.vmdk",
    "JobD{:%Y-%m-%dT%H%M%S}_AB12.vbk",
    "vzdump-lxc-7-{:%Y_%m_%d-%H_%M_%S}.tar.zst",
    "c/{:%y%m%d-%H%M}_Image_C/Image_C_{:%y%m%d-%H%M}.vhdz",
    "WindowsImageBackup/S/Backup {:%Y-%m-%d %H%M%S}/a.vhdx",
    "S_D_LOG_{:%Y%m%d_%H%M%S}.trn",
    "d_backup_{:%Y_%m_%d_%H%M%S}_0000001.bak",
]
times = st.datetimes(moment(2000, 1, 1), moment(2068, 12, 31))


@given(st.sampled_from(DATED), times, times)
@settings(deadline=None, max_examples=200)
def test_another_date_is_the_same_source(pattern, one, other):
    names = [pattern.format(at, at) for at in (one, other)]
    assert source_of(names[0]) == source_of(names[1])
    assert read_name(names[0]).at.date() == one.date()


# Each repeats what some pattern may repeat, and ends in what it does not accept.
HOSTILE = """
from scanner.judge.names.reading import read_name
parts = ["2026-11-01", "2026", "20261101_", "01.11.2026 ", "-b001", "_i003", "_full_b1_s1_v1", "0"]
parts += ["full", "inc-", "D2026-11-01T220000_AB12", ".gz", ".001", "-00", "a-00-00.mrimg"]
parts += ["_FULL_"]
parts += ["_backup_2026_11_01_220000", "WindowsImageBackup/", "WindowsImageBackup/a/Backup ", "/"]
parts += ["Image_C_261101-2200", "vzdump-qemu-1-", "(", "[]", "-cd", ".", "_", "001", "log", "T"]
parts += [" "]
ends = ["", "!", ".mrimg", ".vbk", ".tib", ".spf", ".iv2i", ".tibx", ".bak", ".vhdx", "/x.vhdx"]
for part in parts:
    for end in ends:
        for head in ("", "0" * 16 + "-"):
            read_name(head + part * (4096 // len(part)) + end)
"""


def test_the_longest_names_are_read_in_no_time():
    subprocess.run([sys.executable, "-c", HOSTILE], check=True, timeout=60)


def links(*names):
    return sequences([read_name(name) for name in names])


def befores(*names):
    return [link.before for link in links(*names)]


def holes(*names):
    return [tuple(link.missing) for link in links(*names)]


def macrium(*numbers):
    return [f"584221F3840B0DBE-MP-{number:02}-{number:02}.mrimg" for number in numbers]


def test_each_incremental_follows_the_one_before_it():
    assert befores(*macrium(2, 0, 1)) == [2, None, 1]
    assert befores("full.xb", "inc1.xb", "inc2.xb") == [None, 0, 1]
    assert befores("full.xb", "inc10.xb", "inc9.xb") == [None, 2, 0]


def test_each_differential_follows_the_last_full():
    days = [f"S_{kind}_2026-11-0{day}.vhdx" for day, kind in enumerate(["full", *["diff"] * 3], 1)]
    again = [f"S_{kind}_2026-11-1{day}.vhdx" for day, kind in enumerate(["full", "diff"])]
    assert befores(*days, *again) == [None, 0, 0, 0, None, 4]


def test_an_incremental_may_follow_a_differential():
    names = ["S_full_2026-11-01.img", "S_diff_2026-11-02.img", "S_inc_2026-11-03.img"]
    assert befores(*names) == [None, 0, 1]


def test_a_log_follows_the_last_log_or_the_full_and_no_differential():
    names = ["D_FULL_20261101_220000.bak", "D_LOG_20261101_230000.trn"]
    names += ["D_DIFF_20261102_220000.bak", "D_LOG_20261102_230000.trn"]
    assert befores(*names) == [None, 0, 0, 1]


def test_without_a_full_nothing_comes_before_the_first():
    assert befores(*macrium(1, 2)) == [None, 0]
    assert befores("S/inc1.img", "S/diff1.img", "S/log1.trn") == [None, None, None]


def test_a_rollback_follows_the_newer_image():
    names = [f"Job2026-11-0{day}T220000" for day in (1, 2, 3)]
    names = [f"{names[0]}.vrb", f"{names[1]}.vrb", f"{names[2]}.vbk"]
    assert befores(*names) == [1, 2, None]


def test_a_forward_increment_does_not_follow_a_rollback():
    names = ["J2026-11-01T220000.vrb", "J2026-11-02T220000.vbk", "J2026-11-03T220000.vib"]
    names += ["J2026-11-04T220000.vib"]
    assert befores(*names) == [1, None, 1, 2]


def test_an_increment_skips_a_rollback_that_lies_before_it():
    names = ["J2026-11-01T220000.vbk", "J2026-11-02T220000.vrb", "J2026-11-03T220000.vib"]
    assert befores(*names) == [None, None, 0]


def test_a_rollback_follows_the_first_of_two_copies():
    names = ["J2026-11-01T220000.vrb", "J2026-11-02T220000.vbk", "JD2026-11-02T220000_AB12.vbk"]
    assert befores(*names) == [1, None, None]


def test_sources_folders_and_sets_are_kept_apart():
    assert befores("a/full.xb", "b/inc1.xb") == [None, None]
    assert befores("S_full_2026-11-01.img", "T_inc_2026-11-02.img") == [None, None]
    assert befores("S_full_b1_s1_v1.tib", "S_inc_b2_s2_v1.tib") == [None, None]
    assert befores("S_full_2026-11-01.bak", "S_inc_2026-11-02.vhdx") == [None, None]


def test_numbers_of_several_fulls_without_a_date_are_no_order():
    names = ["S_full_1.img", "S_inc_1.img", "S_full_2.img", "S_inc_2.img"]
    assert links(*names) == (NameLink(None, NO_NUMBERS),) * 4


def test_a_full_comes_first_whatever_its_number():
    assert links("S_full_5.img", "S_inc_1.img", "S_inc_3.img") == (
        NameLink(None, NO_NUMBERS),
        NameLink(0, NO_NUMBERS),
        NameLink(1, range(2, 3)),
    )


def test_differentials_and_incrementals_that_people_number_are_counted_apart():
    names = ["S/full.img", "S/diff1.img", "S/inc1.img", "S/inc2.img", "S/diff2.img"]
    assert befores(*names) == [None, 0, 0, 2, 0]
    assert holes(*names) == [()] * 5


def test_names_without_an_order_are_not_put_in_one():
    names = ["S_full_2026-11-01.img", "S_full_2026-11-08.img", "S_inc3.img"]
    assert links(*names) == (NameLink(None, NO_NUMBERS),) * 3


def test_times_come_before_numbers_that_people_write():
    names = ["S_full_1_2026-11-01.img", "S_inc_1_2026-11-02.img", "S_inc_2_2026-11-03.img"]
    names += ["S_full_2_2026-11-08.img", "S_inc_1_2026-11-09.img"]
    assert befores(*names) == [None, 0, 1, None, 3]
    assert holes(*names) == [()] * 5


def test_copies_of_one_image_follow_the_same_and_not_each_other():
    names = ["S_full_2026-11-01.img", "S_inc_2026-11-02.img", "S_inc_2026-11-02.img.gz"]
    names += ["S_inc_2026-11-03.img"]
    assert befores(*names) == [None, 0, 0, 1]


def test_missing_numbers_are_a_hole():
    assert holes(*macrium(0, 1, 4)) == [(), (), (2, 3)]
    assert holes("full.xb", "inc1.xb", "inc3.xb") == [(), (), (2,)]
    assert holes("full.xb", "inc3.xb") == [(), (1, 2)]
    assert holes("C_VOL-b001.spf", "C_VOL-b001-i002.spi") == [(), (1,)]
    assert holes("S_full_b1_s1_v1.tib", "S_inc_b1_s2_v1.tib") == [(), ()]


def test_the_numbers_before_the_first_are_missing_too():
    assert holes(*macrium(2)) == [(0, 1)]
    assert holes("S/inc3.img") == [(1, 2)]


def test_a_differential_misses_no_number():
    names = ["C_VOL-b001.spf", "C_VOL-b001-d003-i000.spi"]
    assert links(*names)[1] == NameLink(0, NO_NUMBERS)


def test_a_huge_number_costs_nothing():
    assert links("S/inc000001.img", "S/inc099999.img")[1] == NameLink(0, range(2, 99_999))


def test_pieces_need_all_their_numbers_and_each_file_has_its_own():
    assert holes("S.img.001", "S.img.004", "T.img.003") == [(), (2, 3), (1, 2)]
    assert holes("S.img.000", "S.img.001", "S-2026-11-01.img.002") == [(), (), (1,)]
    assert befores("S.img.001", "S.img.002") == [None, None]


def test_an_unknown_kind_is_not_put_into_a_chain():
    names = ["S_full_2026-11-01.img", "S_2026-11-02.img", "S_inc_2026-11-03.img"]
    assert befores(*names) == [None, None, 0]


@given(st.permutations([*macrium(0, 1, 3), "a/full.xb", "a/inc1.xb", "a/inc2.xb", "a/diff1.xb"]))
@settings(deadline=None, max_examples=50)
def test_the_order_of_discovery_changes_nothing(names):
    found = {
        name: (None if link.before is None else names[link.before], link.missing)
        for name, link in zip(names, links(*names), strict=True)
    }
    m0, m1, m3 = macrium(0, 1, 3)
    assert found[m0], found[m1] == ((None, NO_NUMBERS), (m0, NO_NUMBERS))
    assert found[m3] == (m1, range(2, 3))
    assert found["a/inc2.xb"][1] == NO_NUMBERS
    assert found["a/diff1.xb"] == ("a/full.xb", NO_NUMBERS)


def test_no_names_have_no_links():
    assert sequences([]) == ()
