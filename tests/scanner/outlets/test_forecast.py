"""The forecast as a person sees it: golden files, and one test for each promise."""

import json
from dataclasses import replace
from datetime import UTC, timedelta

import jsonschema
import msgspec
import pytest

from formats.core.model import Kind
from scanner.expectations import Expectations, SourceExpectation
from scanner.judge.forecast.forecast import forecast_advice, forecasts
from scanner.judge.forecast.room import ground_of
from scanner.judge.forecast.together import together
from scanner.ledger.rows import RepositoryRow, SpaceRow
from scanner.outlets.document import encode
from scanner.outlets.forecast import (
    ForecastReport,
    ForecastsOut,
    SourceForecast,
    forecast_text,
    forecasts_out,
)
from tests.scanner.judge.built_sources import NOW, Backup, days, source_of, weekly
from tests.scanner.outlets.golden import assert_golden, rendered

GB = 10**9
CLINIC = SourceExpectation(
    name="clinic", match=("clinic/**",), expected=800 * GB, schedule="0 22 * * FRI"
)


def report_on(*sources, free=900 * GB, total=1000 * GB, accepted=()):
    files = [file for one in sources for image in one.images for file in image.files]
    on = ground_of(
        sources,
        [RepositoryRow(1, "fs", "backups", "/srv/backups")],
        files,
        [SpaceRow(1, total, free, None, None, read_only=False, measured_at=NOW)],
        Expectations(),
        NOW,
        UTC,
    )
    found = [(one, forecasts(one, on)) for one in sources]
    return ForecastReport(
        tuple(
            SourceForecast(one, items, tuple(forecast_advice(one, items))) for one, items in found
        ),
        together(found, on),
        frozenset(accepted),
        NOW,
        UTC,
    )


def practice(**changes):
    """A clinic before its first full, a database that grows, a new disk, and an old backup."""
    last = NOW - timedelta(days=2)
    return report_on(
        source_of(name="clinic", declared=CLINIC),
        source_of(
            *weekly([100 * GB + 10 * GB * index for index in range(8)], last=last),
            *[Backup(at, 5 * GB, Kind.INCREMENTAL) for at in days(1.5, 0.5)],
            name="SRV-SQL/praxis",
        ),
        source_of(
            Backup(NOW - timedelta(days=1), 3 * GB, whole=False, source=2000 * GB),
            name="images/reception pc/disk 0 with a long name",
        ),
        source_of(Backup(NOW - timedelta(days=2000), 3 * GB), name="retired"),
        **changes,
    )


def shown(report, width):
    return rendered(forecast_text(report, width), width)


def test_on_80_columns_each_backup_has_lines_of_its_own():
    text = shown(practice(total=500 * GB, free=90 * GB), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert_golden("forecast-80-columns.txt", text)


def test_on_a_wide_terminal_there_is_a_table():
    assert_golden("forecast-wide.txt", shown(practice(total=500 * GB, free=90 * GB), 250))


def test_what_fits_is_said_in_the_table_alone():
    text = shown(report_on(source_of(*weekly([100 * GB] * 4))), 200)
    assert [line.split()[0] for line in text.splitlines() if line] == ["source", "vm"]
    assert text.splitlines()[1].endswith("fits")


def test_acknowledged_warnings_are_marked():
    (item,) = report_on(source_of(declared=CLINIC, name="clinic"), total=500 * GB).sources
    accepted = [advice.id for advice in item.advice]
    report = report_on(source_of(declared=CLINIC, name="clinic"), total=500 * GB, accepted=accepted)
    assert f"cannot ever fit [{accepted[0]}] (acknowledged)" in shown(report, 300)
    (source,) = forecasts_out(report).sources
    assert [warning.acknowledged for warning in source.warnings] == [True]


def test_nothing_known_is_said():
    assert shown(report_on(), 80) == "no backup is known\n"


@pytest.mark.parametrize("width", [80, 300])
def test_a_name_cannot_steer_the_terminal(width):
    text = shown(report_on(source_of(*weekly([GB] * 2), name="a\x1b[2Jb")), width)
    assert "\x1b" not in text
    assert "a\\x1b[2Jb" in text


def test_json_has_everything_and_fits_its_own_types():
    report = practice(total=500 * GB, free=90 * GB)
    document = json.loads(encode(forecasts_out(report)))
    jsonschema.validate(document, msgspec.json.schema(ForecastsOut))
    clinic, praxis, disk, retired = document["sources"]
    (full,) = clinic["forecasts"]
    assert full["outcome"] == "cannot fit"
    assert (full["low_bytes"], full["likely_bytes"], full["high_bytes"]) == (
        652 * GB,
        812 * GB,
        972 * GB,
    )
    assert full["due"] == "2026-11-27T22:00:00Z"
    assert full["room"] == {
        "allotted_bytes": 500 * GB,
        "allotted_by": "file system",
        "free_bytes": 90 * GB,
        "free_by": "file system",
        "over_bytes": 0,
    }
    assert [item["kind"] for item in praxis["forecasts"]] == ["full", "incremental"]
    assert disk["forecasts"][0]["founded"] is False
    assert disk["forecasts"][0]["due"] is None
    assert retired["forecasts"] == []
    (shared,) = document["together"]
    assert shared["sources"] == ["id of clinic", "id of SRV-SQL/praxis"]
    assert shared["needed_bytes"] == 992 * GB


def test_names_that_are_no_text_are_escaped_in_json():
    source = replace(source_of(*weekly([GB] * 2)), name="a\udcff")
    assert json.loads(encode(forecasts_out(report_on(source))))["sources"][0]["source"] == (
        "a\\udcff"
    )
