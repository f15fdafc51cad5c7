"""Every file a fuzzer ever broke a format with, tried again: see fixtures/crashes/ORIGIN.md."""

import pytest

from tests.fuzz.seeds import subject_named
from tests.fuzz.trial import alarm, put_to_trial
from tests.samples import FIXTURES
from tests.sources import unpack

CRASHES = FIXTURES / "crashes"
FILES = sorted(path for path in CRASHES.rglob("*.bin*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda item: item.relative_to(CRASHES).as_posix())
def test_format_keeps_its_promises_where_it_once_did_not(path):
    with alarm():
        put_to_trial(subject_named(path.parent.name), unpack(path))


def test_every_crash_is_told_of():
    told = (CRASHES / "ORIGIN.md").read_text("utf-8")
    assert [item for item in FILES if item.relative_to(CRASHES).as_posix() not in told] == []
