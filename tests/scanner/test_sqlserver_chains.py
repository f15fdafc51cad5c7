"""Real chains of SQL Server 2008 R2 to 2019, whole and with members missing, scanned and planned.

Goal: what is said to restore does, and what is missing is named. Method: files of the corpus are
copied under names that mean nothing; that a file is missing is simulated by not copying it.
"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.damage import flip
from tests.scanner.test_cli import OLD, Bench

OLA_FULLS = ("07", "16")
OLA = tuple(f"{number:02}" for number in range(6, 24))
CLEAN_2016 = ("59", "60", "61", "62", "63", "64", "65", "66")


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    (tmp_path / "backups").mkdir()
    return Bench(tmp_path, capsys)


def put(
    bench: Bench, corpus: Path, numbers: tuple[str, ...], without: tuple[str, ...] = ()
) -> None:
    """Copy files of the corpus by their numbers, renamed so that only their content tells."""
    for number in numbers:
        if number in without:
            continue
        (source,) = (corpus / "sqlserver").glob(f"{number}_*")
        target = bench.repository / f"file-{number}"
        shutil.copyfile(source, target)
        os.utime(target, (OLD, OLD))


def scanned(bench: Bench) -> Any:
    return json.loads(bench.scan("--json")[1])


def bad(bench: Bench) -> dict[str, str]:
    """Scan, and return the number of every file with a verdict that is not sound."""
    return {
        entry["path"].removeprefix("file-"): entry["verdict"]
        for entry in scanned(bench)["images"]
        if entry["verdict"] != "sound"
    }


def plan(bench: Bench, *arguments: str) -> Any:
    code, out, err = bench.run("bak", "restore-plan", *arguments, "--json")
    assert err == ""
    found = json.loads(out)
    assert code == (0 if found["complete"] else 4)
    return found


def steps(found: Any) -> list[str]:
    return [
        Path(path).name.removeprefix("file-") for step in found["steps"] for path in step["files"]
    ]


def stretches(found: Any) -> list[tuple[str, str]]:
    """Return the restorable times, without the day."""
    return [(item["begin"][11:19], item["end"][11:19]) for item in found["ranges"]]


def test_whole_chain_is_sound_and_restores_through_its_last_differential(
    bench: Bench, corpus: Path
) -> None:
    put(bench, corpus, OLA)
    assert bad(bench) == {}
    found = plan(bench, "OlaMsFilterTest")
    assert steps(found) == ["16", "21", "23"]
    assert stretches(found) == [("08:17:41", "08:17:56")]
    assert found["missing"] == []
    assert found["reached"] == "2018-07-02T08:17:56+01:00"


def test_chain_is_one_and_in_the_order_of_the_log(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, OLA)
    (chain,) = scanned(bench)["chains"]
    assert chain["name"] == "CGE100LAP-42\\SQL2008R2SP2/OlaMsFilterTest"
    order = [image["path"].removeprefix("file-") for image in chain["images"]]
    assert order[:3] == ["07", "06", "08"]
    assert order[-1] == "23"
    assert chain["restorable"]["path"] == "file-23"


@pytest.mark.parametrize(
    ("without", "victims"),
    [
        # The first full carries its two differentials and the logs up to the second full.
        (("07",), {"06", "08", "09", "10", "11", "12", "13", "14"}),
        # The second full carries its own; its logs go on from those before it.
        (("16",), {"18", "21"}),
        (("07", "16"), set(OLA) - {"07", "16"}),
        # An empty log is missed by nobody.
        (("08",), set()),
        # A log between a full and a differential: the next one that goes as far as the
        # differential is reached through it.
        (("06",), {"08"}),
        # All differentials: the logs alone reach everything.
        (("09", "12", "18", "21"), set()),
        # The log that leads past the second full: an empty one behind it hangs in the air, and
        # what follows is reached through that full's differential.
        (("15",), {"17"}),
    ],
    ids=lambda value: "+".join(sorted(value)) or "nothing",
)
def test_missing_member_takes_what_cannot_do_without_it(
    bench: Bench, corpus: Path, without: tuple[str, ...], victims: set[str]
) -> None:
    put(bench, corpus, OLA, without)
    found = bad(bench)
    assert set(found) == victims
    assert set(found.values()) <= {"incomplete"}


def test_gap_is_named_with_its_place_and_the_newest_time_still_restores(
    bench: Bench, corpus: Path
) -> None:
    put(bench, corpus, CLEAN_2016, without=("64",))
    scanned(bench)
    found = plan(bench, "RestoreTimeClean")
    assert steps(found) == ["59", "63"]
    assert stretches(found) == [("21:00:55", "21:15:56")]
    (missing,) = found["missing"]
    assert missing["reason"] == "log-missing"
    assert missing["text"] == "no log from LSN 39000000059800001 on, where 'file-63' ends"
    assert [Path(path).name for path in missing["files"]] == ["file-65"]
    assert (missing["since"][11:19], missing["until"][11:19]) == ("21:15:56", "21:25:56")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2019-05-02T21:00:54", None),
        ("2019-05-02T21:00:55", ["59", "60"]),
        ("2019-05-02T21:05:55", ["59", "60"]),
        ("2019-05-02T21:05:56", ["59", "60", "61"]),
        ("2019-05-02T21:18:00", ["59", "63", "64"]),
        ("2019-05-02 20:18:00+00:00", ["59", "63", "64"]),
        ("2019-05-02T21:30:56", ["59", "63", "64", "65", "66"]),
        ("2019-05-02T21:30:57", None),
    ],
)
def test_plan_to_a_time(bench: Bench, corpus: Path, time: str, expected: list[str] | None) -> None:
    put(bench, corpus, CLEAN_2016)
    scanned(bench)
    found = plan(bench, "RestoreTimeClean", "--at", time)
    assert (steps(found) if found["complete"] else None) == expected


def test_damaged_differential_is_gone_around(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, CLEAN_2016)
    path = bench.repository / "file-63"
    blob = path.read_bytes()
    path.write_bytes(flip(blob, len(blob) // 2))
    os.utime(path, (OLD, OLD))
    assert set(bad(bench)) == {"63"}
    assert steps(plan(bench, "RestoreTimeClean")) == ["59", "60", "61", "62", "64", "65", "66"]


def test_log_behind_a_gap_that_is_really_there(bench: Bench, corpus: Path) -> None:
    """The corpus holds the second log backup after these fulls, never the first."""
    put(bench, corpus, ("25", "26", "34", "35", "77", "78", "02", "03", "04"))
    assert bad(bench) == dict.fromkeys(("26", "35", "78", "04"), "incomplete")
    for name, full in (("StopAt", "34"), ("RestoreTimeClean", "25"), ("BLM4522", "77")):
        found = plan(bench, name)
        assert steps(found) == [full]
        assert [item["reason"] for item in found["missing"]] == ["log-missing"]


def test_single_log_brought_in_by_hand_is_incomplete(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, ("35",))
    (image,) = scanned(bench)["images"]
    assert image["verdict"] == "incomplete"
    (finding,) = image["findings"]
    assert finding["text"] == (
        "chain.log.base: expected a backup that ends at LSN 19000000018300001 or behind it, "
        "found no full backup of this database"
    )


def test_logs_and_fulls_in_two_repositories_of_one_ledger(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, CLEAN_2016)
    logs = bench.folder / "logs"
    logs.mkdir()
    for number in ("60", "61", "62", "64", "65", "66"):
        (bench.repository / f"file-{number}").rename(logs / f"file-{number}")
    code, out, _ = bench.run("scan", str(bench.repository), str(logs), "--no-progress", "--json")
    assert code == 0
    assert {image["verdict"] for image in json.loads(out)["images"]} == {"sound"}
    assert steps(plan(bench, "RestoreTimeClean")) == ["59", "63", "64", "65", "66"]


def test_two_differentials_of_one_full_need_only_the_full(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, ("38", "39", "40"))
    assert bad(bench) == {}
    assert steps(plan(bench, "doublediff")) == ["40", "38"]


def test_fork_and_appended_logs(bench: Bench, corpus: Path) -> None:
    """Three log backups in one file; the database was restored twice between them."""
    put(bench, corpus, ("83", "84"))
    whole = scanned(bench)
    found = {(image["path"], image["image_index"]): image["verdict"] for image in whole["images"]}
    assert found == {
        ("file-83", 0): "incomplete",
        ("file-83", 1): "incomplete",
        ("file-83", 2): "sound",
        ("file-84", 0): "sound",
    }
    planned = plan(bench, "SpsSecurity")
    assert [(step["kind"], step["set"]) for step in planned["steps"]] == [("full", 1), ("log", 3)]
    assert {item["reason"] for item in planned["missing"]} == {"older-than-every-full"}


def test_differential_across_a_restore_follows_its_base(bench: Bench, corpus: Path) -> None:
    """The database was restored from its full, so the differential is on another fork."""
    put(bench, corpus, ("75", "76", "77"))
    assert bad(bench) == {}
    found = plan(bench, "BLM4522", "--at", "2026-04-18T20:32:39")
    assert steps(found) == ["75", "76"]


def test_stripes_are_planned_together(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, ("27", "28", "29", "30", "31", "32"))
    assert bad(bench) == {}
    found = plan(bench, "RestoreTimeStripe")
    assert steps(found) == ["32", "31"]
    first = plan(bench, "RestoreTimeStripe", "--at", "2017-12-15T12:47:00")
    assert sorted(steps(first)[:2]) == ["27", "28"]
    assert sorted(steps(first)[2:]) == ["29", "30"]


def test_old_real_backups_raise_advice_and_no_warning(bench: Bench, corpus: Path) -> None:
    numbers = tuple(f"{number:02}" for number in range(1, 93))
    put(bench, corpus, numbers)
    bench.now = datetime(2026, 11, 22, tzinfo=UTC)
    found = scanned(bench)["warnings"]
    assert found
    assert {item["severity"] for item in found} == {"advice"}
