"""``bakproof bak``: the commands administrators know, on backups made by the builder."""

import csv
import io
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from tests.builders.sqlserver_bak import Medium, Recipe, write_backup, write_stripes
from tests.scanner.outlets.golden import assert_golden
from tests.scanner.test_cli import OLD, Bench

BASE = UUID(int=0xF0)
SMALL = 2 << 20
# The day after the one that the builder's backups are of.
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    (tmp_path / "backups").mkdir()
    return Bench(tmp_path, capsys, NOW)


# Status of a database: page checksums, and the log truncated at checkpoints.
SIMPLE_MODEL = 0x10008


def put(bench: Bench, file_name: str, /, **recipe: object) -> Path:
    path = bench.repository / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_backup(file, **({"database_bytes": SMALL} | recipe))  # type: ignore[arg-type]
    os.utime(path, (OLD, OLD))
    return path


def put_chain(bench: Bench, **recipe: object) -> None:
    """A full, a differential on it, and a log that goes further than both."""
    put(bench, "a full.bak", guid=BASE, **recipe)
    put(bench, "b diff.bak", letter="I", guid=UUID(int=0xD1), base_guid=BASE, **recipe)
    put(bench, "c log.trn", letter="L", guid=UUID(int=0xE1), log_blocks=12, **recipe)


def said(bench: Bench, *arguments: str) -> str:
    """Return what a command printed, with the repository where it would lie."""
    code, out, err = bench.run("bak", *arguments)
    assert (code, err) == (0, "")
    return out.replace(str(bench.repository), "/srv/backups")


def test_headers_of_a_full_backup(bench: Bench) -> None:
    path = put(bench, "full.bak", checksum=True)
    assert_golden("bak-headers.txt", said(bench, "headers", str(path)))


def test_headers_have_a_row_for_each_set_of_the_file(bench: Bench) -> None:
    path = bench.repository / "two.bak"
    with path.open("wb") as file:
        medium = Medium(file)
        medium.add_set(Recipe(database_bytes=SMALL, guid=BASE))
        medium.add_set(Recipe(database_bytes=SMALL, letter="I", base_guid=BASE))
    found = json.loads(said(bench, "headers", str(path), "--json"))
    assert [(row["Position"], row["BackupTypeDescription"]) for row in found["rows"]] == [
        (1, "Database"),
        (2, "Database Differential"),
    ]
    assert [row["DifferentialBaseGUID"] for row in found["rows"]] == [
        None,
        "00000000-0000-0000-0000-0000000000F0",
    ]
    assert "backup set 2 of 2\n" in said(bench, "headers", str(path))


def test_headers_in_json_have_microsofts_columns_in_order(bench: Bench) -> None:
    path = put(bench, "full.bak")
    found = json.loads(said(bench, "headers", str(path), "--json"))
    assert found["v"] == 1
    assert found["path"] == "/srv/backups/full.bak"
    assert len(found["columns"]) == 59
    assert list(found["rows"][0]) == found["columns"]
    assert found["columns"][:4] == [
        "BackupName",
        "BackupDescription",
        "BackupType",
        "ExpirationDate",
    ]
    assert found["columns"][-2:] == ["TimeZone", "CompressionAlgorithm"]
    row = found["rows"][0]
    assert row["FirstLSN"] == "40000000020000037"
    assert row["DatabaseBackupLSN"] == "0", "there was no full before this one"
    assert row["BackupFinishDate"] == "2026-11-21 20:40:03.000"
    assert row["HasBackupChecksums"] == 0
    assert row["ExpirationDate"] is None


def test_headers_as_csv_can_be_read_back(bench: Bench) -> None:
    path = put(bench, "full.bak", name='Orders, "old"')
    names, cells = csv.reader(io.StringIO(said(bench, "headers", str(path), "--csv")))
    row = dict(zip(names, cells, strict=True))
    assert row["DatabaseName"] == 'Orders, "old"'
    assert row["BackupType"] == "1"
    assert row["ExpirationDate"] == ""


def test_files_of_a_full_backup(bench: Bench) -> None:
    path = put(bench, "full.bak")
    assert_golden("bak-files.txt", said(bench, "files", str(path)))


def test_files_of_another_set_are_chosen_by_its_number(bench: Bench) -> None:
    path = bench.repository / "two.bak"
    with path.open("wb") as file:
        medium = Medium(file)
        medium.add_set(Recipe(database_bytes=SMALL, name="Orders"))
        medium.add_set(Recipe(database_bytes=SMALL, name="Stock"))
    for number, name in (("1", "Orders"), ("2", "Stock")):
        code, out, err = bench.run("bak", "files", str(path), "--set", number, "--json")
        assert (code, err) == (0, f"bakproof: set {number} of 2; --set chooses another\n")
        assert [row["LogicalName"] for row in json.loads(out)["rows"]] == [name, f"{name}_log"]
    code, out, err = bench.run("bak", "files", str(path), "--set", "3")
    assert (code, out) == (2, "")
    assert err == f"bakproof: {str(path)!r} has no backup set 3; it holds 2\n"


