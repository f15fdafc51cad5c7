"""Names of collations: the bytes are those of real backups, the names those servers use."""

from pathlib import Path

import pytest

from formats.core.source import BytesSource, NoNeighbours
from formats.sqlserver_bak import FORMAT
from formats.sqlserver_bak.collations import DESIGNATORS, SQL_COLLATIONS, collation_name

KANA_AND_WIDTH_ALIKE = 196_609


@pytest.mark.parametrize(
    ("stored", "style", "name"),
    [
        ("0904d00034", KANA_AND_WIDTH_ALIKE, "SQL_Latin1_General_CP1_CI_AS"),
        ("1904d00000", KANA_AND_WIDTH_ALIKE, "Cyrillic_General_CI_AS"),
        ("0104f00000", KANA_AND_WIDTH_ALIKE + 2, "Arabic_CI_AI"),
        ("0904c00000", KANA_AND_WIDTH_ALIKE - 1, "Latin1_General_CS_AS"),
        ("1104100000", 1, "Japanese_CI_AS_KS_WS"),
        ("1104500000", 1 | 0x10000, "Japanese_CI_AS_WS"),
        ("0904000100", 0, "Latin1_General_BIN"),
        ("0904000200", 0, "Latin1_General_BIN2"),
    ],
)
def test_collation_is_named_as_servers_name_it(stored: str, style: int, name: str) -> None:
    assert collation_name(bytes.fromhex(stored), style) == name


@pytest.mark.parametrize(
    "stored",
    [
        "0000000000",  # the raw collation
        "0104d02000",  # Arabic, version 2: with supplementary characters or without
        "ff04d00000",  # no such locale
        "0904d000ff",  # no such sort order
    ],
)
def test_collation_that_is_not_known_is_not_guessed(stored: str) -> None:
    assert collation_name(bytes.fromhex(stored), KANA_AND_WIDTH_ALIKE) is None


def test_every_name_is_there_once() -> None:
    for table in (SQL_COLLATIONS, DESIGNATORS):
        assert len(set(table.values())) == len(table)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("01_NORTHWND.bak", "SQL_Latin1_General_CP1_CI_AS"),  # SQL Server 2005
        ("81_MyDB.bak", "Cyrillic_General_CI_AS"),  # 2019
        ("91_Chinook.bak", "Arabic_CI_AS"),  # 2025
        ("67_TutorialDB.bak", "SQL_Latin1_General_CP1_CI_AS"),  # compressed
    ],
)
def test_real_backups_give_the_collation_of_their_database(
    corpus: Path, file: str, name: str
) -> None:
    content = (corpus / "sqlserver" / file).read_bytes()
    for image in FORMAT.inspect(BytesSource(content), NoNeighbours()):
        assert image.facts["Collation"] == name
