"""Walking a repository: every file once, nothing through a link, nothing hidden without a word."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.config import EXCLUDES
from scanner.errors import NotThereError, ScannerError
from scanner.results import stamps_of
from scanner.survey import walk as module
from scanner.survey.walk import Survey, excluded, hidden_part, relative, walk

NOTHING: frozenset[Path] = frozenset()


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())


def paths(survey: Survey) -> list[str]:
    return [seen.path for seen in survey.files]


def walked(
    root: Path, excludes: tuple[str, ...] = (), skip: frozenset[Path] = NOTHING
) -> list[str]:
    return paths(walk(root, root, excludes, skip))


def test_files_are_found_folder_by_folder_in_order(tmp_path):
    make(tmp_path, "b/2", "b/1", "a/z/1", "a/1", "c", "a b/1")
    assert walked(tmp_path) == ["c", "a/1", "a/z/1", "a b/1", "b/1", "b/2"]


def test_stamps_are_those_of_a_stat(tmp_path):
    make(tmp_path, "a")
    (seen,) = walk(tmp_path, tmp_path, (), NOTHING).files
    status = (tmp_path / "a").stat()
    assert seen.stamps == stamps_of(status)
    assert (seen.device, seen.links) == (status.st_dev, 1)


def test_links_are_not_followed_and_loops_end(tmp_path):
    outside = tmp_path / "outside"
    make(outside, "secret")
    root = tmp_path / "root"
    make(root, "sub/a")
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "sub/up").symlink_to(root)
    (root / "dead").symlink_to("nowhere")
    (root / "self").symlink_to("self")
    survey = walk(root, root, (), NOTHING)
    assert paths(survey) == ["sub/a"]
    assert survey.unreadable == []


def test_pipes_sockets_and_devices_are_passed_by(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    make(tmp_path, "a")
    assert walked(tmp_path) == ["a"]
    assert walk(tmp_path, tmp_path / "pipe", (), NOTHING).files == []


def test_a_file_with_several_names_is_handed_out_once(tmp_path):
    make(tmp_path, "b/first", "single")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/second").hardlink_to(tmp_path / "b/first")
    (tmp_path / "z").hardlink_to(tmp_path / "b/first")
    survey = walk(tmp_path, tmp_path, (), NOTHING)
    assert paths(survey) == ["single", "z"]
    assert survey.linked == {"b/first": "z", "c/second": "z"}
    assert {seen.links for seen in survey.files} == {1, 3}


def test_names_and_paths_are_excluded(tmp_path):
    make(tmp_path, "a/x.tmp", "a/x", "b/deep/x", "b/x", "c/x", ".snapshot/x", "@eaDir/a/x", "x.tmp")
    assert walked(tmp_path, ("*.tmp", "b/deep", "c")) == [".snapshot/x", "@eaDir/a/x", "a/x", "b/x"]
    assert walked(tmp_path, EXCLUDES) == ["x.tmp", "a/x", "a/x.tmp", "b/x", "b/deep/x", "c/x"]
    assert walked(tmp_path, ("a/*",)) == [
        "x.tmp",
        ".snapshot/x",
        "@eaDir/a/x",
        "b/x",
        "b/deep/x",
        "c/x",
    ]


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/b/c", "b", "a/b"),
        ("a/b/c", "a/b", "a/b"),
        ("a/b/c", "c", "a/b/c"),
        ("a/b/b", "b", "a/b"),
        ("a/b/c", "a/c", None),
        ("a/b/c", "A", None),
        ("a/bb/c", "b", None),
        ("a/b.tmp", "*.tmp", "a/b.tmp"),
        ("b.tmp/a", "*.tmp", "b.tmp"),
        ("#recycle/x", "#recycle", "#recycle"),
    ],
)
def test_what_a_pattern_hides_a_walk_does_not_find(tmp_path, path, pattern, expected):
    assert hidden_part(path, (pattern,)) == expected
    make(tmp_path, path)
    assert (walked(tmp_path, (pattern,)) == []) == (expected is not None)


def test_patterns_are_case_sensitive_and_may_be_many():
    assert excluded("x", "a/x", ("nothing", "a/?"))
    assert not excluded("X", "a/X", ("x",))


def test_the_ledgers_own_folder_is_not_entered(tmp_path):
    make(tmp_path, "state/ledger.sqlite", "state/sub/x", "other/state/x", "a")
    skip = frozenset({tmp_path / "state"})
    assert walked(tmp_path, skip=skip) == ["a", "other/state/x"]
    assert walked(tmp_path / "state", skip=skip) == []


def test_a_folder_that_cannot_be_read_is_reported_and_the_rest_is_walked(tmp_path, monkeypatch):
    make(tmp_path, "a/x", "locked/x", "z/x")
    really_scan = os.scandir

    def scandir(folder: Path) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return really_scan(folder)

    monkeypatch.setattr(module.os, "scandir", scandir)
    survey = walk(tmp_path, tmp_path, (), NOTHING)
    assert paths(survey) == ["a/x", "z/x"]
    assert survey.unreadable == [("locked", "Permission denied")]


@pytest.mark.parametrize("inside", ["", "part"])
def test_a_scope_that_cannot_be_looked_into_ends_the_walk(tmp_path, monkeypatch, inside):
    make(tmp_path, "part/x")

    def scandir(_folder: Path) -> Iterator[os.DirEntry[str]]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.os, "scandir", scandir)
    with pytest.raises(NotThereError) as raised:
        walk(tmp_path, tmp_path / inside, (), NOTHING)
    assert str(raised.value) == f"{str(tmp_path / inside)!r}: Input/output error"


class Entry:
    """A directory entry whose file goes wrong when it is looked at."""

    def __init__(self, name: str, error: OSError) -> None:
        self.name = name
        self.path = f"/somewhere/{name}"
        self._error = error

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        assert not follow_symlinks
        return False

    def is_file(self, *, follow_symlinks: bool) -> bool:
        assert not follow_symlinks
        return True

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        assert not follow_symlinks
        raise self._error


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (FileNotFoundError(2, "No such file"), []),
        (OSError(116, "Stale file handle"), [("gone", "Stale file handle")]),
    ],
)
def test_a_file_that_went_away_is_no_trouble_and_other_trouble_is_reported(
    tmp_path, monkeypatch, error, reported
):
    monkeypatch.setattr(module, "listed", lambda *_, **__: [Entry("gone", error)])
    survey = walk(tmp_path, tmp_path, (), NOTHING)
    assert (survey.files, survey.unreadable) == ([], reported)


def test_folders_nested_too_deeply_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "DIRECTORY_DEPTH_MAX", 3)
    make(tmp_path, "1/2/3/x", "1/2/3/4/x", "1/2/3/4/5/x", "y/x")
    survey = walk(tmp_path, tmp_path, (), NOTHING)
    assert paths(survey) == ["1/2/3/x", "y/x"]
    assert survey.unreadable == [("1/2/3/4", "nested too deeply")]


def test_more_files_than_any_repository_has_end_the_walk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILES_MAX", 3)
    make(tmp_path, "1", "2", "3")
    assert len(walked(tmp_path)) == 3
    make(tmp_path, "4")
    with pytest.raises(ScannerError, match="more than 3 files"):
        walked(tmp_path)


def test_a_part_of_a_repository_is_walked_under_its_own_paths(tmp_path):
    make(tmp_path, "a/1", "a/b/2", "c/3")
    assert paths(walk(tmp_path, tmp_path / "a", (), NOTHING)) == ["a/1", "a/b/2"]
    assert paths(walk(tmp_path, tmp_path / "a/b/2", (), NOTHING)) == ["a/b/2"]


def test_a_place_that_went_away_is_not_there(tmp_path):
    with pytest.raises(NotThereError, match="missing"):
        walk(tmp_path, tmp_path / "missing", (), NOTHING)


def test_names_that_are_no_utf8_survive(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9-\xff.vhd"
    with open(raw, "wb"):  # noqa: PTH123 - a name no text can spell
        pass
    make(tmp_path, "日本/ファイル", "new\nline", "a\tb")
    found = walked(tmp_path)
    assert (
        os.fsencode(next(path for path in found if path.startswith("caf"))) == b"caf\xe9-\xff.vhd"
    )
    assert {"日本/ファイル", "new\nline", "a\tb"} <= set(found)


def test_a_path_is_relative_with_slashes(tmp_path):
    assert relative(tmp_path, tmp_path) == ""
    assert relative(tmp_path, tmp_path / "a/b") == "a/b"
