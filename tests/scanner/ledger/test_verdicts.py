"""Verdicts stand beside the evidence and are replaced as a whole."""

from dataclasses import replace

import pytest

from scanner.errors import NotThereError
from scanner.judge.model import Judgement, Ruling, Verdict
from tests.scanner.ledger.stories import (
    EVENING,
    MATCHED,
    MIB,
    NIGHT,
    Story,
    damaged,
    fill,
    image,
    judged,
    piece,
)


def rows(story, query):
    cursor = story.ledger._reader.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def test_verdict_and_proof_are_saved_with_the_image_that_decided(story):
    judgement = fill(story)
    full, child = judgement.images
    saved = {row["path"]: row for row in rows(story, "SELECT * FROM v_images")}
    assert saved["full.vhdx"]["verdict"] == saved["full.vhdx"]["own_verdict"] == "sound"
    assert saved["full.vhdx"]["bytes_vouched"] == 7
    assert saved["full.vhdx"]["bytes_needed"] == 2**63 - 1
    assert saved["full.vhdx"]["structure_at"] == "2026-03-01T22:00:00Z"
    assert saved["full.vhdx"]["unchanged_since"] == "2026-02-28T22:00:00Z"
    assert saved["full.vhdx"]["content_at"] is None
    assert saved["full.vhdx"]["judged_at"] == "2026-03-02T22:00:00Z"
    assert saved["child.vhdx"]["rule"] == "needed bytes are wrong"
    assert saved["child.vhdx"]["deciding_image_id"] == child.key
    assert saved["child.vhdx"]["deciding_path"] == "child.vhdx"
    parents = rows(story, "SELECT * FROM parents ORDER BY number")
    assert [(row["image_id"], row["wanted"], row["parent_image_id"]) for row in parents] == [
        (child.key, "vhdx:cc", full.key),
        (child.key, "x", None),
    ]


def test_saving_again_replaces_everything(story):
    judgement = fill(story)
    tables = ("verdicts", "parents", "chains", "chain_images", "other_verdicts", "inferences")
    before = [story.count(table) for table in tables]
    assert before == [2, 2, 1, 2, 1, 1]
    story.ledger.save_verdicts(story.repository.id, judgement, EVENING)
    assert [story.count(table) for table in tables] == before
    story.ledger.save_verdicts(story.repository.id, Judgement((), (), ()), EVENING)
    assert [story.count(table) for table in tables] == [0] * 6
    assert len(story.evidence()) == 3


def test_verdicts_of_the_other_repository_stay(ledger, clock):
    one, two = Story(ledger, clock), Story(ledger, clock, "uuid:two")
    for story in (one, two):
        story.read("full.vhdx")
    both = Judgement(tuple(judged(story.images(), story.files()) for story in (one, two)), (), ())
    ledger.save_verdicts(one.repository.id, both, EVENING)
    assert one.count("verdicts") == 1
    ledger.save_verdicts(two.repository.id, both, EVENING)
    assert one.count("verdicts") == 2
    ledger.save_verdicts(one.repository.id, Judgement((), (), ()), EVENING)
    assert rows(one, "SELECT image_id FROM verdicts") == [{"image_id": two.images()[0].id}]


def test_every_piece_of_an_image_has_its_verdict(story):
    for number in (1, 2):
        story.read(f"{number}.bak", images=(image(piece(number)),))
    story.ledger.save_verdicts(
        1, Judgement((judged(story.images(), story.files()),), (), ()), EVENING
    )
    key = story.images()[0].id
    saved = rows(story, "SELECT path, verdict, key_image_id FROM v_images ORDER BY path")
    assert saved == [
        {"path": f"{number}.bak", "verdict": "sound", "key_image_id": key} for number in (1, 2)
    ]


def test_image_that_is_read_again_waits_for_a_new_verdict(story):
    fill(story)
    story.read("child.vhdx")
    saved = rows(story, "SELECT path, verdict FROM v_images ORDER BY path")
    assert saved == [
        {"path": "child.vhdx", "verdict": None},
        {"path": "full.vhdx", "verdict": "sound"},
    ]
    assert story.count("inferences") == 0


def test_image_that_is_no_more_leaves_the_chain_it_was_in(story):
    fill(story)
    story.read("full.vhdx", images=())
    (chain,) = rows(story, "SELECT * FROM v_chains")
    assert (chain["images"], chain["restorable_image_id"]) == (1, None)
    assert (chain["first_path"], chain["last_path"]) == ("child.vhdx", "child.vhdx")


class TestAcknowledging:
    @pytest.fixture
    def finding(self, story):
        story.read(evidence=(damaged(),), images=(image(evidence=(MATCHED,)),))
        return story.evidence()[-1].finding_id

    def test_is_known_until_its_day(self, story, finding):
        story.ledger.acknowledge(finding, EVENING + NIGHT, "käse", EVENING)
        (row,) = story.ledger.acknowledgements(EVENING)
        assert (row.finding_id, row.until) == (finding, EVENING + NIGHT)
        assert (row.reason, row.made_at) == ("käse", EVENING)
        assert story.ledger.acknowledgements(EVENING + NIGHT) == ()

    def test_again_replaces_day_and_reason(self, story, finding):
        story.ledger.acknowledge(finding, EVENING + NIGHT, "one", EVENING)
        story.ledger.acknowledge(finding, EVENING + 3 * NIGHT, "two", EVENING)
        (row,) = story.ledger.acknowledgements(EVENING + 2 * NIGHT)
        assert row.reason == "two"

    def test_unknown_finding_is_refused(self, story):
        with pytest.raises(NotThereError, match="the ledger knows no finding 'beefbeef00'"):
            story.ledger.acknowledge("beefbeef00", EVENING, "", EVENING)

    def test_outlives_a_finding_that_comes_and_goes(self, story, finding):
        story.ledger.acknowledge(finding, EVENING + NIGHT, "one", EVENING)
        story.read(evidence=())
        with pytest.raises(NotThereError):
            story.ledger.acknowledge(finding, EVENING, "", EVENING)
        assert len(story.ledger.acknowledgements(EVENING)) == 1

    def test_may_be_of_something_the_judge_misses(self, story):
        fill(story)
        story.ledger.acknowledge("0123456789", EVENING + NIGHT, "retired", EVENING)
        (row,) = rows(story, "SELECT * FROM v_findings WHERE finding_id = '0123456789'")
        assert (row["stage"], row["acknowledged_because"]) == ("chain", "retired")


def test_whole_size_of_a_proof_is_kept(story):
    story.read()
    one = judged(story.images(), story.files())
    story.ledger.save_verdicts(
        1,
        Judgement((replace(one, proof=replace(one.proof, bytes_needed=None)),), (), ()),
        EVENING,
    )
    assert rows(story, "SELECT bytes_needed, file_bytes FROM v_images") == [
        {"bytes_needed": None, "file_bytes": 3 * MIB}
    ]


def test_verdict_along_the_path_may_be_worse_than_ones_own(story):
    story.read()
    one = judged(story.images(), story.files())
    one = replace(one, ruling=Ruling(Verdict.INCOMPLETE, "parent missing"))
    story.ledger.save_verdicts(1, Judgement((one,), (), ()), EVENING)
    (row,) = rows(story, "SELECT verdict, rule, own_verdict, own_rule FROM v_images")
    assert list(row.values()) == ["incomplete", "parent missing", "sound", "sound"]
