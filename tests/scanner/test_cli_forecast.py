"""``bakproof forecast``: the first night of the clinic, by hand of the command line."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from scanner.ledger.store import Ledger
from tests import demo
from tests.scanner.test_cli import NOW, Bench

CLINIC = """
[[source]]
name = "clinic"
match = ["clinic/**"]
expected = "800 MB"
allotment = "500 MB"
schedule = "0 22 * * FRI"
"""
FIRST_NIGHT = (
    "the next full needs about 812 MB (652 MB to 972 MB) on Friday 2026-03-20, "
    "500 MB allotted: cannot ever fit"
)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    bench = Bench(tmp_path, capsys)
    demo.make(bench.repository)
    bench.config.write_text(CLINIC, "utf-8")
    bench.scan()
    return bench


def forecast_of(bench: Bench, *options: str) -> tuple[int, dict[str, dict]]:
    code, out, _ = bench.run("forecast", "--json", *options)
    return code, {item["source"]: item for item in json.loads(out)["sources"]}


def test_a_full_that_cannot_fit_is_told_before_any_was_made(bench: Bench) -> None:
    code, out, _ = bench.run("forecast")
    assert code == 3
    assert f"warning: 'clinic': {FIRST_NIGHT}" in out
    assert "no backup is known" not in out


def test_json_says_the_same(bench: Bench) -> None:
    code, sources = forecast_of(bench)
    assert code == 3
    (full,) = sources["clinic"]["forecasts"]
    assert (full["likely_bytes"], full["outcome"]) == (812 * 10**6, "cannot fit")
    # Friday at ten in the evening in Berlin, where this machine says it stands.
    assert full["due"] == "2026-03-20T22:00:00+01:00"
    (warning,) = sources["clinic"]["warnings"]
    assert (warning["rule"], warning["text"]) == ("forecast.cannot-fit", FIRST_NIGHT)


def test_what_was_acknowledged_does_not_decide_the_exit_code(bench: Bench) -> None:
    _, sources = forecast_of(bench)
    (warning,) = sources["clinic"]["warnings"]
    with Ledger.open(bench.ledger, lambda: NOW) as ledger:
        ledger.acknowledge(warning["id"], NOW + timedelta(days=7), "more disks", NOW, derived=True)
    code, sources = forecast_of(bench)
    assert code == 0
    assert sources["clinic"]["warnings"][0]["acknowledged"] is True


def test_of_one_source_nothing_else_is_told(bench: Bench) -> None:
    code, sources = forecast_of(bench, "fileserver/monday*")
    assert "clinic" not in sources
    assert code == 0


def test_disks_that_were_scanned_fit_where_they_lie(bench: Bench) -> None:
    _, sources = forecast_of(bench)
    seen = {name: item["forecasts"] for name, item in sources.items() if item["forecasts"]}
    seen.pop("clinic")
    assert seen, sorted(sources)
    rooms = [forecast["room"] for items in seen.values() for forecast in items]
    assert all(room is not None and room["allotted_bytes"] > 0 for room in rooms)


def test_a_source_nobody_knows_is_a_mistake_of_the_command_line(bench: Bench) -> None:
    code, _, err = bench.run("forecast", "nowhere")
    assert code == 2
    assert "no source is called 'nowhere'" in err
