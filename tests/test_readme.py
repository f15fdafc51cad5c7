"""What the README claims is what the program does."""

import re

from scanner.cli import commands
from tests.readme import PARTS, README, brought_up_to_date

TEXT = README.read_text("utf-8")


def test_generated_tables_are_up_to_date() -> None:
    assert brought_up_to_date(TEXT) == TEXT, "run make readme"


def test_every_generated_part_is_there_once() -> None:
    for name in PARTS:
        assert TEXT.count(f"<!-- generated: {name} -->\n") == 1


def test_every_command_is_named() -> None:
    for name in commands.commands:
        assert f"bakproof {name}" in TEXT


def test_every_command_and_option_it_names_exists() -> None:
    for name, rest in re.findall(r"`bakproof (\w+)([^`]*)`", TEXT):
        known = {
            option for parameter in commands.commands[name].params for option in parameter.opts
        }
        assert set(re.findall(r"--[a-z-]+", rest)) <= known


def test_what_it_proves_and_what_not_is_on_the_first_screen() -> None:
    first = "\n".join(TEXT.splitlines()[:40])
    assert "What it proves" in first
    assert "What it cannot prove" in first
    assert "make scan" in first
