"""Quicker ways give what the plain ones do: each is held against the slow one it stands for."""

from dataclasses import replace

import pytest

from scanner.expectations import matches
from scanner.judge.cases import cases
from scanner.judge.chains import chains
from scanner.judge.names.programs import GRAMMARS, by_program
from scanner.judge.names.reading import Names, read_name
from scanner.judge.rules import FOR_BAD_EVIDENCE, RULES, judge_alone
from scanner.judge.sources.grouping import Draft, claimant
from scanner.judge.sources.model import when
from scanner.judge.sqlserver.databases import databases
from scanner.judge.sqlserver.lsn import judged_sets
from tests.scanner.judge.rows import REPOSITORIES, SETTLE
from tests.scanner.judge.varied import EXPECTED, VOCABULARY, ahead, judged, varied

SEEDS = (11, 12)
ROOTS = {row.id: row.path for row in REPOSITORIES}


@pytest.mark.parametrize("seed", SEEDS)
def test_rules_that_are_skipped_apply_to_nothing_without_bad_evidence(seed):
    every = list(cases(varied(seed).shelf(), VOCABULARY.supported))
    assert len(every) > 200
    for case in every:
        clean = replace(case, evidence=tuple(row for row in case.evidence if not row.evidence.bad))
        assert not any(rule(clean, SETTLE) for rule in FOR_BAD_EVIDENCE)
        for one in (case, clean):
            applies = (rule for rule in RULES if rule.applies(one, SETTLE) is not None)
            assert judge_alone(one, SETTLE).rule == next(applies).name


@pytest.mark.parametrize("seed", SEEDS)
def test_names_are_read_once_and_alike(seed):
    names = Names()
    for file in varied(seed).files:
        assert names.read(file.path) is names.read(file.path)
        assert names.read(file.path) == read_name(file.path)


@pytest.mark.parametrize(
    "path",
    [
        "0123456789ABCDEF-00-00.MRIMG",
        "job2026-01-02T030405.vBk",
        "vzdump-qemu-100-2026_01_02-03_04_05.vma.zst",
        "disk_full_b1_s1_v1.tib",
        "archive-0001.TIBX",
        "c-b001-i002.spi",
        "c001_i002.iv2i",
        "Image_C_260102-0304.vhdz",
        "WindowsImageBackup/pc/Backup 2026-01-02 030405/c.VHDX",
        "srv_shop_LOG_20260102_030405.trn",
        "shop_backup_2026_01_02_030405_0000001.bak",
        *(file.path for file in varied(SEEDS[0]).files),
    ],
)
def test_no_grammar_is_passed_over_that_fits(path):
    name = path.rpartition("/")[2]
    fitting = (
        one.name
        for one in GRAMMARS
        if (found := one.pattern.fullmatch(path if one.name == "windows-image" else name))
        and one.read(found)
    )
    known = by_program(name, path)
    assert (known and known[0]) == next(fitting, None)


@pytest.mark.parametrize("seed", SEEDS)
def test_chains_of_databases_are_those_of_the_final_verdicts(seed):
    judgement = judged(varied(seed))
    stale = [replace(item, verdict=3) for item in judged_sets(judgement.images)]
    assert tuple(chains(judgement.images, stale)) == judgement.chains
    keys = {database.full_name for database in databases(judged_sets(judgement.images))}
    assert keys <= {chain.name for chain in judgement.chains}


@pytest.mark.parametrize("seed", SEEDS)
def test_points_of_a_source_are_in_order(seed):
    for one in ahead(varied(seed), judged(varied(seed))).sources:
        points = one.source.points
        assert list(points) == sorted(points, key=when)
        usable = [point for point in points if point.usable]
        assert one.source.newest == max(usable, key=when, default=None)
        assert one.source.oldest == min(usable, key=when, default=None)
        assert one.source.last == max(points, key=when, default=None)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_declared_source_that_claims_any_image_has_them(seed):
    rows = varied(seed)
    images = judged(rows).images
    asked = [(item, lambda *place, of=item: matches(of, *place)) for item in EXPECTED.sources]
    found = ahead(rows, judged(rows)).sources
    claimed = 0
    for one in found:
        if one.source.declared is None or one.source.database is not None:
            continue
        mine = [image for image in images if image in one.source.images]
        whole = claimant(Draft(("disk",), mine, []), asked, ROOTS)
        assert not mine or whole == one.source.declared
        claimed += bool(mine)
    assert claimed
