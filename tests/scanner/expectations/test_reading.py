"""TOML into expectations: what is read, and that every mistake is told with its place."""

import ast
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scanner.expectations
from scanner.config import Settings
from scanner.errors import ConfigError
from scanner.expectations import (
    Defaults,
    Expectations,
    Limits,
    RepositoryExpectation,
    SourceExpectation,
    parse,
)
from scanner.expectations.reading import DEFAULTS, LIMITS, REPOSITORY, SOURCE

PACKAGE = Path(scanner.expectations.__file__).parent
WHOLE = """
[limits]
jobs = 2
settle = "0 s"
max_proof_age = "2 weeks"
exclude = ["*.tmp"]

[defaults]
rpo = "26 h"
rto = "8 h"
database_age = "3 days"
undeclared = "warning"

[[repository]]
path = "/srv//backups/x/../"
allotment = "500 GB"
exclude = ["incoming"]

[[source]]
name = "clinic-db"
match = ["sql/**"]
database = ["CLINIC/*"]
machine = "CLINIC"
expected = 800_000_000_000
allotment = "1.5 TiB"
schedule = "0 22 * * FRI"
rpo = "8 days"
rto = "90 min"
required = false
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "test.toml")
    assert caught.value.file == "test.toml"
    assert caught.value.exit_code == 2
    return list(caught.value.problems)


def source(**settings: str) -> str:
    lines = {"name": '"a"', "match": '["**"]'} | settings
    return "[[source]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())


def test_every_setting_is_read() -> None:
    assert parse(WHOLE, "test.toml") == Expectations(
        limits=Limits(2, timedelta(0), timedelta(days=14), ("*.tmp",)),
        defaults=Defaults(timedelta(hours=26), timedelta(hours=8), timedelta(days=3), "warning"),
        repositories=(RepositoryExpectation("/srv/backups", 500_000_000_000, ("incoming",)),),
        sources=(
            SourceExpectation(
                name="clinic-db",
                match=("sql/**",),
                database=("CLINIC/*",),
                machine="CLINIC",
                expected=800_000_000_000,
                allotment=3 << 39,
                schedule="0 22 * * FRI",
                rpo=timedelta(days=8),
                rto=timedelta(minutes=90),
                required=False,
            ),
        ),
    )


def test_empty_file_says_what_no_file_says() -> None:
    assert parse("", "test.toml") == Expectations()
    assert parse("[limits]\n[defaults]\n", "test.toml") == Expectations()


def test_defaults_are_those_of_a_scan_without_configuration() -> None:
    limits, settings = Limits(), Settings()
    assert limits.jobs == settings.jobs
    assert limits.settle == settings.settle
    assert limits.max_proof_age == settings.max_proof_age
    assert limits.exclude == ()
    assert Defaults() == Defaults(None, None, timedelta(days=7), "advice")


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (LIMITS, Limits),
        (DEFAULTS, Defaults),
        (REPOSITORY, RepositoryExpectation),
        (SOURCE, SourceExpectation),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_every_field_has_a_key_and_every_key_a_field(keys: dict, kind: type) -> None:
    assert list(keys) == [field.name for field in msgspec.structs.fields(kind)]


def test_source_that_does_not_say_has_the_defaults() -> None:
    said = SourceExpectation("a", rpo=timedelta(hours=1), rto=timedelta(hours=2))
    unsaid = SourceExpectation("b")
    whole = Expectations(defaults=Defaults(rpo=timedelta(days=1), rto=timedelta(days=2)))
    assert [whole.rpo(said), whole.rpo(unsaid)] == [timedelta(hours=1), timedelta(days=1)]
    assert [whole.rto(said), whole.rto(unsaid)] == [timedelta(hours=2), timedelta(days=2)]


def test_message_names_table_key_expected_and_found() -> None:
    text = source(name='"one"') + source(name='"clinic-db"', rpo='"soon"')
    assert mistakes(text) == [
        'source 2 ("clinic-db"), key "rpo": expected a duration such as "26 h", found "soon"'
    ]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", '" a"', "a text without spaces around it"),
        ("name", '""', "a text without spaces around it"),
        ("name", "5", "a text without spaces around it"),
        ("machine", "[]", "a text without spaces around it"),
        ("match", '"**"', 'a list of globs such as ["clinic/**"]'),
        ("match", '["a", 5]', 'a list of globs such as ["clinic/**"]'),
        ("match", '["a", " "]', 'a list of globs such as ["clinic/**"]'),
        ("match", '["[z-a]"]', "a glob (range 'z-a' runs backwards)"),
        ("database", "true", 'a list of globs such as ["CLINIC/*"]'),
        ("schedule", '"daily"', 'a schedule in five fields of cron, such as "0 22 * * FRI"'),
        ("schedule", "5", 'a schedule in five fields of cron, such as "0 22 * * FRI"'),
        ("rpo", "26", 'a duration such as "26 h"'),
        ("rto", '"0 h"', 'a duration such as "26 h", longer than nothing'),
        ("required", '"yes"', "true or false"),
        ("required", "1", "true or false"),
    ],
)
def test_value_of_a_source_that_cannot_be_meant(key: str, value: str, expected: str) -> None:
    (problem,) = mistakes(source(**{key: value}))
    assert f', key "{key}": expected {expected}, found {value}' in problem


@pytest.mark.parametrize(
    "value", ["0", "-5", "true", "1.5", '"0 GB"', '"-5 GB"', '"800"', '"9 EiB"', f"{1 << 63}"]
)
def test_size_that_cannot_be_meant(value: str) -> None:
    expected = 'a size such as "800 GB", "500 GiB", or a number of bytes, of at least 1 byte'
    assert mistakes(source(expected=value)) == [
        f'source 1 ("a"), key "expected": expected {expected}, found {value}'
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[limits]\njobs = 0", '[limits], key "jobs": expected a whole number of at least 1'),
        ("[limits]\njobs = true", '[limits], key "jobs": expected a whole number of at least 1'),
        ("[limits]\nsettle = 5", '[limits], key "settle": expected a duration such as "26 h"'),
        (
            '[defaults]\nundeclared = "shout"',
            '[defaults], key "undeclared": expected "warning" or "advice" or "ignore"',
        ),
        (
            "[defaults]\nundeclared = []",
            '[defaults], key "undeclared": expected "warning" or "advice" or "ignore"',
        ),
        ('[[repository]]\npath = "srv"', 'repository 1 ("srv"), key "path": expected an absolute'),
        ("[[repository]]\npath = 5", 'repository 1, key "path": expected an absolute path'),
        ("[[repository]]", 'repository 1, key "path": missing'),
        ('[[source]]\nmatch = ["a"]', 'source 1, key "name": missing'),
        ("source = 5", "expected tables [[source]], found 5"),
        ("source = [5]", "expected tables [[source]], found [5]"),
        ('[source]\nname = "a"', "expected tables [[source]], found [source]"),
        ("[[limits]]\njobs = 1", "expected one table [limits], found [a table]"),
    ],
)
def test_mistake_in_a_table_is_told(text: str, problem: str) -> None:
    (told,) = mistakes(text)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[limit]\njobs = 1", 'table "limit": unknown, did you mean "limits"?'),
        ("[[sources]]", 'table "sources": unknown, did you mean "source"?'),
        ("[zebra]", 'table "zebra": unknown'),
        ("[limits]\njob = 1", '[limits], key "job": unknown, did you mean "jobs"?'),
        (source(expeted="5"), 'source 1 ("a"), key "expeted": unknown, did you mean "expected"?'),
        (source(zebra="5"), 'source 1 ("a"), key "zebra": unknown'),
    ],
)
def test_unknown_word_is_told_with_the_nearest_known_one(text: str, problem: str) -> None:
    assert mistakes(text) == [problem]


def test_source_needs_something_to_match() -> None:
    wanted = 'source 1 ("a"): expected "match" or "database", found none'
    assert mistakes('[[source]]\nname = "a"') == [wanted]
    assert mistakes('[[source]]\nname = "a"\nmatch = []') == [wanted]
    parse('[[source]]\nname = "a"\ndatabase = ["x"]', "test.toml")


def test_wrong_glob_is_one_mistake_and_not_two() -> None:
    assert len(mistakes('[[source]]\nname = "a"\nmatch = 5')) == 1


def test_two_sources_of_one_name_are_told() -> None:
    text = source(name='"a"') + source(name='"b"') + source(name='"a"') + source(name='"a"')
    assert mistakes(text) == ['source 1, 3 and 4, key "name": "a" 3 times, expected once']


def test_one_repository_written_in_two_ways_is_told() -> None:
    text = '[[repository]]\npath = "/srv/a"\n[[repository]]\npath = "//srv/./a/"\n'
    assert mistakes(text) == ['repository 1 and 2, key "path": "/srv/a" 2 times, expected once']


def test_broken_toml_is_told_with_line_and_column() -> None:
    (problem,) = mistakes("[limits]\njobs = = 2\n")
    assert problem.startswith("no TOML: ")
    assert "(at line 2, column 8)" in problem


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = '[limits]\njobs = 0\nsettle = 1\n[[repository]]\n[[source]]\nname = "a"\nrpo = 1\n'
    assert [problem.partition(":")[0] for problem in mistakes(text)] == [
        '[limits], key "jobs"',
        '[limits], key "settle"',
        'repository 1, key "path"',
        'source 1 ("a"), key "rpo"',
        'source 1 ("a")',
    ]


def test_message_has_one_line_for_one_mistake_and_a_list_for_several() -> None:
    assert str(ConfigError("a.toml", ["one"])) == "'a.toml': one"
    assert str(ConfigError("a.toml", ["one", "two"])) == "'a.toml' has 2 mistakes:\n  one\n  two"


def test_what_was_found_is_short_and_cannot_steer_a_terminal() -> None:
    (problem,) = mistakes(source(rpo=r'"\u001b[2J\u009b' + "x" * 5000 + '"'))
    assert problem.isprintable()
    assert len(problem) < 200


SCALARS = st.booleans() | st.integers() | st.sampled_from(['"a"', '"5 GB"', '["a"]', "1.5", "{}"])
KEYS = st.sampled_from([*LIMITS, *DEFAULTS, *REPOSITORY, *SOURCE, "other"])


@given(
    st.sampled_from(["[limits]", "[defaults]", "[[repository]]", "[[source]]"]),
    st.dictionaries(KEYS, SCALARS, max_size=6),
)
def test_any_table_is_read_or_told_of(table: str, settings: dict[str, object]) -> None:
    lines = [f"{key} = {str(value).lower() if isinstance(value, bool) else value}"
             for key, value in settings.items()]  # fmt: skip
    with suppress(ConfigError):
        assert isinstance(parse("\n".join([table, *lines]), "test.toml"), Expectations)


def test_package_touches_nothing() -> None:
    forbidden = {"os", "io", "pathlib", "platformdirs", "time", "threading", "click", "rich"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
                assert (
                    not names[0].startswith("scanner.")
                    or names[0]
                    in {
                        "scanner.config",
                        "scanner.errors",
                    }
                    or names[0].startswith("scanner.expectations")
                ), path
            elif isinstance(node, ast.Import):
                names = [item.name for item in node.names]
            assert not {name.split(".")[0] for name in names} & forbidden, path
