"""``bakproof config``, and what the configuration does to every other command."""

import json
from pathlib import Path

import pytest

from tests.builders.sqlserver_bak import write_backup
from tests.scanner.outlets.golden import assert_golden
from tests.scanner.test_cli import Bench

CLINIC = """
[limits]
settle = "20 min"

[defaults]
rto = "8 h"

[[repository]]
path = "{repository}"
allotment = "500 GB"
exclude = ["incoming"]

[[source]]
name = "clinic-db"
database = ["clinic/*"]
machine = "CLINIC"
expected = "800 GB"
schedule = "0 22 * * FRI"
rpo = "26 h"

[[source]]
name = "lab"
match = ["lab/**"]
required = false
"""


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    (tmp_path / "backups").mkdir()
    return Bench(tmp_path, capsys)


def configure(bench: Bench, text: str) -> None:
    bench.config.write_text(text.replace("{repository}", str(bench.repository)), "utf-8")


def put_database(bench: Bench, file_name: str, server: str) -> None:
    path = bench.put(file_name)
    with path.open("wb") as file:
        write_backup(file, database_bytes=2 << 20, server=server, name="Patients")


def checked(bench: Bench, *options: str) -> tuple[int, str]:
    code, out, err = bench.run("config", "check", *options)
    assert err == ""
    return code, out.replace(str(bench.folder), "/srv")


def read_paths(bench: Bench, *arguments: str) -> list[str]:
    """Return which files a scan told of."""
    _, out, _ = bench.run("scan", *arguments, "--no-progress", "--json")
    whole = json.loads(out)
    return sorted(row["path"] for part in ("images", "others") for row in whole[part])


def test_configuration_is_explained_beside_what_is_there(bench: Bench) -> None:
    put_database(bench, "sql/a.bak", "CLINIC")
    put_database(bench, "sql/b.bak", "OTHER")
    configure(bench, CLINIC)
    bench.scan()
    code, out = checked(bench)
    assert code == 3
    assert_golden("config-check.txt", out)


def test_configuration_that_fits_exits_0(bench: Bench) -> None:
    put_database(bench, "lab/a.bak", "CLINIC")
    configure(bench, CLINIC)
    bench.scan()
    code, out = checked(bench)
    assert code == 0
    assert "1 image in the ledger, 1 of them matched by a source above too\n" in out
    assert "of no declared source" not in out
    assert out.endswith("\nno mistakes, 0 warnings\n")


def test_source_that_only_images_of_gone_files_match_is_warned_of(bench: Bench) -> None:
    put_database(bench, "lab/a.bak", "CLINIC")
    configure(bench, CLINIC)
    bench.scan()
    (bench.repository / "lab" / "a.bak").unlink()
    bench.scan()
    code, out = checked(bench)
    assert code == 3
    assert "warning: nothing in the ledger matches source 'clinic-db'\n" in out


def test_repository_that_is_not_there_is_warned_of(bench: Bench) -> None:
    configure(bench, '[[repository]]\npath = "{repository}/nowhere"\n')
    code, out = checked(bench)
    assert code == 3
    path = "/srv/backups/nowhere"
    assert f"warning: repository '{path}' is not there: No such file or directory\n" in out


def test_file_in_the_place_of_a_repository_is_warned_of(bench: Bench) -> None:
    bench.put("file")
    configure(bench, '[[repository]]\npath = "{repository}/file"\n')
    assert checked(bench)[0] == 3
    assert "is not there: Not a directory\n" in checked(bench)[1]


def test_without_a_ledger_nothing_is_said_of_what_matches(bench: Bench) -> None:
    configure(bench, CLINIC)
    code, out = checked(bench)
    assert code == 0
    assert "no ledger yet" in out
    assert "in the ledger" not in out
    assert not bench.ledger.exists()


def test_ledger_that_was_asked_for_must_be_there(bench: Bench) -> None:
    code, out, err = bench.run("config", "check", "--ledger", str(bench.folder / "none.sqlite"))
    assert (code, out) == (10, "")
    assert "none.sqlite" in err


def test_every_mistake_is_told_and_nothing_else(bench: Bench) -> None:
    configure(bench, '[limit]\n[[source]]\nname = "a"\nrpo = "soon"\n')
    code, out, err = bench.run("config", "check")
    assert (code, out) == (2, "")
    assert err == (
        f"bakproof: {str(bench.config)!r} has 3 mistakes:\n"
        '  table "limit": unknown, did you mean "limits"?\n'
        '  source 1 ("a"), key "rpo": expected a duration such as "26 h", found "soon"\n'
        '  source 1 ("a"): expected "match" or "database", found none\n'
    )


def test_mistakes_are_told_in_json_too(bench: Bench) -> None:
    configure(bench, "[limit]\n")
    code, out, err = bench.run("config", "check", "--json")
    whole = json.loads(out)
    assert code == 2
    assert err
    assert whole["v"] == 1
    assert whole["file"] == str(bench.config)
    assert whole["mistakes"] == ['table "limit": unknown, did you mean "limits"?']
    assert whole["limits"] is None


