"""What every format promises, run over every supported format and all its samples.

A format appears here as soon as `formats` finds it; without a fixture the suite fails.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import formats
from formats.core.source import BytesSource, EdgeCached, NoNeighbours, Window
from tests import contract, strategies
from tests.contract import HUGE_BYTES, Subject
from tests.drive import Driven
from tests.samples import FIXTURES, Sample, fixture_samples, samples_of, supported
from tests.sources import Extended
from tests.strategies import seeded

SAMPLES = {item.name: samples_of(item) for item in supported()}
EDGE_BYTES = 128 * 1024

# Damage is tried on small samples: driving is slow, and a large file of the same writer has the
# same structures.
DAMAGED_BYTES_MAX = 6 << 20
DAMAGED_COUNT_MIN = 4
# What a restore does not miss at the very end: [VHD] knows footers of 511 bytes beside 512.
SPARE_BYTES: Mapping[str, int] = {"vhd": 1}

FLIPS_PER_SAMPLE = 3
FLIPS_PER_FORMAT = 40
SIGMAS = 4
SWEPT_PER_EXAMPLE = 4

every_format = pytest.mark.parametrize("name", SAMPLES)
every_sample = pytest.mark.parametrize(
    "sample",
    [
        pytest.param(sample, id=f"{name}:{sample.label}")
        for name, samples in SAMPLES.items()
        for sample in samples
    ],
)


def subject_of(sample: Sample) -> Subject:
    found = formats.by_name(sample.format_name or "")
    assert found is not None
    return Subject(found, sample.source(), sample.neighbours())


@functools.cache
def driven(sample: Sample) -> Driven:
    """Drive an undamaged sample, once for all tests."""
    return subject_of(sample).drive()


@functools.cache
def damageable(name: str) -> Sequence[Sample]:
    """Return the samples that damage is tried on: the small ones, and a few in any case."""
    by_size = sorted(SAMPLES[name], key=lambda item: item.source().size)
    small = [item for item in by_size if item.source().size <= DAMAGED_BYTES_MAX]
    return small if len(small) >= DAMAGED_COUNT_MIN else by_size[:DAMAGED_COUNT_MIN]


@functools.cache
def hot_places(sample: Sample) -> Sequence[int]:
    return strategies.hot_places(driven(sample), sample.source().size)


def require_samples(name: str) -> None:
    """Skip where the only samples are in the corpus, and the corpus is not here."""
    if not SAMPLES[name]:
        pytest.skip(f"no sample of {name} at hand; set BAKPROOF_CORPUS")


def draw_sample(data: st.DataObject, name: str) -> Sample:
    require_samples(name)
    return data.draw(st.sampled_from(damageable(name)))


@every_format
def test_format_has_a_fixture_of_its_own(name):
    labels = [item.label for item in fixture_samples(formats.by_name(name))]
    assert labels, f"no sample in tests/fixtures/{name}"


def test_fixture_folders_say_where_their_files_come_from():
    folders = {path.parent for path in FIXTURES.rglob("*") if path.is_file()}
    for folder in folders:
        inside = [item for item in (folder, *folder.parents) if FIXTURES in item.parents]
        assert any((item / "ORIGIN.md").is_file() for item in inside), folder


@every_format
def test_format_describes_itself(name):
    subject = formats.by_name(name)
    assert subject.checks
    for check, sentence in subject.checks.items():
        assert contract.CHECK_GRAMMAR.fullmatch(check), check
        assert sentence.endswith("."), check
    for text in (subject.title, subject.integrity, subject.limitations, subject.samples):
        assert text
    assert subject.references
    assert subject.revision >= 1
    assert all(item == item.lower() and item.startswith(".") for item in subject.suffixes)


@every_sample
def test_sample_is_identified_as_itself_only(sample):
    source = EdgeCached(sample.source(), EDGE_BYTES)
    claims = [item.name for item in formats.FORMATS if item.probe(source)]
    assert claims == [sample.format_name]


@every_sample
def test_sample_has_no_bad_evidence(sample):
    contract.check_clean(driven(sample), sample.allows)


@every_sample
def test_evidence_of_sample_is_well_formed(sample):
    subject = subject_of(sample)
    contract.check_evidence(subject.format, driven(sample).evidence, subject.source.size)
    contract.check_inspections(driven(sample), subject.source.size)


@every_sample
def test_inspection_is_plain_and_repeatable(sample):
    contract.check_plain(driven(sample))
    contract.check_repeatable(subject_of(sample), driven(sample))


@every_sample
def test_sample_without_its_folder_is_no_crash(sample):
    subject = subject_of(sample)
    contract.inspect_and_list(replace(subject, neighbours=NoNeighbours()), subject.source)


@every_sample
def test_storage_that_refuses_is_not_taken_for_damage(sample):
    call = 1
    while contract.check_storage_error(subject_of(sample), call):
        call += max(1, call // 2)


@every_sample
def test_extents_of_sample_keep_their_promises(sample):
    subject = subject_of(sample)
    contract.check_batches(subject.format, driven(sample), subject.source.size)


@every_sample
def test_grouping_of_elements_changes_nothing(sample):
    contract.check_grouping(subject_of(sample), sample.source(), driven(sample), seeded(1))


@every_sample
def test_flip_under_a_matched_check_changes_it(sample):
    subject, before = subject_of(sample), driven(sample)
    if sample not in damageable(subject.format.name):
        pytest.skip("larger than damage is tried on")
    random = seeded(sample.label)
    rows = contract.vouching_rows(before, subject.source.size)
    by_check = {row.check: row for row in random.sample(rows, len(rows))}
    for check in random.sample(sorted(by_check), min(len(by_check), FLIPS_PER_SAMPLE)):
        contract.check_flip_is_noticed(subject, before, by_check[check], random)


@every_format
def test_as_many_flips_are_noticed_as_bytes_are_vouched_for(name):
    require_samples(name)
    random = seeded(name)
    expected = variance = noticed = 0.0
    for _ in range(FLIPS_PER_FORMAT):
        sample = random.choice(damageable(name))
        subject, before = subject_of(sample), driven(sample)
        share = sum(item.vouched_bytes for item in before.evidence) / subject.source.size
        expected += share
        variance += share * (1 - share)
        noticed += contract.noticed(subject, before, random)
    assert noticed >= expected - SIGMAS * variance**0.5 - 1


@every_format
def test_needed_bytes_are_known_for_most_samples(name):
    require_samples(name)
    known = [all(one.needed_bytes for one in driven(item).inspections) for item in SAMPLES[name]]
    assert sum(known) * 2 > len(known)


@every_format
@given(data=st.data())
def test_cut_below_what_is_needed_is_never_silent(name, data):
    sample = draw_sample(data, name)
    needed = [item.needed_bytes for item in driven(sample).inspections if item.needed_bytes]
    if needed:
        places = contract.boundaries(driven(sample))
        size = data.draw(strategies.cuts(min(needed), places))
        spare = min(needed) - size <= SPARE_BYTES.get(name, 0)
        contract.check_cut(subject_of(sample), Window(sample.source(), 0, size), spare=spare)


@every_format
@given(data=st.data())
def test_flipped_bit_never_crashes(name, data):
    sample = draw_sample(data, name)
    damaged = data.draw(strategies.flips(sample.source(), hot_places(sample)))
    contract.check_survives(subject_of(sample), damaged)


@every_format
@given(data=st.data())
def test_extreme_numbers_never_crash(name, data):
    sample = draw_sample(data, name)
    damaged = data.draw(strategies.hostile(sample.source(), hot_places(sample)))
    contract.check_survives(subject_of(sample), damaged)


@every_format
@given(data=st.data())
def test_extreme_numbers_cost_little_even_in_a_huge_file(name, data):
    sample = draw_sample(data, name)
    damaged = data.draw(strategies.hostile(sample.source(), hot_places(sample)))
    huge = Extended(
        damaged, data.draw(st.sampled_from([damaged.size, HUGE_BYTES, 20 * HUGE_BYTES]))
    )
    contract.check_bounded(subject_of(sample), [huge])


@every_format
def test_every_field_may_be_extreme_in_a_huge_file(name):
    require_samples(name)
    smallest = min(SAMPLES[name], key=lambda item: item.source().size)
    sources = list(strategies.swept(smallest.source(), hot_places(smallest), HUGE_BYTES))
    some = min(len(sources), SWEPT_PER_EXAMPLE * settings.default.max_examples)
    contract.check_bounded(subject_of(smallest), seeded(name).sample(sources, some))


@every_format
@given(data=st.data())
def test_random_bytes_never_crash(name, data):
    require_samples(name)
    sources = [item.source() for item in damageable(name)]
    heads = [source.read_at(0, min(source.size, 512)) for source in sources]
    source = BytesSource(data.draw(strategies.bytes_like(heads)))
    subject = Subject(formats.by_name(name), source, NoNeighbours())
    if subject.format.probe(source):
        contract.check_survives(subject, source)
    else:
        subject.drive()


@every_format
@given(data=st.data())
def test_grouping_of_damaged_elements_changes_nothing(name, data):
    sample = draw_sample(data, name)
    damaged = data.draw(strategies.flips(sample.source(), hot_places(sample)))
    subject = subject_of(sample)
    contract.check_grouping(subject, damaged, subject.drive(damaged), seeded(1))