def test_label_of_a_stripe(bench: Bench) -> None:
    paths = [bench.repository / f"s{number}.bak" for number in (1, 2)]
    with paths[0].open("wb") as one, paths[1].open("wb") as two:
        write_stripes([one, two], Recipe(database_bytes=SMALL))
    assert_golden("bak-label.txt", said(bench, "label", str(paths[1])))


def test_medium_without_a_set_has_a_label_and_no_headers(bench: Bench) -> None:
    path = bench.repository / "empty.bak"
    with path.open("wb") as file:
        Medium(file)
    code, out, _ = bench.run("bak", "label", str(path))
    assert code == 0
    assert "SoftwareName          Microsoft SQL Server\n" in out
    for command in ("headers", "files"):
        code, out, err = bench.run("bak", command, str(path))
        assert (code, out) == (4, "")
        noun = "backup set" if command == "headers" else "file"
        assert err.endswith(f"bakproof: {str(path)!r} tells of no {noun}\n")


def test_damaged_backup_says_what_it_can_and_that_something_is_wrong(bench: Bench) -> None:
    path = put(bench, "full.bak")
    os.truncate(path, path.stat().st_size - 1)
    code, out, err = bench.run("bak", "headers", str(path))
    assert code == 0
    assert "DatabaseName            Orders\n" in out
    assert err.startswith(f"bakproof: {str(path)!r}: sqlserver_bak.file.needed at ")


@pytest.mark.parametrize("command", ["headers", "files", "label"])
def test_file_that_is_not_there_or_no_backup_is_refused(bench: Bench, command: str) -> None:
    missing = str(bench.folder / "nowhere.bak")
    assert bench.run("bak", command, missing) == (
        10,
        "",
        f"bakproof: {missing!r}: No such file or directory\n",
    )
    for content in (b"", b"TAPE", b"not a backup at all" * 1000):
        other = str(bench.put("other.bak", content))
        assert bench.run("bak", command, other) == (
            2,
            "",
            f"bakproof: {other!r} is no SQL Server backup\n",
        )
    code, out, err = bench.run("bak", command, str(bench.folder))
    assert (code, out) == (10, "")
    assert err == f"bakproof: {str(bench.folder)!r}: not a regular file\n"


def test_link_to_a_backup_is_followed(bench: Bench) -> None:
    path = put(bench, "full.bak")
    link = bench.folder / "link.bak"
    link.symlink_to(path)
    assert "DatabaseName            Orders\n" in said(bench, "headers", str(link))


def test_json_and_csv_exclude_each_other(bench: Bench) -> None:
    path = put(bench, "full.bak")
    code, out, _ = bench.run("bak", "headers", str(path), "--json", "--csv")
    assert (code, out) == (2, "")


def test_hostile_names_reach_the_terminal_as_escapes(bench: Bench) -> None:
    path = put(bench, "full.bak", name="\x1b[2J\u202eOrders")
    out = said(bench, "headers", str(path))
    assert "DatabaseName            \\x1b[2J\\u202eOrders\n" in out
    assert "\x1b" not in out


def test_headers_write_nothing(bench: Bench) -> None:
    path = put(bench, "full.bak")
    before = stamps(bench.folder)
    said(bench, "headers", str(path))
    assert stamps(bench.folder) == before


