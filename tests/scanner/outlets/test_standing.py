"""One line per source, those to act on first."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Group

from scanner.judge.model import Judgement, Ruling, Verdict
from scanner.judge.sources.answers import State
from scanner.outlets.document import build
from scanner.outlets.standing import RESTORABLE_SHOWN_MAX, ago, standing
from scanner.outlets.text import as_lines, console
from tests.scanner.outlets import judgements
from tests.scanner.outlets.formats import toy_format


def lines(report, width: int | None = None) -> list[str]:
    rendered = as_lines(Group(*standing(report)), console(io.StringIO(), width))
    return rendered.splitlines()


def unread(count: int) -> Judgement:
    files = [judgements.file_row(n, f"vm-{n}.vbk", kind="veeam") for n in range(count)]
    ruling = Ruling(Verdict.UNPROVEN, "not-judgeable")
    images = (judgements.judged(judgements.image_row(f.id, f), f, own=ruling) for f in files)
    return Judgement(tuple(images), (), ())


def test_each_source_has_one_line_and_the_worst_comes_first():
    said = lines(judgements.report())
    states = [line.split()[0] for line in said if line]
    order = [state.word for state in State]
    assert states == sorted(states, key=order.index, reverse=True)
    assert len(states) == len(judgements.report().outlook.sources)


def test_line_says_up_to_when_what_is_wrong_and_what_to_do():
    said = next(line for line in lines(judgements.report()) if "srv1" in line)
    assert "restorable only to" in said
    assert "Wrong: newest backup 'srv1/inc2.qcow2' is damaged" in said
    assert "Do first: start a new full backup" in said


def test_sound_source_has_nothing_to_do():
    said = lines(judgements.report(judgements.sound_judgement()))
    assert all(line.startswith("restorable ") for line in said if line)
    assert not any("Do first" in line for line in said)


def test_a_few_formats_that_are_only_recognised_have_lines_of_their_own():
    report = judgements.report(unread(3), formats=(toy_format("veeam", supported=False),))
    assert len([line for line in lines(report) if line]) == 3


def test_many_formats_that_are_only_recognised_are_one_line():
    report = judgements.report(unread(12), formats=(toy_format("veeam", supported=False),))
    (said,) = [line for line in lines(report) if line]
    assert said.startswith("unproven     12 sources: recognised, and not supported yet")
    assert said.endswith("and 4 more")


def test_without_sources_nothing_is_said():
    assert lines(judgements.report(judgements.NOTHING)) == []


def test_lines_fold_to_a_terminal_and_lose_nothing():
    wide = " ".join(lines(judgements.report()))
    narrow = lines(judgements.report(), 60)
    assert max(map(len, narrow)) <= 60
    assert "".join(" ".join(narrow).split()) == "".join(wide.split())


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(minutes=119), "119 min ago"),
        (timedelta(hours=9), "9 hours ago"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=90), "3 months ago"),
        (timedelta(days=5000), "13 years ago"),
        (timedelta(hours=-1), "in the future: a wrong clock or zone"),
    ],
)
def test_ages_are_said_as_people_say_them(age, said):
    assert ago(age) == said


def test_document_has_every_source_with_its_points():
    whole = build(judgements.report())
    source = next(one for one in whole.sources if one.name.startswith("srv1"))
    assert (source.state, source.failed) == ("behind", 2)
    assert source.restorable is not None
    assert source.restorable.path == "srv1/full.qcow2"
    assert [point.verdict for point in source.points] == ["sound", "damaged", "damaged"]
    assert source.failing == source.points[-1]


@pytest.mark.parametrize(("seconds", "told"), [(None, False), (59.0, False), (4500.0, True)])
def test_line_says_how_long_a_restore_reads_where_that_is_long(seconds, told):
    report = judgements.report(judgements.sound_judgement())
    sources = tuple(replace(one, restore_seconds=seconds) for one in report.outlook.sources)
    report = replace(report, outlook=replace(report.outlook, sources=sources))
    assert any("; to read it takes at least 1 h 15 min" in line for line in lines(report)) is told


def test_a_time_that_only_the_file_has_is_said_to_be_its_files():
    said = lines(judgements.report())
    by_file = {line.split()[1].rstrip(":") for line in said if "by its file's date" in line}
    assert by_file == {"vhd/mirror"}


def many(states: list[State]) -> list[str]:
    """Return the lines of so many sources that differ in name and state alone."""
    report = judgements.report(judgements.sound_judgement())
    one = report.outlook.sources[0]
    sources = tuple(
        replace(
            one,
            source=replace(one.source, id=f"{number}", name=f"disk-{number:04}"),
            answer=replace(one.answer, state=state),
        )
        for number, state in enumerate(states)
    )
    known = replace(report, outlook=replace(report.outlook, sources=sources))
    return [line for line in lines(known) if line]


@pytest.mark.parametrize(("more", "said"), [(1, "1 more source"), (1700, "1,700 more sources")])
def test_of_many_restorable_sources_most_are_counted(more, said):
    shown = many([State.RESTORABLE] * (RESTORABLE_SHOWN_MAX + more))
    assert len(shown) == RESTORABLE_SHOWN_MAX + 1
    assert shown[-1] == f"restorable   and {said}"
    assert "more source" not in " ".join(many([State.RESTORABLE] * RESTORABLE_SHOWN_MAX))


def test_no_source_that_is_not_restorable_is_left_out():
    bad = [state for state in State if state is not State.RESTORABLE] * 200
    shown = many([State.RESTORABLE] * 1000 + bad)
    assert len(shown) == len(bad) + RESTORABLE_SHOWN_MAX + 1
    assert [line.split()[0] for line in shown[:200]] == ["lost"] * 200


def test_line_says_that_a_newer_backup_is_being_written():
    report = judgements.report(judgements.sound_judgement())
    sources = tuple(
        replace(one, answer=replace(one.answer, writing=True)) for one in report.outlook.sources
    )
    report = replace(report, outlook=replace(report.outlook, sources=sources))
    assert all("; a newer backup is being written" in line for line in lines(report) if line)
