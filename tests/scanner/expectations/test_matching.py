"""Globs and which images are of which source, on names as they are found on a NAS."""

import fnmatch
import glob as shell
import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.expectations import SourceExpectation, database_of, matcher, matches
from scanner.expectations.globs import path_glob

# Few letters and much punctuation, so that names and globs meet.
NAMES = st.text("ab[]*?!-^\\. ä&|~", min_size=1, max_size=5).filter(lambda name: name != "**")
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
GLOBS = st.lists(
    st.sampled_from(["**", "*", "a*", "?", "b", "[ab]", "[!a]b"]), min_size=1, max_size=4
)
FOLDERS = st.lists(st.sampled_from(["a", "b", "ab", "bb"]), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("clinic/full.vhdx", "clinic/full.vhdx"),
        ("clinic/*.vhdx", "clinic/full.vhdx"),
        ("clinic/**", "clinic/full.vhdx"),
        ("clinic/**", "clinic/2026/03/full.vhdx"),
        ("clinic/", "clinic/2026/03/full.vhdx"),
        ("clinic/**/full.vhdx", "clinic/full.vhdx"),
        ("clinic/**/full.vhdx", "clinic/2026/03/full.vhdx"),
        ("**/full.vhdx", "full.vhdx"),
        ("**/full.vhdx", "a/b/full.vhdx"),
        ("**", "a/b"),
        ("a**b", "a or b"),
        ("disk?.vhd", "disk1.vhd"),
        ("disk[0-2].vhd", "disk1.vhd"),
        ("disk[!0-2].vhd", "disk3.vhd"),
        ("[]a].vhd", "].vhd"),
        ("[[]old[]]/*", "[old]/a.bak"),
        ("[old/*", "[old/a.bak"),
        ("[a-].vhd", "-.vhd"),
        ("[--a].vhd", "0.vhd"),
        ("[^a].vhd", "^.vhd"),
        ("[&&~~||]", "~"),
        ("Weekly Full (1)/*", "Weekly Full (1)/disk.vhdx"),
        ("a+b.bak", "a+b.bak"),
        (r"SRV\SQL/*", r"SRV\SQL/a.bak"),
        ("Büro/*", "Büro/Müller.vhdx"),
        ("Büro/*", unicodedata.normalize("NFD", "Büro/Müller.vhdx")),
        (unicodedata.normalize("NFD", "B[äü]ro/*"), "Büro/x"),
        ("*/x", "\udce4/x"),
        ("two\nlines*", "two\nlines\n.bak"),
        ("**/clinic/*", "x/clinic/\n"),
    ],
)
def test_glob_matches(glob: str, path: str) -> None:
    assert path_glob(glob).fullmatch(unicodedata.normalize("NFC", path))


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*.vhdx", "clinic/full.vhdx"),
        ("clinic/*", "clinic/2026/full.vhdx"),
        ("clinic/**", "clinic"),
        ("clinic/", "clinic"),
        ("clinic", "clinic/full.vhdx"),
        ("clinic/**", "clinic2/full.vhdx"),
        ("**/full.vhdx", "afull.vhdx"),
        ("a/**/b", "a/xb"),
        ("a/**/b", "ab"),
        ("a?b", "a/b"),
        ("a[!x]b", "a/b"),
        ("a[.-0]b", "a/b"),
        ("full.vhdx", "fullxvhdx"),
        ("full.vhdx", "FULL.vhdx"),
        ("disk[0-2].vhd", "disk3.vhd"),
        ("[[]old[]]/*", "o/a.bak"),
        ("full.vhdx", "full.vhdx\n"),
    ],
)
def test_glob_does_not_match(glob: str, path: str) -> None:
    assert not path_glob(glob).fullmatch(path)


@given(PATHS, PATHS)
def test_escaped_path_matches_itself_and_nothing_else(path: str, other: str) -> None:
    pattern = path_glob(shell.escape(path))
    assert pattern.fullmatch(path)
    assert bool(pattern.fullmatch(other)) == (other == path)


def matches_by_hand(glob: list[str], path: list[str]) -> bool:
    """The same question, one name after the other."""
    if not glob:
        return not path
    if glob == ["**"]:
        return bool(path)
    if glob[0] == "**":
        return any(matches_by_hand(glob[1:], path[at:]) for at in range(len(path) + 1))
    return (
        bool(path) and fnmatch.fnmatchcase(path[0], glob[0]) and matches_by_hand(glob[1:], path[1:])
    )


@given(GLOBS, FOLDERS)
def test_globs_agree_with_matching_name_by_name(glob: list[str], path: list[str]) -> None:
    found = path_glob("/".join(glob)).fullmatch("/".join(path)) is not None
    assert found == matches_by_hand(glob, path)