def test_json_has_bytes_seconds_and_times_with_a_zone(bench: Bench) -> None:
    put_database(bench, "sql/a.bak", "CLINIC")
    configure(bench, CLINIC)
    bench.scan()
    code, out, _ = bench.run("config", "check", "--json")
    whole = json.loads(out)
    assert code == 3
    assert whole["mistakes"] == []
    assert whole["warnings"] == ["nothing in the ledger matches source 'lab'"]
    assert whole["limits"]["settle_seconds"] == 1200
    assert whole["defaults"] == {
        "rpo_seconds": None,
        "rto_seconds": 28_800,
        "database_age_seconds": 604_800,
        "undeclared": "advice",
    }
    (repository,) = whole["repositories"]
    assert repository["path"] == str(bench.repository)
    assert (repository["there"], repository["trouble"]) == (True, None)
    assert repository["allotment_bytes"] == 500_000_000_000
    clinic, lab = whole["sources"]
    assert clinic["next"] == "2026-03-20T22:00:00+01:00"
    assert (clinic["rpo_seconds"], clinic["rto_seconds"]) == (93_600, 28_800)
    assert (clinic["images"], lab["images"]) == (1, 0)
    assert (lab["next"], lab["required"]) == (None, False)
    assert whole["undeclared_images"] == 0


def test_file_on_the_command_line_is_the_one_that_is_checked(bench: Bench) -> None:
    other = bench.folder / "other.toml"
    other.write_text("[limits]\njobs = 3\n", "utf-8")
    code, out = checked(bench, str(other))
    assert code == 0
    assert out.startswith("configuration '/srv/other.toml'\n")
    assert "each device has 3 readers\n" in out
    code, _, err = bench.run("config", "check", str(bench.folder / "none.toml"))
    assert code == 2
    assert err.endswith("none.toml': No such file or directory\n")


def test_without_any_file_it_is_said_where_one_would_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.config_file.default_files", lambda: (Path("/none"), Path("/no")))
    monkeypatch.setattr("scanner.config_file.VARIABLE", "UNSET")
    code, out = checked(bench)
    assert code == 0
    assert out.startswith("no configuration in '/none' or '/no': the defaults hold\n")


def test_name_in_a_configuration_cannot_steer_the_terminal(bench: Bench) -> None:
    configure(bench, '[[source]]\nname = "a"\nmatch = ["\\u001b[2J"]\n')
    assert "backups in files '\\x1b[2J'\n" in checked(bench)[1]


def test_scan_without_a_path_scans_what_is_configured(bench: Bench) -> None:
    bench.put("a.txt", b"a")
    other = bench.folder / "other"
    other.mkdir()
    (other / "b.txt").write_bytes(b"b")
    tables = (f'[[repository]]\npath = "{path}"\n' for path in (bench.repository, other))
    configure(bench, "".join(tables))
    assert read_paths(bench) == ["a.txt", "b.txt"]
    assert read_paths(bench, str(other)) == ["b.txt"]


def test_scan_without_a_path_and_a_configured_one_is_a_usage_error(bench: Bench) -> None:
    code, out, err = bench.run("scan")
    assert (code, out) == (2, "")
    assert "Missing argument 'PATH...'." in err
    assert err.startswith("Usage: bakproof scan [OPTIONS] [PATH]...\n")
    assert not bench.ledger.exists()


def test_excludes_of_the_configuration_and_of_the_command_line_hold_together(
    bench: Bench,
) -> None:
    for name in ("keep.txt", "a/1.txt", "b/2.txt", "c/3.txt"):
        bench.put(name, b"x")
    text = '[limits]\nexclude = ["a"]\n[[repository]]\npath = "{repository}"\nexclude = ["b"]\n'
    configure(bench, text)
    assert read_paths(bench, "--exclude", "c") == ["keep.txt"]
    assert read_paths(bench, str(bench.repository / "c")) == ["c/3.txt"]


def test_file_that_is_excluded_later_is_not_gone(bench: Bench) -> None:
    bench.put("keep.txt", b"x")
    bench.put("b/2.txt", b"x")
    assert read_paths(bench, str(bench.repository)) == ["b/2.txt", "keep.txt"]
    configure(bench, '[[repository]]\npath = "{repository}"\nexclude = ["b"]\n')
    assert read_paths(bench) == ["b/2.txt", "keep.txt"]


def test_limits_of_the_configuration_hold_for_a_scan(bench: Bench) -> None:
    bench.put("notes.txt", bytes(200))
    configure(bench, '[limits]\nmax_proof_age = "0 s"\n')

    def read() -> int:
        return int(json.loads(bench.scan("--json")[1])["run"]["bytes_read"])

    assert [read(), read()] == [200, 200]
    configure(bench, "")
    assert read() == 0


def test_settling_time_of_the_configuration_holds_for_status_too(bench: Bench) -> None:
    put_database(bench, "a.bak", "CLINIC")
    path = bench.repository / "a.bak"
    half = path.read_bytes()[: path.stat().st_size // 2]
    bench.put("a.bak", half)
    bench.scan()
    assert bench.run("status")[0] == 4
    configure(bench, '[limits]\nsettle = "3 days"\n')
    assert bench.run("status")[0] == 5
    assert bench.scan()[0] == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("scan",),
        ("status",),
        ("explain", "a"),
        ("ack", "f", "--until", "2027-01-01", "--reason", "x"),
        ("bak", "restore-plan", "a"),
    ],
)
def test_every_command_refuses_a_configuration_with_a_mistake(
    bench: Bench, arguments: tuple[str, ...]
) -> None:
    bench.scan()
    other = bench.folder / "other.toml"
    other.write_text("[limits]\njobs = 0\n", "utf-8")
    code, out, err = bench.run(*arguments, "--config", str(other))
    assert (code, out) == (2, "")
    expected = "expected a whole number of at least 1, found 0"
    assert err == f'bakproof: {str(other)!r}: [limits], key "jobs": {expected}\n'