def stamps(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return size and times of everything in a folder, but for when it was last read."""
    found = {item: item.stat() for item in (folder, *folder.rglob("*"))}
    return {item: (one.st_size, one.st_mtime_ns, one.st_ctime_ns) for item, one in found.items()}


def test_restore_plan_lists_the_files_in_order(bench: Bench) -> None:
    put_chain(bench)
    bench.scan()
    assert_golden("bak-restore-plan.txt", said(bench, "restore-plan", "Orders"))


def test_restore_plan_as_statements(bench: Bench) -> None:
    put_chain(bench)
    bench.scan()
    assert_golden("bak-restore-plan.sql", said(bench, "restore-plan", "Orders", "--tsql"))


def test_restore_plan_of_stripes_names_every_one(bench: Bench) -> None:
    paths = [bench.repository / f"s{number}.bak" for number in (1, 2)]
    with paths[0].open("wb") as one, paths[1].open("wb") as two:
        write_stripes([one, two], Recipe(database_bytes=SMALL))
    bench.scan()
    assert (
        "    FROM DISK = N'/srv/backups/s1.bak',\n         DISK = N'/srv/backups/s2.bak'\n"
        in said(bench, "restore-plan", "Orders", "--tsql")
    )


def test_statements_quote_names_and_paths(bench: Bench) -> None:
    name = "O'Brien]; DROP DATABASE [x"
    put(bench, "it's; a.bak", name=name)
    bench.scan()
    out = said(bench, "restore-plan", name, "--tsql")
    assert "\nRESTORE DATABASE [O'Brien]]; DROP DATABASE [x]\n" in out
    assert "    FROM DISK = N'/srv/backups/it''s; a.bak'\n" in out


def test_names_that_no_script_can_hold_are_refused(bench: Bench) -> None:
    put(bench, "a.bak", name="Orders\nGO\nDROP DATABASE x")
    bench.scan()
    code, out, err = bench.run("bak", "restore-plan", "Orders\nGO\nDROP DATABASE x", "--tsql")
    assert (code, out) == (2, "")
    assert err.endswith("has characters that cannot stand in a script\n")


def test_restore_plan_in_json(bench: Bench) -> None:
    put_chain(bench)
    bench.scan()
    found = json.loads(said(bench, "restore-plan", "NAS\\SQL/Orders", "--json"))
    assert (found["v"], found["database"], found["complete"]) == (1, "NAS\\SQL/Orders", True)
    assert [(step["kind"], step["files"], step["set"]) for step in found["steps"]] == [
        ("full", ["/srv/backups/a full.bak"], 1),
        ("log", ["/srv/backups/c log.trn"], 1),
    ]
    assert found["missing"] == []
    assert found["reached"] == "2026-11-21T20:40:03+01:00"


def test_chain_without_its_full_has_no_plan_and_says_what_is_missing(bench: Bench) -> None:
    put_chain(bench)
    (bench.repository / "a full.bak").unlink()
    bench.scan()
    code, out, err = bench.run("bak", "restore-plan", "Orders")
    assert (code, err) == (4, "")
    assert out.replace(str(bench.repository), "/srv/backups") == (
        "'NAS\\SQL/Orders': nothing is proven restorable\n"
        "restorable times: none\n"
        "missing:\n"
        "      2026-11-21 20:40:03+01:00: differential '/srv/backups/b diff.bak' set 1 cannot be "
        "restored: the full backup it is based on is not there\n"
    )


def test_damaged_differential_is_left_out_of_the_plan(bench: Bench) -> None:
    put_chain(bench)
    path = bench.repository / "b diff.bak"
    os.truncate(path, path.stat().st_size // 2)
    os.utime(path, (OLD, OLD))
    bench.scan()
    out = said(bench, "restore-plan", "Orders")
    assert out.startswith("'NAS\\SQL/Orders': restorable up to 2026-11-21 20:40:03+01:00\n")
    assert "set 1 cannot be restored: it is incomplete itself\n" in out


def test_time_that_no_backup_holds_exits_4(bench: Bench) -> None:
    put_chain(bench)
    bench.scan()
    code, out, _ = bench.run("bak", "restore-plan", "Orders", "--at", "2026-11-21 21:00")
    assert code == 4
    assert out.startswith("'NAS\\SQL/Orders': 2026-11-21 21:00:00 is in no backup that restores\n")


def test_database_name_may_be_written_in_any_case_and_with_its_server(bench: Bench) -> None:
    put_chain(bench)
    bench.scan()
    for name in ("orders", "nas\\sql/ORDERS", "NAS\\SQL/Orders"):
        assert bench.run("bak", "restore-plan", name)[0] == 0


def test_database_of_several_servers_must_be_told_apart(bench: Bench) -> None:
    put(bench, "one.bak", server="SRV1")
    put(bench, "two.bak", server="SRV2\\INST")
    # The builder's databases are of one family, as a database and its copies are.
    family = UUID(int=0x5555).bytes_le
    blob = (bench.repository / "two.bak").read_bytes()
    assert blob.count(family) == 2
    (bench.repository / "two.bak").write_bytes(blob.replace(family, UUID(int=0x8888).bytes_le))
    bench.scan()
    code, out, err = bench.run("bak", "restore-plan", "Orders")
    assert (code, out) == (2, "")
    assert err == ("bakproof: 'Orders' may mean 'SRV1/Orders', 'SRV2\\INST/Orders': say which\n")
    code, _, _ = bench.run("bak", "restore-plan", "SRV1/Orders")
    assert code == 0


def test_database_or_ledger_nobody_knows_exits_10(bench: Bench) -> None:
    code, out, err = bench.run("bak", "restore-plan", "Orders")
    assert (code, out) == (10, "")
    assert repr(str(bench.ledger)) in err
    bench.scan()
    assert bench.run("bak", "restore-plan", "Orders") == (
        10,
        "",
        "bakproof: the ledger knows no database 'Orders'\n",
    )


@pytest.mark.parametrize("wrong", [("--at", "noon"), ("--json", "--tsql")])
def test_restore_plan_refuses_what_makes_no_sense(bench: Bench, wrong: tuple[str, ...]) -> None:
    code, out, err = bench.run("bak", "restore-plan", "Orders", *wrong)
    assert (code, out) == (2, "")
    assert err


def test_warning_is_acknowledged_like_a_finding(bench: Bench) -> None:
    put(bench, "full.bak")
    bench.scan()
    _, out, _ = bench.run("status", "--json")
    warnings = json.loads(out)["warnings"]
    assert {(item["rule"], item["severity"]) for item in warnings} == {
        ("sql.no-checksum", "advice")
    }
    (advice,) = warnings
    code, out, err = bench.run(
        "ack", advice["id"], "--until", "2026-12-01", "--reason", "as agreed"
    )
    assert (code, err) == (0, "")
    assert out.startswith("'NAS\\\\SQL/Orders': 1 of 1 backup made without CHECKSUM")
    _, out, _ = bench.run("status", "--json")
    assert json.loads(out)["warnings"][0]["acknowledged"] is True


def test_warning_decides_the_exit_code_until_it_is_accepted(bench: Bench) -> None:
    """The file was known long before the backup in it was made: backups replace one another."""
    put(bench, "full.bak", checksum=True, status=SIMPLE_MODEL)
    bench.now = datetime(2026, 11, 1, tzinfo=UTC)
    bench.scan()
    bench.now = datetime(2026, 12, 31, tzinfo=UTC)
    assert bench.scan()[0] == 3
    code, out, _ = bench.run("status")
    assert code == 3
    line = (
        "warning: 'NAS\\SQL/Orders': the last full backup is 39 days old ('full.bak'), and nothing"
    )
    assert line in out
    code, out, _ = bench.run("status", "--json")
    (warning,) = json.loads(out)["warnings"]
    until = ("--until", "2027-01-31", "--reason", "retired")
    assert bench.run("ack", warning["id"], *until)[0] == 0
    code, out, _ = bench.run("status")
    assert code == 0
    assert "(acknowledged until 2027-01-31: retired)" in out


def test_advice_leaves_the_exit_code_alone(bench: Bench) -> None:
    put(bench, "full.bak")
    code, out, _ = bench.scan()
    assert code == 0
    assert "advice: 'NAS\\SQL/Orders': 1 of 1 backup made without CHECKSUM" in out


def test_scan_of_one_file_gives_no_advice_on_its_database(bench: Bench) -> None:
    put(bench, "full.bak")
    bench.scan()
    code, out, _ = bench.run("scan", str(bench.repository / "full.bak"), "--no-progress")
    assert code == 0
    assert "advice" not in out


def test_copy_of_a_chain_elsewhere_changes_no_plan(bench: Bench) -> None:
    put_chain(bench)
    bench.scan()
    before = said(bench, "restore-plan", "Orders", "--tsql")
    (bench.repository / "z copy").mkdir()
    for item in sorted(bench.repository.glob("*.*")):
        shutil.copy2(item, bench.repository / "z copy")
    bench.scan()
    assert said(bench, "restore-plan", "Orders", "--tsql") == before


def test_lone_stripe_is_said_to_lack_a_piece_and_not_another_backup(bench: Bench) -> None:
    paths = [bench.repository / f"s{number}.bak" for number in (1, 2)]
    with paths[0].open("wb") as one, paths[1].open("wb") as two:
        write_stripes([one, two], Recipe(database_bytes=SMALL))
    paths[0].unlink()
    os.utime(paths[1], (OLD, OLD))
    code, out, _ = bench.scan()
    assert code == 4
    assert "newest backup 's2.bak' is incomplete: a piece of it is missing" in out
    assert "Do first: look for piece 1 of 2, as 's2.bak' is one, else start a new full" in out
    assert "rule piece-missing: a piece of it is missing" in out


def test_backup_that_was_taken_away_is_missing_from_the_plan_as_such(bench: Bench) -> None:
    put_chain(bench)
    bench.scan()
    (bench.repository / "a full.bak").unlink()
    bench.scan()
    code, out, _ = bench.run("bak", "restore-plan", "Orders")
    assert code == 4
    assert "a full.bak' set 1 cannot be restored: its file is not there any more\n" in out
    code, out, _ = bench.run("bak", "restore-plan", "Orders", "--json")
    texts = {Path(row["files"][0]).name: row["text"] for row in json.loads(out)["missing"]}
    assert texts["a full.bak"] == "its file is not there any more"
