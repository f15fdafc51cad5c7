"""A small part of the table that `python -m tests.matrix_sqlserver_bak` prints, asserted."""

from random import Random

import pytest

from tests.matrix_sqlserver_bak import load_all, measure

CERTAIN = (
    "cut anywhere",
    "cut by one byte",
    "tail zeroed, same size",
    "bit in block header",
    "bit in stream header",
    "bit in padding",
    "bit in filemark",
    "bit in log",
)
FILES = ("02_DBWithoutOwner.bak", "42_DB_QLBH.bak", "60_RestoreTimeClean.trn", "84_SpsSecurity.bak")


@pytest.mark.usefixtures("corpus")
def test_damage_that_is_always_noticed():
    table = measure(load_all(FILES), CERTAIN, 4, Random(3))  # noqa: S311 - no secret
    missed = {key: cell for key, cell in table.items() if cell[0] < cell[1]}
    assert not missed
    assert len(table) == 2 * len(CERTAIN)


@pytest.mark.usefixtures("corpus")
def test_backup_checksums_leave_little_unnoticed():
    subjects = load_all(("02_DBWithoutOwner.bak", "84_SpsSecurity.bak"))
    kinds = ("hole of 1 MiB", "hole of 4 KiB", "bit anywhere", "bit in page data")
    table = measure(subjects, kinds, 12, Random(4))  # noqa: S311 - no secret
    assert all(noticed == tried for noticed, tried in table.values()), table
