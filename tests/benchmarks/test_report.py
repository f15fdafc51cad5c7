import pytest

from benchmarks import report
from benchmarks.measure import Contender, Measured, Sample, ratio
from benchmarks.options import KIB, MIB
from benchmarks.report import Section
from benchmarks.timing import Cost


def measured(name, *seconds, beside=None, aim=None):
    samples = [Sample(Cost(value, value / 2, 8 * MIB, 0), value + 1) for value in seconds]
    return Measured(Contender(name, (name,), beside=beside, aim=aim), samples)


def test_ratio_compares_rounds_and_not_medians():
    # The machine was slow in the second round, for both.
    ours, other = measured("ours", 1.0, 10.0, 1.0), measured("other", 0.5, 5.0, 2.0)
    assert ratio(ours, other) == 0.5


def test_a_faster_contender_of_ours_stands_above_one():
    assert ratio(measured("ours", 1.0), measured("other", 4.0)) == 4.0


@pytest.mark.parametrize(
    ("ours", "text"), [(1.0, "0.9 reached"), (1.11, "0.9 reached"), (1.12, "0.9 missed")]
)
def test_an_aim_is_reached_from_its_share_on(ours, text):
    lines = report.compared(
        [measured("ours", ours), measured("bare", 1.0, beside="ours", aim=0.9)], MIB
    )
    assert lines[3].endswith(text)


def test_a_table_shows_median_spread_rate_and_cost():
    lines = report.compared([measured("ours", 4.0, 1.0, 2.0)], 10 * MIB)
    assert lines[2].split() == ["ours", "2", "1", "4", "5", "1", "8", "3"]


def test_columns_line_up():
    lines = report.table(["name", "value"], [["a", "1"], ["longer", "1000"]])
    assert lines == ["name    value", "------  -----", "a           1", "longer   1000"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (KIB, "1 KiB"),
        (1536, "1.5 KiB"),
        (4 << 30, "4 GiB"),
        (1 << 40, "1 TiB"),
        ((1 << 40) + (1 << 30), "1.0 TiB"),
    ],
)
def test_sizes_are_shown_in_powers_of_two(size, text):
    assert report.size_text(size) == text


def test_sections_keep_their_place_and_what_was_written_by_hand(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text("# Results\n\nRemarks.\n", "utf-8")
    report.write(Section("a", "First", ("old",)), ("when",), path)
    report.write(Section("b", "Second", ("two",)), ("when",), path)
    report.write(Section("a", "First", ("new",)), ("later",), path)
    text = path.read_text("utf-8")
    assert text.startswith("# Results\n\nRemarks.\n\n<!-- measured: a -->\n## First\n")
    assert text.index("new") < text.index("two")
    assert "old" not in text
    assert text.count("```text\nlater\n\nnew\n```\n<!-- end: a -->") == 1
    assert text.endswith("<!-- end: b -->\n")


def test_results_are_begun_where_there_are_none(tmp_path):
    path = tmp_path / "RESULTS.md"
    report.write(Section("a", "First", ("one",)), (), path)
    assert path.read_text("utf-8").startswith("# Results\n\n<!-- measured: a -->\n")
