"""``bakproof calendar`` and the end of ``explain``, on the demonstration's three nights."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scanner.cli import run
from scanner.cli.calendar import chosen
from scanner.cli.options import World
from scanner.errors import UsageError
from tests import demo
from tests.scanner.judge.dated import a_source
from tests.scanner.test_cli import Bench

THURSDAY = datetime(2026, 1, 8, 7, 30, tzinfo=UTC)
SOURCES = [a_source(name=name) for name in ("srv-sql/shop", "srv-sql/Shop", "srv-files/disk 0")]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    made = Bench(tmp_path, capsys, THURSDAY)
    demo.make(made.repository)
    made.scan()
    return made


def lines_about(bench: Bench, *arguments: str, zone: str = "UTC") -> list[str]:
    """Return what is shown on a machine whose clock is of a zone."""
    environment = {"STATE_DIRECTORY": str(bench.folder / "state"), "TZ": zone}
    world = World(clock=lambda: bench.now, environment=environment)
    assert run(("calendar", *arguments), world) == 0
    out, err = bench.capture.readouterr()
    assert err == ""
    return str(out).splitlines()


def fileserver(bench: Bench) -> str:
    """Return the name of the source that the chain of three nights is of."""
    sources = json.loads(bench.run("calendar", "--json")[1])["sources"]
    held = {one["source"]: [point for day in one["days"] for point in day["points"]]
            for one in sources}  # fmt: skip
    (name,) = [name for name, points in held.items() if len(points) == 3]
    return str(name)


def test_all_sources_have_a_line_of_35_days(bench: Bench) -> None:
    lines = lines_about(bench)
    assert lines[0].split("  ")[-1].strip() == "5 Jan"
    name = fileserver(bench)
    (row,) = [line for line in lines if line.startswith(f"{name} ")]
    assert row.endswith(" ###"), "Monday to Wednesday; today is not over"
    at = lines.index(row) + 1
    assert lines[at] == "  restorable: newest 2026-01-07 22:00 (9 h ago), oldest 2026-01-05 22:00"


def test_one_source_shows_its_months_and_its_points(bench: Bench) -> None:
    lines = lines_about(bench, fileserver(bench), "--days", "10")
    assert "January 2026" in lines
    assert "   5#   6#   7#   8" in lines
    (last,) = [line for line in lines if line.startswith("Wed 2026-01-07 22:00")]
    assert last.endswith("incremental   'fileserver/wednesday-increment.vhd'")
    assert lines[lines.index(last) + 1].strip() == (
        "needs 'monday-full.vhd', then 'tuesday-increment.vhd'"
    )


def test_days_are_those_of_the_machine(bench: Bench) -> None:
    lines = lines_about(bench, fileserver(bench), "--days", "4", zone="Asia/Tokyo")
    assert "   5    6#   7#   8#" in lines, "22:00 in London is the next morning in Tokyo"
    assert "Thu 2026-01-08 07:00" in {line[:20] for line in lines}
    assert lines[-1] == "days and times are JST"


def test_a_glob_shows_every_source_it_matches(bench: Bench) -> None:
    sources = json.loads(bench.run("calendar", "*", "--json", "--days", "3")[1])["sources"]
    assert len(sources) == 3
    assert {len(one["days"]) for one in sources} == {3}


def test_a_source_that_is_not_there_is_a_usage_error_with_the_nearest_names(bench: Bench) -> None:
    code, out, err = bench.run("calendar", "filesrever")
    assert (code, out) == (2, "")
    assert "no source is called 'filesrever'; the nearest are '" in err


def test_days_have_a_limit(bench: Bench) -> None:
    for number in ("0", "3661", "x"):
        assert bench.run("calendar", "--days", number)[0] == 2


def test_a_ledger_that_is_not_there_exits_10(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Bench(tmp_path, capsys).run("calendar")[0] == 10


def test_explain_ends_with_what_dies(bench: Bench) -> None:
    _, out, _ = bench.run("explain", "fileserver/tuesday-increment.vhd")
    section = out[out.index("If this file dies") :].splitlines()
    assert section[1:4] == [
        "  2 restore points die with it:",
        "    2026-01-06 22:00:00 UTC  incremental 'fileserver/tuesday-increment.vhd'",
        "    2026-01-07 22:00:00 UTC  incremental 'fileserver/wednesday-increment.vhd'",
    ]
    assert section[4].endswith(
        ": the newest restorable point would be 2026-01-05 22:00:00 UTC "
        "instead of 2026-01-07 22:00:00 UTC"
    )
    assert len(section) == 5
    found = json.loads(bench.run("explain", "fileserver/tuesday-increment.vhd", "--json")[1])
    (loss,) = found["dies_with"]
    assert len(loss["points"]) == 2
    assert loss["newest_left"]["path"] == "fileserver/monday-full.vhd"


def meant(wanted: str) -> list[str]:
    return [source.name for source in chosen(SOURCES, wanted)]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("srv-sql/shop", ["srv-sql/shop"]),
        ("srv-sql/Shop", ["srv-sql/Shop"]),
        ("SRV-SQL/SHOP", ["srv-sql/shop", "srv-sql/Shop"]),
        ("files", ["srv-files/disk 0"]),
        ("FILES", ["srv-files/disk 0"]),
        ("srv-sql/*", ["srv-sql/shop", "srv-sql/Shop"]),
        ("*disk ?", ["srv-files/disk 0"]),
    ],
)
def test_a_source_is_meant_by_name_by_part_or_by_glob(wanted: str, names: list[str]) -> None:
    assert meant(wanted) == names


def test_a_name_with_a_star_in_it_is_found_by_itself() -> None:
    odd = a_source(name="a*b")
    assert chosen([odd, a_source(name="axb")], "a*b") == [odd]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("srv", "'srv' may mean 'srv-sql/shop', 'srv-sql/Shop', 'srv-files/disk 0': say which"),
        ("[z-a]", "'[z-a]': range z-a runs backwards"),
        ("*nothing*", "no source is called '*nothing*'; the nearest are "),
    ],
)
def test_what_may_mean_several_or_none_is_a_usage_error(wanted: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(SOURCES, wanted)
    assert message.replace("range z-a", "range 'z-a'") in str(caught.value)


def test_where_no_source_is_known_none_is_near() -> None:
    with pytest.raises(UsageError, match="no source is called 'x': no source is known"):
        chosen([], "x")
