"""The report for people: golden files for the whole, and one test for each promise it makes.

Golden files change together with their reason; the reason is the commit's.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from formats.core.model import Evidence, Outcome
from scanner.judge.model import JudgedOther, Judgement, Ruling, Verdict
from scanner.judge.sources.outlook import NOTHING
from scanner.ledger.rows import RepositoryRow
from scanner.outlets import text
from scanner.outlets.exit_codes import ExitCode
from scanner.outlets.text import report_text
from tests.scanner.outlets import judgements
from tests.scanner.outlets.formats import toy_format
from tests.scanner.outlets.golden import assert_golden, rendered


def test_report_of_one_of_everything_on_a_terminal() -> None:
    assert_golden("scan-80-columns.txt", rendered(report_text(judgements.report()), 80))


def test_report_of_one_of_everything_in_a_pipe() -> None:
    assert_golden("scan-pipe.txt", rendered(report_text(judgements.report()), None))


def test_report_where_everything_is_sound() -> None:
    report = judgements.report(judgements.sound_judgement(), exit_code=ExitCode.SOUND)
    assert_golden("scan-sound.txt", rendered(report_text(report), None))


def test_status_says_how_old_the_last_scan_is() -> None:
    now = judgements.NOW + timedelta(days=3)
    report = judgements.report(
        judgements.sound_judgement(), exit_code=ExitCode.SOUND, fresh=False, now=now
    )
    assert_golden("status.txt", rendered(report_text(report), None))


def test_nothing_recognised_is_said_with_the_place() -> None:
    subject = Judgement((), judgements.others()[2:3], ())
    report = judgements.report(subject, exit_code=ExitCode.UNPROVEN)
    said = rendered(report_text(report), None)
    assert (
        "Nothing recognised to scan in '/srv/backups': 1 file, not a known backup: 'notes.txt'\n"
        in said
    )
    assert said.endswith("exit code 5: unproven, or nothing recognised to scan\n")


def test_few_files_that_are_no_backups_are_named_and_the_rest_is_counted() -> None:
    others = tuple(
        JudgedOther(judgements.file_row(n, f"{n}.txt", kind=None), (), None) for n in range(7)
    )
    said = rendered(report_text(judgements.report(Judgement((), others, ()))), None)
    assert (
        "7 files, none a known backup: '0.txt', '1.txt', '2.txt', '3.txt', '4.txt' and 2 more\n"
        in said
    )


def test_a_repository_without_any_file_may_not_be_mounted() -> None:
    said = rendered(report_text(judgements.report(judgements.NOTHING)), None)
    assert (
        "Nothing to scan in '/srv/backups': no file there; it is empty, or not mounted.\n" in said
    )


def test_a_ledger_that_knows_no_repository_says_so() -> None:
    report = judgements.report(judgements.NOTHING, repositories=(), run=None)
    assert rendered(report_text(report), None).startswith("Nothing was scanned yet.\n")


@pytest.mark.parametrize("width", [24, 40, 61, 79, 80, 132])
def test_names_longer_than_any_line_are_folded_and_nothing_of_them_is_lost(width: int) -> None:
    path = "/".join(f"{n:02}-" + "folder" * 9 for n in range(20)) + "/disk.vhd"
    file = judgements.file_row(30, path)
    lost = judgements.row(file, 30, Evidence("vhd.bat.range", Outcome.MISMATCHED, 8, 4), "f0ffee")
    sound = judgements.judged(judgements.image_row(30, file), file)
    ruling = Ruling(Verdict.DAMAGED, "bytes-wrong", lost)
    damaged = judgements.judged(judgements.image_row(30, file), file, evidence=(lost,), own=ruling)
    note = judgements.file_row(31, path + ".txt", kind=None)
    for judgement in (
        Judgement((sound,), (), ()),
        Judgement((damaged,), (), ()),
        Judgement((), (JudgedOther(note, (), None),), ()),
    ):
        said = rendered(report_text(judgements.report(judgement)), width)
        assert max(map(len, said.splitlines())) <= width
        assert "…" not in said
        assert path_in_columns(said, path)


@pytest.mark.parametrize("width", range(30, 140, 7))
def test_proof_of_what_is_sound_is_never_cut_for_want_of_space(width: int) -> None:
    file = judgements.file_row(4, "long-name/" * 12 + "shop.bak", kind="sqlserver_bak")
    proof = judgements.proof(0, 5 << 20, since=judgements.BASELINE)
    image = judgements.judged(judgements.image_row(4, file), file, shown=proof)
    said = rendered(report_text(judgements.report(Judgement((image,), (), ()))), width)
    proof = "every byte read 2 h ago, unchanged since 3 October 2025; no checksums"
    for words in ("sqlserver_bak full", proof):
        assert path_in_columns(said, "".join(words.split()))
    assert max(map(len, said.splitlines())) <= width


def path_in_columns(said: str, path: str) -> bool:
    """Whether every character of a path stands there, in order, whatever stands between."""
    rest = iter(said)
    return all(character in rest for character in path)


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in (40, 60, 80, 132):
        lines = rendered(report_text(judgements.report()), width).splitlines()
        assert max(map(len, lines)) <= width


def test_worst_comes_first() -> None:
    said = rendered(report_text(judgements.report()), None)
    order = [line.split()[0] for line in said.splitlines() if line[:1].isalpha()]
    verdicts = [word for word in order if word in {"damaged", "incomplete", "empty", "weakened"}]
    assert verdicts == ["damaged", "incomplete", "empty", "weakened"]


def test_exit_code_is_said_with_what_it_means_here() -> None:
    meaning = "nothing unaccepted is worse than sound; accepted: 1 weakened"
    report = judgements.report(exit_code=ExitCode.SOUND, exit_meaning=meaning)
    assert rendered(report_text(report), None).endswith(f"\nexit code 0: {meaning}\n")


def test_dependent_images_are_named_with_their_cause_and_not_listed_again() -> None:
    said = rendered(report_text(judgements.report(outlook=NOTHING)), None)
    assert "1 restore point dies with it: 'srv1/inc2.qcow2'\n" in said
    assert said.count("inc2") == 1


def test_files_of_one_format_that_is_only_recognised_are_one_statement() -> None:
    files = [judgements.file_row(n, f"{n}.vbk", kind="veeam") for n in range(7)]
    images = tuple(
        judgements.judged(
            judgements.image_row(file.id, file),
            file,
            own=Ruling(Verdict.UNPROVEN, "not-judgeable"),
        )
        for file in files
    )
    report = judgements.report(
        Judgement(images, (), ()),
        formats=(toy_format("veeam", supported=False),),
        outlook=NOTHING,
    )
    said = rendered(report_text(report), None)
    assert said.count("unproven    ") == 1
    assert "unproven    7 files: Veeam\n" in said
    assert "'0.vbk', '1.vbk', '2.vbk', '3.vbk', '4.vbk' and 2 more\n" in said


def test_acknowledged_finding_is_shown_with_its_end_and_reason() -> None:
    said = rendered(report_text(judgements.report()), None)
    assert "(acknowledged until 2026-12-31: the copy is rewritten at the next full)\n" in said
    assert "[finding c0ffee] (acknowledged" in said


def test_more_findings_than_are_shown_are_counted() -> None:
    said = rendered(report_text(judgements.report()), None)
    assert said.count("qcow2.l2.entry") == text.FINDINGS_SHOWN_MAX
    assert "and 2 more findings: bakproof explain lists them\n" in said


def test_more_sound_images_than_are_shown_are_counted() -> None:
    file = judgements.file_row(1, "x.qcow2")
    images = tuple(
        judgements.judged(judgements.image_row(n, file, number=n), file)
        for n in range(text.SOUND_SHOWN_MAX + 3)
    )
    report = judgements.report(Judgement(images, (), ()), exit_code=ExitCode.SOUND)
    assert "\nand 3 more that are sound\n" in rendered(report_text(report), None)


def test_paths_of_several_repositories_are_absolute() -> None:
    report = judgements.report(
        repositories=(judgements.REPOSITORY, RepositoryRow(2, "f", "", "/mnt/usb"))
    )
    assert "'/srv/backups/srv1/inc1.qcow2'" in rendered(report_text(report), None)


def test_hostile_names_reach_the_terminal_as_escapes() -> None:
    file = judgements.file_row(1, "a\x1b[31m\n\udcff.vhd")
    image = judgements.image_row(1, file, source="db\x1b]0;owned\x07")
    judged = replace(judgements.orphan(), key=1, pieces=(image,), files=(file,), deciding_key=1)
    said = rendered(report_text(judgements.report(Judgement((judged,), (), ()))), None)
    assert "'a\\x1b[31m\\n\\udcff.vhd'" in said
    assert "\x1b" not in said
    assert "\x07" not in said


def test_interrupted_run_says_that_progress_is_kept() -> None:
    report = judgements.report(
        run=replace(judgements.RUN, interrupted=True), exit_code=ExitCode.INTERRUPTED
    )
    said = rendered(report_text(report), None)
    assert "progress is kept" in said
    assert said.endswith("exit code 130: stopped by SIGINT, progress kept\n")


def test_bugs_and_notes_are_said() -> None:
    report = judgements.report(
        run=replace(judgements.RUN, bugs=2), notes=("folder 'x' unreadable",)
    )
    said = rendered(report_text(report), None)
    assert "2 bugs of bakproof met; what was affected is unproven.\n" in said
    assert "note: folder 'x' unreadable\n" in said


def test_warnings_have_a_name_and_advice_of_one_kind_is_one_line() -> None:
    warning, advice = judgements.ADVICE
    likewise = replace(advice, id="a2", source="SRV-SQL/stock")
    said = report_text(judgements.report(advice=(warning, advice, likewise)))
    lines = rendered(said, None).splitlines()
    assert "warning: 'SRV-SQL/shop': the last full backup is 40 days old [warning a0]" in lines
    assert (
        "advice: 'SRV-SQL/shop': 1 of 1 backup; likewise 1 more source (sql.no-checksum)" in lines
    )


def test_acknowledged_warning_says_so() -> None:
    accepted = replace(judgements.report().acknowledgements[0], finding_id="a0")
    said = report_text(judgements.report(advice=judgements.ADVICE, acknowledgements=(accepted,)))
    shown = rendered(said, None)
    assert "[warning a0] (acknowledged until 2026-12-31: the copy is rewritten" in shown


def test_images_in_a_circle_are_not_called_sound():
    images, _ = judgements.chain_with_a_damaged_increment()
    circle = Ruling(Verdict.INCOMPLETE, "parent-cycle")
    turning = replace(images[0], ruling=circle)
    said = rendered(report_text(judgements.report(Judgement((turning,), (), ())))).splitlines()
    block = said[said.index("incomplete  'srv1/full.qcow2'") :]
    assert "            rule parent-cycle: its parents lead back to itself" in block
    assert not any(line.startswith("sound") for line in said)
