"""The exit code as a table: the first line of the contract that applies decides."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.judge.model import JudgedOther, Judgement, Ruling, Verdict
from scanner.outlets.exit_codes import (
    ALL_SOUND,
    MEANINGS,
    Circumstances,
    ExitCode,
    FailOn,
    exit_code,
    exit_meaning,
    help_text,
)
from tests.scanner.outlets.judgements import file_row, image_row, judged

CALM = Circumstances()


def images(*verdicts: Verdict) -> Judgement:
    """Return a judgement over images with these verdicts."""
    file = file_row(1, "x.vhd")
    return Judgement(
        tuple(
            judged(image_row(number, file), file, own=Ruling(verdict, "rule"))
            for number, verdict in enumerate(verdicts)
        ),
        (),
        (),
    )


def other(verdict: Verdict | None) -> Judgement:
    """Return a judgement over one file that is no image."""
    ruling = None if verdict is None else Ruling(verdict, "rule")
    return Judgement((), (JudgedOther(file_row(1, "x"), (), ruling),), ())


V = Verdict


@pytest.mark.parametrize(
    ("judgement", "circumstances", "code"),
    [
        (images(V.SOUND), CALM, 0),
        (images(V.SOUND, V.WEAKENED), CALM, 3),
        (images(V.SOUND), Circumstances(warnings=1), 3),
        (images(V.WEAKENED, V.UNPROVEN), CALM, 5),
        (images(), CALM, 5),
        (other(None), CALM, 5),
        (other(V.UNPROVEN), CALM, 5),
        (images(V.UNPROVEN), Circumstances(bugs=1), 1),
        (images(V.SOUND), Circumstances(bugs=1), 1),
        (images(), Circumstances(bugs=1), 1),
        (images(V.EMPTY), CALM, 4),
        (images(V.INCOMPLETE), CALM, 4),
        (images(V.SOUND, V.DAMAGED), CALM, 4),
        (images(V.DAMAGED), Circumstances(bugs=1), 4),
        (other(V.EMPTY), CALM, 4),
        (images(V.DAMAGED), Circumstances(ExitCode.INTERRUPTED), 130),
        (images(), Circumstances(ExitCode.TERMINATED, bugs=1), 143),
    ],
)
def test_first_that_applies_decides(
    judgement: Judgement, circumstances: Circumstances, code: int
) -> None:
    assert exit_code(judgement, circumstances) == code


@pytest.mark.parametrize(
    ("fail_on", "codes"),
    [
        # sound, weakened, unproven, empty, incomplete, damaged
        (FailOn.WEAKENED, [0, 3, 5, 4, 4, 4]),
        (FailOn.UNPROVEN, [0, 0, 5, 4, 4, 4]),
        (FailOn.DAMAGE, [0, 0, 0, 4, 4, 4]),
    ],
)
def test_verdicts_below_fail_on_exit_zero(fail_on: FailOn, codes: list[int]) -> None:
    assert [exit_code(images(verdict), CALM, fail_on) for verdict in Verdict] == codes


@pytest.mark.parametrize("fail_on", list(FailOn))
def test_fail_on_never_silences_a_bug_a_signal_or_an_empty_mount_point(fail_on: FailOn) -> None:
    assert exit_code(images(V.SOUND), Circumstances(bugs=1), fail_on) == 1
    assert exit_code(images(V.SOUND), Circumstances(ExitCode.TERMINATED), fail_on) == 143
    assert exit_code(images(), CALM, fail_on) == 5


def test_warnings_are_below_every_stricter_level() -> None:
    warned = Circumstances(warnings=1)
    assert exit_code(images(V.SOUND), warned, FailOn.UNPROVEN) == 0


@given(st.lists(st.sampled_from(Verdict)), st.sampled_from(Verdict), st.sampled_from(FailOn))
def test_one_more_image_never_makes_a_code_better(
    verdicts: list[Verdict], more: Verdict, fail_on: FailOn
) -> None:
    rank = list(MEANINGS)
    before = exit_code(images(*verdicts), CALM, fail_on)
    after = exit_code(images(*verdicts, more), CALM, fail_on)
    if verdicts:
        assert rank.index(after) <= rank.index(before)


def said(found: Judgement, left: Judgement, fail_on: FailOn = FailOn.WEAKENED, **more: int) -> str:
    return exit_meaning(found, left, Circumstances(**more), fail_on)


def test_sentence_of_a_calm_report() -> None:
    calm = images(V.SOUND, V.SOUND)
    assert said(calm, calm) == "everything in scope is sound"


def test_sentence_counts_what_was_accepted() -> None:
    found, left = images(V.DAMAGED, V.WEAKENED, V.SOUND, V.DAMAGED), images(*[V.SOUND] * 4)
    assert said(found, left, accepted_warnings=1) == (
        "nothing unaccepted is worse than sound; accepted: 2 damaged, 1 weakened, 1 warning"
    )


def test_sentence_counts_what_fail_on_silences() -> None:
    found = images(V.UNPROVEN, V.WEAKENED, V.UNPROVEN)
    assert said(found, found, FailOn.DAMAGE, warnings=2) == (
        "nothing in scope is worse than unproven; "
        "let pass by --fail-on damage: 2 unproven, 1 weakened, 2 warnings"
    )


def test_sentence_names_both_and_the_worst_of_what_nobody_accepted() -> None:
    found, left = images(V.EMPTY, V.WEAKENED), images(V.SOUND, V.WEAKENED)
    assert said(found, left, FailOn.UNPROVEN) == (
        "nothing unaccepted is worse than weakened; accepted: 1 empty; "
        "let pass by --fail-on unproven: 1 weakened"
    )


def test_sentence_of_sound_images_still_names_the_warnings() -> None:
    calm = images(V.SOUND)
    assert said(calm, calm, accepted_warnings=1) == (
        "everything in scope is sound; accepted: 1 warning"
    )
    assert said(calm, calm, FailOn.UNPROVEN, warnings=1) == (
        "everything in scope is sound; let pass by --fail-on unproven: 1 warning"
    )


def test_files_that_are_no_images_are_counted_too() -> None:
    known = images(V.SOUND)
    found = Judgement(known.images, other(V.EMPTY).others, ())
    left = Judgement(known.images, other(None).others, ())
    assert said(found, left) == "nothing unaccepted is worse than sound; accepted: 1 empty"


@given(st.lists(st.sampled_from(Verdict), max_size=4), st.sampled_from(FailOn))
def test_sound_is_only_said_of_everything_where_it_is(
    verdicts: list[Verdict], fail_on: FailOn
) -> None:
    found = images(*verdicts)
    sentence = said(found, found, fail_on)
    code = exit_code(found, CALM, fail_on)
    assert (sentence == ALL_SOUND) == (set(verdicts) == {V.SOUND})
    assert code is ExitCode.SOUND or sentence == code.meaning


def test_every_code_has_a_meaning_in_the_order_of_precedence() -> None:
    assert [int(code) for code in MEANINGS] == [2, 10, 11, 130, 143, 4, 1, 5, 3, 0]
    assert set(MEANINGS) == set(ExitCode)


def test_help_names_every_code_in_order() -> None:
    text = help_text()
    places = [text.index(f"{code:>5}  {meaning}") for code, meaning in MEANINGS.items()]
    assert all(earlier < later for earlier, later in pairwise(places))
