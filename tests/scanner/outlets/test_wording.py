"""How things are said: exact words, because people and scripts read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import formats
from formats.core.model import Bearing, Evidence, Outcome
from scanner.judge.model import Proof
from scanner.outlets import wording

NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SINCE = datetime(2025, 10, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (64 << 20, "64 MiB"),
        (1288490188, "1.2 GiB"),
        (800 << 30, "800 GiB"),
        (20 << 40, "20 TiB"),
        (1 << 80, "1048576 EiB"),
    ],
)
def test_sizes_are_powers_of_two_and_unknown_is_no_zero(length: int | None, said: str) -> None:
    assert wording.size(length) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "unknown"),
        (0.44, "0.4 s"),
        (12.4, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (3 * 86_400 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_durations_have_two_units(seconds: float | None, said: str) -> None:
    assert wording.duration(seconds) == said


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(0), "0 s ago"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=47, minutes=59), "47 h ago"),
        (timedelta(days=2), "2 d ago"),
        (timedelta(days=60), "on 13 January 2026"),
        (-timedelta(seconds=1), "on 14 March 2026"),
    ],
)
def test_ages_are_rounded_down_and_the_future_is_a_date(before: timedelta, said: str) -> None:
    assert wording.ago(NOW - before, NOW) == said


def test_time_without_zone_says_that_it_is_local() -> None:
    assert wording.moment(datetime(2026, 3, 1, 22, 30)) == "2026-03-01 22:30:00 local time"  # noqa: DTZ001


def test_aware_time_is_shown_in_utc() -> None:
    at = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(2 * HOUR))
    assert wording.moment(at) == "2026-02-28 22:30:00 UTC"


def test_only_everything_is_called_a_hundred_percent() -> None:
    assert wording.percent(10**9 - 1, 10**9) == "99.99 %"
    assert wording.percent(10**9, 10**9) == "100 %"
    assert wording.percent(1, 10**9) == "under 0.01 %"


@given(st.integers(0, 1 << 50), st.integers(1, 1 << 50))
def test_less_than_everything_is_never_a_hundred_percent(part: int, whole: int) -> None:
    assert (wording.percent(part, whole) == "100 %") == (part >= whole)


def evidence(outcome: Outcome, **changes: object) -> Evidence:
    fields = {"check": "vhdx.header.crc32c", "offset": 0x10000, "length": 4096}
    fields |= {"expected": "0x1", "actual": "0x0"} | changes
    return Evidence(outcome=outcome, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (evidence(Outcome.MISMATCHED), " at 0x10000+4096: expected 0x1, found 0x0"),
        (
            evidence(Outcome.MISMATCHED, bearing=Bearing.REDUNDANT),
            " at 0x10000+4096: expected 0x1, found 0x0 (redundant)",
        ),
        (evidence(Outcome.MISMATCHED, length=None), " at 0x10000: expected 0x1, found 0x0"),
        (evidence(Outcome.MISMATCHED, offset=None), ": expected 0x1, found 0x0"),
        (evidence(Outcome.MISMATCHED, expected=None), " at 0x10000+4096: found 0x0"),
        (
            evidence(Outcome.MISMATCHED, expected=None, actual=None),
            " at 0x10000+4096: does not match",
        ),
        (evidence(Outcome.MATCHED, count=1200), " at 0x10000+4096: matched, 1,200 times"),
        (
            evidence(Outcome.TRUNCATED, member="a b"),
            " at 0x10000+4096 in 'a b': expected 0x1, found 0x0",
        ),
        (
            evidence(Outcome.UNREADABLE, expected=None, actual="EIO"),
            " at 0x10000+4096: found EIO",
        ),
        (
            evidence(Outcome.TRUNCATED, expected=None, actual=None),
            " at 0x10000+4096: bytes are missing",
        ),
        (
            evidence(Outcome.UNREADABLE, expected=None, actual=None),
            " at 0x10000+4096: the storage refuses these bytes",
        ),
        (
            evidence(Outcome.UNSTEADY),
            " at 0x10000+4096: wrong at first, right when read again",
        ),
        (evidence(Outcome.ABSENT), " at 0x10000+4096: nothing declared"),
        (
            evidence(Outcome.UNSUPPORTED, expected="version 2 or 3", actual="version 4"),
            " at 0x10000+4096: expected version 2 or 3, found version 4",
        ),
        (
            evidence(Outcome.UNSUPPORTED, expected=None, actual=None),
            " at 0x10000+4096: not supported",
        ),
    ],
)
def test_evidence_says_what_where_expected_found(row: Evidence, said: str) -> None:
    assert wording.message(row) == f"vhdx.header.crc32c{said}"


@pytest.mark.parametrize(
    ("check", "count", "said"),
    [
        ("sqlserver_bak.page.checksum", 4, "4 pages"),
        ("baseline.block.xxh3", 1200, "1,200 blocks"),
        ("qcow2.l2.entry", 2, "2 entries"),
        ("qcow2.l2.entry", 1, "1 entry"),
        ("qcow2.cluster.entry", 2, "2 entries"),
        ("vhd.file.needed", 4, "4 blocks"),
        ("sqlserver_bak.log.unprotected", 3, "3 sectors"),
        ("vhd.header.block_size", 2, "2 times"),
        ("page.header.crc32", 1, ""),
        ("odd", 2, "2 times"),
    ],
)
def test_a_count_says_what_it_counts_where_the_check_does(
    check: str, count: int, said: str
) -> None:
    assert wording.times(check, count) == said


@pytest.mark.parametrize(
    ("check", "outcome", "said"),
    [
        ("vhd.file.needed", Outcome.TRUNCATED, "expected 0x1, found 0x0; 4 blocks affected"),
        ("vhd.header.crc32c", Outcome.MISMATCHED, "expected 0x1, found 0x0; 4 times"),
        ("sqlserver_bak.page.unprotected", Outcome.ABSENT, "nothing declared, 4 pages"),
        ("sqlserver_bak.page.checksum", Outcome.MATCHED, "matched, 4 pages"),
    ],
)
def test_a_count_is_not_mistaken_for_what_was_found(
    check: str, outcome: Outcome, said: str
) -> None:
    row = evidence(outcome, check=check, count=4)
    assert wording.message(row) == f"{check} at 0x10000+4096: {said}"


@pytest.mark.parametrize("check", wording.COUNTED)
def test_checks_whose_counts_have_a_noun_exist(check: str) -> None:
    assert any(check in record.checks for record in formats.FORMATS)


def record(**changes: object) -> Proof:
    fields: dict[str, object] = {
        "structure_at": NOW - HOUR,
        "read_at": NOW - 2 * HOUR,
        "unchanged_since": None,
        "checksums_at": NOW,
        "bytes_vouched": 9997,
        "bytes_needed": 10_000,
    }
    return Proof(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (record(), "checksums 99.97 %, read 2 h ago"),
        (
            record(unchanged_since=SINCE),
            "checksums 99.97 %, read 2 h ago, unchanged since 3 October 2025",
        ),
        (
            record(bytes_vouched=0, unchanged_since=SINCE),
            "every byte read 2 h ago, unchanged since 3 October 2025; no checksums",
        ),
        (record(bytes_needed=None), "checksums over 9.8 KiB, read 2 h ago"),
        (record(read_at=None), "structure proven 1 h ago, not every byte read"),
        (record(read_at=None, structure_at=None), "nothing proven"),
        (
            record(structure_at=None, bytes_vouched=0),
            "every byte read 2 h ago; no checksums; structure not proven",
        ),
        # The first reading is its own baseline: that proves no constancy.
        (record(unchanged_since=NOW - 2 * HOUR), "checksums 99.97 %, read 2 h ago"),
    ],
)
def test_proof_is_one_phrase_that_claims_no_more_than_the_record(subject: Proof, said: str) -> None:
    assert wording.proof(subject, NOW) == said


def test_several_proofs_together_claim_what_all_of_them_can() -> None:
    old = record(read_at=NOW - 9 * HOUR, unchanged_since=SINCE)
    young = record(unchanged_since=SINCE + HOUR, bytes_vouched=0)
    both = wording.combined([old, young])
    assert both.read_at == NOW - 9 * HOUR
    assert both.unchanged_since == SINCE + HOUR
    assert (both.bytes_vouched, both.bytes_needed) == (9997, 20_000)


def test_one_missing_proof_takes_it_from_all() -> None:
    both = wording.combined([record(), record(read_at=None, bytes_needed=None)])
    assert both.read_at is None
    assert both.unchanged_since is None
    assert both.bytes_needed is None


@given(st.text())
def test_foreign_text_is_printable_in_the_end(text: str) -> None:
    assert wording.clean(text).isprintable()


@given(st.text(st.characters(codec=None)))
def test_foreign_text_can_always_be_encoded(text: str) -> None:
    wording.encodable(text).encode("utf-8")


def test_bytes_of_a_name_that_are_no_utf8_are_shown_as_escapes() -> None:
    assert wording.encodable("a\udcff") == "a\\udcff"
