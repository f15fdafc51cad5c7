"""The garbage collector rests while rows are judged, and only then."""

import gc

import pytest

from scanner.uncollected import uncollected


def test_collector_rests_in_the_block_and_works_behind_it():
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collector_works_again_after_an_error():
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled()
