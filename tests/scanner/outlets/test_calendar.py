"""The recovery calendar as a person sees it: golden files, and one test for each promise."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from io import StringIO
from zoneinfo import ZoneInfo

import jsonschema
import msgspec
from rich.console import Console

from formats.core.model import Bearing, Evidence, Kind, Outcome
from scanner.judge.model import Judgement
from scanner.judge.sources.calendar import calendar, gaps, local_day
from scanner.judge.sources.model import Source
from scanner.outlets.calendar import (
    SYMBOLS,
    CalendarOut,
    CalendarReport,
    SourceCalendar,
    calendar_out,
    detail,
    overview,
)
from scanner.outlets.document import encode
from scanner.outlets.report import index
from tests.scanner.judge import backups
from tests.scanner.judge.dated import a_source, sources_in
from tests.scanner.judge.rows import GOOD, REPOSITORIES, Rows, bad, wanted
from tests.scanner.outlets import judgements
from tests.scanner.outlets.golden import assert_golden, rendered

NOW = datetime(2026, 3, 14, 7, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
DAMAGED = (bad(),)
WEAK = (bad(bearing=Bearing.REDUNDANT),)
UNPROVEN = (bad(bearing=Bearing.DOUBTFUL),)
SHORT = (bad(outcome=Outcome.TRUNCATED),)


def weekly_chains(
    rows: Rows, folder: str, weeks: int, spoiled: dict[int, Sequence[Evidence]]
) -> None:
    """Add a full each Sunday and an increment each other night, up to last night.

    ``spoiled`` has bad evidence about the backup so many nights ago.
    """
    # The night before NOW is one of Friday: so far back lies a Sunday.
    for ago in range(weeks * 7 + 5, -1, -1):
        at = NOW.replace(hour=22, minute=0) - timedelta(ago + 1)
        full = at.weekday() == 6
        before = at - timedelta(1)
        if ago in spoiled and not spoiled[ago]:
            continue
        rows.backup(
            f"{folder}/{at:%Y%m%d}-{'full' if full else 'inc'}.qcow2",
            (GOOD, *spoiled.get(ago, ())),
            identity=f"{folder}{at:%Y%m%d}",
            kind=Kind.FULL if full else Kind.INCREMENTAL,
            parents=() if full else wanted(f"{folder}{before:%Y%m%d}"),
            created_at=at,
        )


def practice() -> Rows:
    """Two disks of a practice: one with all that can happen, one with a very long name."""
    rows = Rows()
    weekly_chains(
        rows, "srv-files", 3, {24: WEAK, 17: DAMAGED, 12: (), 11: (), 3: UNPROVEN, 1: SHORT}
    )
    weekly_chains(rows, "nas/images/practice management/server with a long name/disk 0", 1, {})
    rows.backup("old/laptop.qcow2", DAMAGED, file={"mtime": NOW - timedelta(5)})
    return rows


def report_on(
    judgement: Judgement, found: Sequence[Source], days: int = 35, zone: tzinfo = UTC
) -> CalendarReport:
    last = local_day(NOW, zone)
    first = last - timedelta(days - 1)
    return CalendarReport(
        index(judgements.report(judgement, repositories=REPOSITORIES, now=NOW)),
        tuple(SourceCalendar(one, calendar(one, first, last, zone), gaps(one)) for one in found),
        first,
        last,
        NOW,
        zone,
    )


def practice_report(days: int = 35, zone: tzinfo = UTC) -> CalendarReport:
    judgement = practice().judged()
    found = sources_in(judgement.images, REPOSITORIES)
    # Called by their folders: what else makes a name is tested elsewhere.
    named = [replace(one, name=one.images[0].path.rpartition("/")[0]) for one in found]
    return report_on(judgement, named, days, zone)


def database_report(zone: tzinfo = UTC) -> CalendarReport:
    """A full, logs every eight hours for some days, one of them damaged, and a differential."""
    logs = [
        backups.log(f"sql/L{n:02}.trn", 100 * n, 100 * n + 100, at=480 * (n - 18))
        for n in range(1, 18)
    ]
    logs[9] = backups.worse(logs[9], backups.Verdict.DAMAGED)
    sets = (
        backups.full("sql/F.bak", 90, 120, at=480 * -18 + 470),
        *logs,
        backups.differential("sql/D.bak", "sql/F.bak", 1350, 1360, at=480 * -5 + 250),
    )
    judgement = backups.judged(sets)
    return report_on(judgement, sources_in(judgement.images, REPOSITORIES), 7, zone)


def test_all_sources_on_80_columns() -> None:
    shown = rendered(overview(practice_report(), 80))
    assert max(map(len, shown.splitlines())) <= 80
    assert_golden("calendar-80-columns.txt", shown)


def test_all_sources_where_there_is_no_terminal() -> None:
    assert_golden("calendar-pipe.txt", rendered(overview(practice_report(), 100_000), None))


def test_many_days_fold_by_weeks() -> None:
    shown = rendered(overview(practice_report(days=70), 60), 60)
    assert max(map(len, shown.splitlines())) <= 60
    assert_golden("calendar-folded.txt", shown)


def test_one_disk_with_its_restore_points() -> None:
    report = practice_report(days=17, zone=BERLIN)
    (files,) = [item for item in report.calendars if item.source.name.startswith("srv-files")]
    assert_golden("calendar-disk.txt", rendered(detail(report, files)))


def test_one_database_with_the_moments_its_logs_cover() -> None:
    report = database_report()
    assert_golden("calendar-database.txt", rendered(detail(report, report.calendars[0])))


def test_every_state_has_a_symbol_of_its_own() -> None:
    assert len(set(SYMBOLS.values())) == len(SYMBOLS)


def test_colour_says_again_what_the_symbols_say() -> None:
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, color_system="standard", width=80)
    console.print(overview(practice_report(), 80))
    shown = stream.getvalue()
    assert "\x1b[32m#" in shown, "proven is green"
    assert "\x1b[33m?" in shown, "unproven is yellow"
    assert "\x1b[1;31mx" in shown, "lost is red"


def test_sources_without_a_backup_say_so() -> None:
    nothing = Judgement((), (), ())
    shown = rendered(overview(report_on(nothing, [a_source(name="db1")]), 80))
    assert "db1\n  no backup of it is there\n" in shown
    assert rendered(overview(report_on(nothing, []), 80)) == "no backup is known\n"
    report = report_on(nothing, [a_source(name="db1")])
    assert "no backup of it is there" in rendered(detail(report, report.calendars[0]))


def test_hostile_names_are_shown_as_escapes() -> None:
    report = report_on(Judgement((), (), ()), [a_source(name="a\x1b[2Jb")])
    for shown in (overview(report, 80), detail(report, report.calendars[0])):
        assert "\x1b" not in rendered(shown)
        assert "a\\x1b[2Jb" in rendered(shown)


def test_a_backup_dated_in_the_future_is_told_of() -> None:
    rows = Rows()
    rows.backup("vm/a.qcow2", created_at=NOW + timedelta(3))
    judgement = rows.judged()
    report = report_on(judgement, sources_in(judgement.images, REPOSITORIES))
    assert "1 backup dated after 2026-03-14\n" in rendered(detail(report, report.calendars[0]))


def test_a_backup_dated_by_its_file_alone_says_so() -> None:
    rows = Rows()
    rows.backup("vm/a.qcow2", file={"mtime": NOW - timedelta(2)})
    judgement = rows.judged()
    report = report_on(judgement, sources_in(judgement.images, REPOSITORIES))
    shown = rendered(detail(report, report.calendars[0]), None)
    assert "dated by when its file was last written, for want of better\n" in shown


def test_a_long_way_is_told_by_its_ends() -> None:
    rows = Rows()
    for number in range(9):
        rows.backup(
            f"vm/n{number}.qcow2",
            identity=str(number),
            parents=wanted(str(number - 1)) if number else (),
            created_at=NOW - timedelta(9 - number),
        )
    judgement = rows.judged()
    report = report_on(judgement, sources_in(judgement.images, REPOSITORIES))
    shown = rendered(detail(report, report.calendars[0]), None)
    ends = [line.split("needs ")[1] for line in shown.splitlines() if "needs " in line]
    quoted = [f"'n{number}.qcow2'" for number in range(9)]
    assert ends[0] == quoted[0]
    assert ends[2] == ", then ".join(quoted[:3])
    assert ends[3] == ", then ".join([*quoted[:2], "1 more", quoted[3]])
    assert ends[7] == ", then ".join([*quoted[:2], "5 more", quoted[7]])


def test_json_follows_its_types_and_has_every_day() -> None:
    out = calendar_out(practice_report())
    jsonschema.validate(json.loads(encode(out)), msgspec.json.schema(CalendarOut))
    files = next(item for item in out.sources if item.source.startswith("srv-files"))
    assert len(files.days) == 35
    assert files.newest is not None
    assert files.newest.path == "/srv/backups/srv-files/20260309-inc.qcow2"
    (day,) = [day for day in files.days if day.date.isoformat() == "2026-03-10"]
    (point,) = day.points
    assert files.newest.needs
    assert (day.state, point.verdict, point.steps) == ("unproven", "unproven", 3)
    assert point.needs == (files.newest.key,)
    assert [gap.usual_seconds for gap in files.gaps] == [86_400.0] * len(files.gaps)
