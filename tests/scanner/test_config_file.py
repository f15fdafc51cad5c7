"""Which file is the configuration, and files that cannot be one."""

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import msgspec
import pytest

from scanner import config_file
from scanner.cli.options import local_zone, settings_of
from scanner.config import CONFIG_BYTES_MAX, EXCLUDES, Settings
from scanner.errors import ConfigError
from scanner.expectations import (
    Defaults,
    Expectations,
    Limits,
    RepositoryExpectation,
    SourceExpectation,
    parse,
)

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
SAMPLE = Path(__file__).parents[2] / "packaging" / "bakproof.toml"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Path]:
    """Return where files may lie, all of them below a folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(config_file, "SYSTEM_FILE", tmp_path / "etc" / "config.toml")
    return {
        "explicit": tmp_path / "explicit.toml",
        "variable": tmp_path / "variable.toml",
        "user": tmp_path / "user" / "bakproof" / "config.toml",
        "system": tmp_path / "etc" / "config.toml",
    }


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        config_file.load(path, {})
    assert caught.value.file == str(path)
    (problem,) = caught.value.problems
    return problem


def test_first_place_with_a_file_is_used(places: Mapping[str, Path]) -> None:
    for number, place in enumerate(places.values(), 1):
        put(place, f"[limits]\njobs = {number}\n")
    environment = {"BAKPROOF_CONFIG": str(places["variable"])}
    found = [config_file.load(places["explicit"], environment), config_file.load(None, environment)]
    found.append(config_file.load(None, {"BAKPROOF_CONFIG": ""}))
    places["user"].unlink()
    found.append(config_file.load(None, {}))
    assert [item.file for item in found] == list(places.values())
    assert [item.expectations.limits.jobs for item in found] == [1, 2, 3, 4]


def test_without_a_file_the_defaults_hold(places: Mapping[str, Path]) -> None:
    assert config_file.default_files() == (places["user"], places["system"])
    assert config_file.load(None, {}) == config_file.Configuration(None, Expectations())


def test_file_that_is_named_must_be_there(places: Mapping[str, Path]) -> None:
    put(places["system"])
    assert refused(places["explicit"]) == "No such file or directory"
    with pytest.raises(ConfigError):
        config_file.load(None, {"BAKPROOF_CONFIG": str(places["variable"])})


def test_default_file_that_cannot_be_looked_at_is_not_passed_over(
    places: Mapping[str, Path],
) -> None:
    places["user"].parent.parent.mkdir()
    places["user"].parent.symlink_to(places["user"].parent)
    put(places["system"])
    with pytest.raises(ConfigError, match="Too many levels of symbolic links"):
        config_file.load(None, {})


def test_folder_is_no_configuration(tmp_path: Path) -> None:
    assert refused(tmp_path) == "Is a directory"


def test_file_that_is_too_large_is_no_configuration(tmp_path: Path) -> None:
    path = put(tmp_path / "a.toml", "#" * CONFIG_BYTES_MAX)
    assert config_file.load(path, {}).expectations == Expectations()
    put(path, "#" * (CONFIG_BYTES_MAX + 1))
    assert refused(path) == "expected at most 1048576 bytes, found more"


def test_text_in_another_encoding_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes("# Büro\n".encode("latin-1"))
    assert refused(path) == "no UTF-8 at 0x3: found byte 0xfc"


def test_byte_order_mark_of_an_editor_is_no_mistake(tmp_path: Path) -> None:
    path = put(tmp_path / "a.toml", "\ufeff[limits]\njobs = 7\n")
    assert config_file.load(path, {}).expectations.limits.jobs == 7


def test_file_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.toml")
    monkeypatch.chdir(tmp_path)
    assert config_file.load(Path("a.toml"), {}).file == tmp_path / "a.toml"


def test_configuration_without_settings_changes_no_scan() -> None:
    assert settings_of(Expectations()) == Settings()


def test_command_line_comes_before_the_configuration() -> None:
    limits = Limits(4, timedelta(minutes=5), timedelta(days=9), ("*.tmp",))
    told = settings_of(Expectations(limits=limits), excludes=("x",))
    assert told == Settings(
        jobs=4,
        excludes=(*EXCLUDES, "*.tmp", "x"),
        settle=timedelta(minutes=5),
        max_proof_age=timedelta(days=9),
    )
    assert settings_of(Expectations(limits=limits), jobs=1).jobs == 1


def test_excludes_of_a_repository_hold_in_it_and_nowhere_else(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    repositories = (
        RepositoryExpectation(str(link), exclude=("a",)),
        RepositoryExpectation(str(real / "sub"), exclude=("b",)),
        RepositoryExpectation(str(tmp_path / "rea"), exclude=("c",)),
    )
    told = settings_of(Expectations(repositories=repositories))
    assert told.excludes_of(real) == (*EXCLUDES, "a")
    assert told.excludes_of(real / "sub" / "file") == (*EXCLUDES, "a", "b")
    assert told.excludes_of(tmp_path) == EXCLUDES


def test_local_zone_is_the_one_that_is_named_or_the_machines(tmp_path: Path) -> None:
    zoned = next(
        Path(folder) / "Asia/Tokyo" for folder in TZPATH if Path(folder, "Asia/Tokyo").exists()
    )
    assert local_zone({"TZ": "Europe/Berlin"}, tmp_path) == ZoneInfo("Europe/Berlin")
    assert local_zone({"TZ": ":Europe/Berlin"}, tmp_path) == ZoneInfo("Europe/Berlin")
    for environment in ({}, {"TZ": "Nowhere/Land"}, {"TZ": "../x"}):
        assert local_zone(environment, tmp_path / "missing") is UTC
    put(tmp_path / "text", "no zone")
    assert local_zone({}, tmp_path / "text") is UTC
    assert START.astimezone(local_zone({}, zoned)).utcoffset() == timedelta(hours=9)


# The sample


def uncommented() -> str:
    """Return the sample with every setting in force."""
    return re.sub(r"(?m)^#(?=[\[a-z])", "", SAMPLE.read_text("utf-8"))


def test_sample_as_it_is_changes_nothing() -> None:
    assert parse(SAMPLE.read_text("utf-8"), "sample") == Expectations()


def test_sample_with_every_setting_in_force_is_right() -> None:
    found = parse(uncommented(), "sample")
    assert [item.name for item in found.sources] == ["clinic-server", "clinic-db"]
    assert found.repositories[0].allotment == 500_000_000_000


def test_sample_explains_every_key() -> None:
    shown = tomllib.loads(uncommented())
    kinds = {"limits": Limits, "defaults": Defaults, "repository": RepositoryExpectation,
             "source": SourceExpectation}  # fmt: skip
    assert set(shown) == set(kinds)
    for name, kind in kinds.items():
        tables = shown[name] if isinstance(shown[name], list) else [shown[name]]
        wanted = {field.name for field in msgspec.structs.fields(kind)}
        assert {key for table in tables for key in table} == wanted


def test_sample_shows_the_defaults_that_hold() -> None:
    found = parse(uncommented(), "sample")
    assert found.limits.settle == Limits().settle
    assert found.limits.max_proof_age == Limits().max_proof_age
    assert found.defaults.database_age == Defaults().database_age
    assert found.defaults.undeclared == Defaults().undeclared
    assert found.sources[0].required == SourceExpectation("a").required
    assert ", ".join(EXCLUDES) in SAMPLE.read_text("utf-8")


def test_sample_has_a_comment_above_every_table_and_no_long_line() -> None:
    lines = SAMPLE.read_text("utf-8").splitlines()
    assert max(map(len, lines)) <= 100
    for before, line in pairwise(lines):
        if line.startswith("#["):
            assert before.startswith("# "), line
    assert all(not line or line.startswith("#") for line in lines)
