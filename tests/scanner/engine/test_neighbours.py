"""How a format reaches a second file: never outside the repository, never through a link, never
more than a bounded number, and nothing is left open.
"""

import os
from pathlib import Path

import pytest

from scanner.engine import neighbours as module
from scanner.engine.neighbours import FolderNeighbours
from tests.faulty import Faults, FaultyOpener


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside.img").write_bytes(b"secret")
    repository = tmp_path / "repository"
    (repository / "sets/deep").mkdir(parents=True)
    (repository / "base.img").write_bytes(b"base")
    (repository / "sets/child.img").write_bytes(b"child")
    (repository / "sets/deep/far.img").write_bytes(b"far")
    (repository / "sets/Ünïcode.img").write_bytes(b"name")
    return repository


@pytest.fixture
def opener() -> FaultyOpener:
    return FaultyOpener({"refused.img": Faults(open_errno=13)})


def content(found: object) -> bytes | None:
    return None if found is None else found.read_at(0, found.size)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("child.img", b"child"),
        ("../base.img", b"base"),
        ("deep/far.img", b"far"),
        ("deep/../child.img", b"child"),
        ("Ünïcode.img", b"name"),
        ("missing.img", None),
        ("refused.img", None),
        ("deep", None),
        ("", None),
        (".", None),
        ("..", None),
        ("../../outside.img", None),
        ("../sets/../../outside.img", None),
        ("/etc/passwd", None),
        ("no\0name", None),
        ("lone\ud800surrogate", None),
        ("x" * 5000, None),
        ("a/" * 3000 + "b", None),
    ],
)
def test_a_name_leads_to(root, opener, name, expected):
    around = FolderNeighbours(root / "sets", root, opener)
    assert content(around.open(name)) == expected
    around.close()
    assert opener.opened == opener.closed


def test_an_absolute_name_inside_the_repository_is_in_it(root, opener):
    around = FolderNeighbours(root / "sets", root, opener)
    assert content(around.open(str(root / "base.img"))) == b"base"
    around.close()


@pytest.mark.parametrize(
    "target", ["../../outside.img", "/etc/passwd", "child.img", "loop.img", "missing"]
)
def test_links_lead_nowhere(root, opener, target):
    (root / "sets/loop.img").symlink_to("loop.img") if target != "loop.img" else None
    (root / "sets" / ("loop.img" if target == "loop.img" else "link.img")).symlink_to(target)
    around = FolderNeighbours(root / "sets", root, opener)
    assert around.open("loop.img" if target == "loop.img" else "link.img") is None
    around.close()


def test_a_linked_folder_leads_nowhere_outside(root, opener):
    (root / "sets/way").symlink_to(root.parent)
    around = FolderNeighbours(root / "sets", root, opener)
    assert around.open("way/outside.img") is None
    around.close()


def test_a_pipe_hangs_nobody(root, opener):
    os.mkfifo(root / "sets/pipe")
    around = FolderNeighbours(root / "sets", root, opener)
    assert around.open("pipe") is None
    around.close()


def test_only_files_are_named_in_order(root, opener):
    os.mkfifo(root / "sets/pipe")
    (root / "sets/link").symlink_to("child.img")
    around = FolderNeighbours(root / "sets", root, opener)
    assert around.names() == ["child.img", "Ünïcode.img"]


def test_only_so_many_are_opened_and_all_are_closed(root, opener, monkeypatch):
    monkeypatch.setattr(module, "OPEN_MAX", 3)
    around = FolderNeighbours(root / "sets", root, opener)
    opened = [around.open("child.img") is not None for _ in range(5)]
    assert opened == [True, True, True, False, False]
    around.close()
    assert (opener.opened, opener.closed) == (3, 3)
