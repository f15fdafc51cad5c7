"""A fresh ledger for every test."""

import pytest

from scanner.ledger.store import Ledger
from tests.scanner.ledger.stories import Clock, Story


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger_path(tmp_path):
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(ledger_path, clock):
    with Ledger.open(ledger_path, clock) as opened:
        yield opened


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """One ledger for all examples of a property, each in a run of its own."""
    clock = Clock()
    with Ledger.open(tmp_path_factory.mktemp("state") / "ledger.sqlite", clock) as opened:
        yield Story(opened, clock)


@pytest.fixture
def story(ledger, clock):
    return Story(ledger, clock)