@given(PATHS)
def test_no_glob_breaks_the_matcher(glob: str) -> None:
    with suppress(ValueError):  # a range runs backwards: the configuration tells of it
        path_glob(glob).fullmatch("a/b [!a]")


@pytest.mark.parametrize("glob", ["**/" * 100 + "b", "a/" + "**/" * 100, "/".join(["**"] * 100)])
def test_any_number_of_folders_a_hundred_times_takes_no_longer(glob: str) -> None:
    assert path_glob(glob).fullmatch("a/" * 30 + "b")
    assert not path_glob("x" + glob).fullmatch("a/" * 30 + "c")


def test_glob_is_also_tried_on_the_whole_path() -> None:
    source = SourceExpectation("x", match=("/srv/backups/clinic/**",))
    assert matches(source, "clinic/a.vhd", "/srv/backups", None)
    assert matches(source, "a.vhd", "/srv/backups/clinic", None)
    assert matches(source, "a.vhd", "/srv/backups/clinic/", None)
    assert not matches(source, "clinic/a.vhd", "/srv/other", None)


def test_wide_glob_reaches_the_folders_above_the_repository() -> None:
    source = SourceExpectation("x", match=("disks/*", "**/clinic/*.vhd", "*/old/*"))
    assert matches(source, "a.vhd", "/srv/clinic", None)
    assert matches(source, "a.vhd", "/clinic", None)
    assert not matches(source, "a.vhd", "/srv/old", None)
    assert not matches(source, "a.vhd", "/old", None)
    assert not matches(source, "a.bak", "/srv/clinic", None)
    assert not matches(source, "a.vhd", "/disks", None)


def test_glob_of_the_whole_path_reaches_a_repository_at_the_root() -> None:
    assert matches(SourceExpectation("x", match=("/a.vhd",)), "a.vhd", "/", None)


@pytest.mark.parametrize(
    ("glob", "database", "expected"),
    [
        ("CLINIC/*", "CLINIC/Patients", True),
        ("clinic/PATIENTS", "Clinic/Patients", True),
        ("CLINIC/*", r"CLINIC\SQL2019/Patients", False),
        (r"CLINIC\SQL2019/*", r"Clinic\SQL2019/Patients", True),
        ("CLINIC*/*", r"CLINIC\SQL2019/Patients", True),
        ("Patients", "CLINIC/Patients", True),
        ("Pat*", "CLINIC/Patients", True),
        ("CLINIC", "CLINIC/Patients", False),
        ("CLINIC/*", "CLINIC/a/b", True),
        ("*/Patients", "CLINIC/Patients2", False),
        ("[ck]linic/*", "Klinic/Patients", True),
        ("büro/*", unicodedata.normalize("NFD", "BÜRO/x"), True),
        ("CLINIC/*", None, False),
    ],
)
def test_database_is_known_by_server_and_name(
    glob: str,
    database: str | None,
    expected: bool,  # noqa: FBT001
) -> None:
    source = SourceExpectation("x", database=(glob,))
    assert matches(source, "a.bak", "/srv", database) == expected


def test_source_with_globs_of_both_kinds_wants_both() -> None:
    source = SourceExpectation("x", match=("sql/**",), database=("CLINIC/*", "Stock"))
    assert matches(source, "sql/a.bak", "/srv", "CLINIC/Orders")
    assert matches(source, "sql/a.bak", "/srv", "OTHER/Stock")
    assert not matches(source, "sql/a.bak", "/srv", "OTHER/Orders")
    assert not matches(source, "disk/a.bak", "/srv", "CLINIC/Orders")
    assert not matches(source, "sql/a.vhd", "/srv", None)


def test_source_without_globs_matches_nothing() -> None:
    assert not matches(SourceExpectation("x"), "a.bak", "/srv", "CLINIC/Orders")


def test_matcher_answers_as_matches() -> None:
    source = SourceExpectation("x", match=("a/*", "b/*"))
    prepared = matcher(source)
    for path in ("a/1", "b/1", "c/1"):
        assert prepared(path, "/srv", None) == matches(source, path, "/srv", None)


def test_database_of_an_image_is_what_its_facts_say() -> None:
    assert database_of({"ServerName": "CLINIC", "DatabaseName": "Orders"}) == "CLINIC/Orders"
    assert database_of({"ServerName": None, "DatabaseName": "Orders"}) == "?/Orders"
    assert database_of({"ServerName": "CLINIC", "DatabaseName": ""}) is None
    assert database_of({}) is None
