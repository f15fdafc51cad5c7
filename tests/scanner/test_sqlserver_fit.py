"""Real backups of SQL Server 2005 to 2022 beside what their own databases had in use.

Goal: no sound full is called a part, and no part a full. Method: files of the corpus are scanned as
they are, cut, and without one of their stripes, and `explain` is asked.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.scanner.test_cli import OLD, Bench

FULLS = ("01", "02", "05", "16", "25", "40", "44", "45", "49", "59", "69", "75", "84")
COMPRESSED = "67"
STRIPES = ("27", "28")
LOG_WITHOUT_NEWS = "08"


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    (tmp_path / "backups").mkdir()
    return Bench(tmp_path, capsys)


def put(bench: Bench, corpus: Path, *numbers: str, share: float = 1) -> None:
    """Copy files of the corpus by their numbers, or only the first share of them."""
    for number in numbers:
        (source,) = (corpus / "sqlserver").glob(f"{number}_*")
        target = bench.repository / f"file-{number}"
        shutil.copyfile(source, target)
        os.truncate(target, round(target.stat().st_size * share))
        os.utime(target, (OLD, OLD))


def words(bench: Bench, *numbers: str) -> dict[str, str]:
    """Scan, and return how each of these files fits its source."""
    bench.scan()
    found = {}
    for number in numbers:
        _, out, _ = bench.run("explain", f"file-{number}", "--json")
        (image,) = json.loads(out)["images"]
        found[number] = image["fit"]["word"]
    return found


def test_sound_fulls_are_full(bench: Bench, corpus: Path) -> None:
    numbers = (*FULLS, COMPRESSED, *STRIPES)
    put(bench, corpus, *numbers)
    assert words(bench, *numbers) == dict.fromkeys(numbers, "full")


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_cut_fulls_are_parts(bench: Bench, corpus: Path, share: float) -> None:
    numbers = ("16", "69", COMPRESSED)
    put(bench, corpus, *numbers, share=share)
    assert words(bench, *numbers) == dict.fromkeys(numbers, "partial")


def test_a_full_without_one_of_its_stripes_is_a_part(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, STRIPES[0])
    assert words(bench, STRIPES[0]) == {STRIPES[0]: "partial"}


def test_a_log_without_news_is_plausible(bench: Bench, corpus: Path) -> None:
    put(bench, corpus, LOG_WITHOUT_NEWS)
    assert words(bench, LOG_WITHOUT_NEWS) == {LOG_WITHOUT_NEWS: "plausible"}
