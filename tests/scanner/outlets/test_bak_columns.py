"""From facts to the columns a server prints, and from rows to text."""

import pytest

from scanner.outlets.bak_columns import FILE_COLUMNS, HEADER_COLUMNS, Rows, files, headers, label
from scanner.outlets.bak_tables import as_csv, as_text, rows_out

LOG = {
    "BackupTypeLetter": "L",
    "FirstLSN": "100",
    "LastLSN": "200",
    "RecoveryForkID": "NEW",
    "FirstRecoveryForkID": "OLD",
    "ForkPointLSN": "150",
}


def header(facts: dict[str, object]) -> dict[str, object]:
    (row,) = headers([facts]).rows
    return dict(zip(HEADER_COLUMNS, row, strict=True))


@pytest.mark.parametrize(
    ("changes", "first", "point"),
    [
        ({}, "OLD", "150"),
        ({"ForkPointLSN": "100"}, "OLD", "100"),
        ({"ForkPointLSN": "99"}, "NEW", None),
        ({"ForkPointLSN": "201"}, "NEW", None),
        ({"ForkPointLSN": None}, "NEW", None),
        ({"BackupTypeLetter": "D"}, "NEW", None),
    ],
)
def test_fork_is_printed_only_for_a_log_in_which_it_lies(
    changes: dict[str, object], first: str, point: str | None
) -> None:
    """RESTORE HEADERONLY: for data backups FirstRecoveryForkID equals RecoveryForkID."""
    row = header(LOG | changes)
    assert (row["FirstRecoveryForkID"], row["ForkPointLSN"]) == (first, point)


def test_lsn_of_a_last_full_there_was_not_is_zero_and_unknown_is_null() -> None:
    assert header({"DatabaseBackupLSN": None})["DatabaseBackupLSN"] == "0"
    assert header({})["DatabaseBackupLSN"] is None


def test_dates_lose_their_zone_and_bits_are_numbers() -> None:
    row = header({"BackupStartDate": "2026-03-14T12:00:05.250000+05:30", "IsCopyOnly": True})
    assert row["BackupStartDate"] == "2026-03-14 12:00:05.250"
    assert row["IsCopyOnly"] == 1
    assert type(row["IsCopyOnly"]) is int
    assert header({"BackupStartDate": "soon"})["BackupStartDate"] == "soon"


def test_file_list_that_is_none_has_no_rows() -> None:
    for listed in (None, "x", [1, None], []):
        assert files({"FileList": listed}).rows == ()
    (row,) = files({"FileList": [{"LogicalName": "shop", "Size": 8192}]}).rows
    assert dict(zip(FILE_COLUMNS, row, strict=True))["Size"] == 8192


def test_label_prints_four_bytes_as_a_guid() -> None:
    rows = label({"MediaFamilyId": 0x209EB181, "Compressed": 1})
    found = dict(zip(rows.columns, rows.rows[0], strict=True))
    assert found["MediaFamilyId"] == "209EB181-0000-0000-0000-000000000000"
    assert found["IsCompressed"] == 1


TABLE = Rows("row", ("Name", "Bytes"), (("a", 1), ("long name", 12345), (None, None)))


def test_table_that_fits_has_one_line_a_row() -> None:
    assert as_text(TABLE, 80).splitlines() == [
        "Name       Bytes",
        "---------  -----",
        "a          1",
        "long name  12345",
        "NULL       NULL",
    ]


def test_numbers_stand_right_where_a_column_has_nothing_else() -> None:
    lines = as_text(Rows("row", ("Bytes",), ((1,), (12345,))), 80).splitlines()
    assert lines == ["Bytes", "-----", "    1", "12345"]


def test_table_that_does_not_fit_has_one_line_a_column() -> None:
    assert as_text(TABLE, 15).splitlines()[:5] == [
        "row 1 of 3",
        "Name   a",
        "Bytes  1",
        "",
        "row 2 of 3",
    ]


def test_csv_quotes_what_needs_it() -> None:
    rows = Rows("row", ("Name",), (('say "x", y',), (None,), ("\udcff",)))
    assert as_csv(rows) == 'Name\r\n"say ""x"", y"\r\n""\r\n\\udcff\r\n'


def test_numbers_json_readers_round_are_text() -> None:
    out = rows_out("/p", Rows("row", ("N",), ((1 << 53,), ((1 << 53) + 1,))))
    assert [row["N"] for row in out.rows] == [1 << 53, str((1 << 53) + 1)]
