"""Whether what somebody accepted can change what was judged at all."""

import pytest

from scanner.cli.reports import is_about
from tests.scanner.judge.rows import GOOD, Rows, bad


@pytest.mark.parametrize(
    ("names", "about"),
    [
        ((), False),
        (("warning about a source",), False),
        (("finding-2",), True),
        (("finding-3", "warning about a source"), True),
        (("finding-4",), False),
    ],
)
def test_only_findings_that_were_judged_call_for_judging_again(names, about):
    rows = Rows()
    rows.backup("a.vhdx", (GOOD, bad()))
    rows.file("b.bin", (bad(check="generic.content"),), known_as=None)
    assert is_about(frozenset(names), rows.judged()) is about
