"""``bakproof config``."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from rich.console import Group
from rich.text import Text

from scanner import config_file
from scanner.cli.options import World, json_option, ledger_option, settings_of
from scanner.cli.printing import write_rendered, write_struct
from scanner.errors import ConfigError
from scanner.expectations import Expectations, SourceExpectation, database_of, matcher, next_time
from scanner.judge.model import JudgedImage
from scanner.judging import judge_ledger
from scanner.ledger.rows import RepositoryRow
from scanner.ledger.store import Ledger
from scanner.outlets import config_check
from scanner.outlets.config_check import Checked, RepositoryFound, SourceFound
from scanner.outlets.exit_codes import ExitCode
from scanner.results import FileState


@click.group("config")
def config() -> None:
    """Look at the configuration."""


@config.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))
@ledger_option
@json_option
@click.pass_obj
def check(world: World, *, file: Path | None, ledger_path: Path | None, as_json: bool) -> int:
    """Say what the configuration means, and what of it is there.

    Without FILE it is the one that every other command would use. Exits with 2 if anything in it
    is wrong, with 3 if a repository is not there or nothing in the ledger matches a source.
    """
    try:
        found = world.configuration(file)
    except ConfigError as error:
        if as_json:
            write_struct(config_check.mistakes_out(error.file, error.problems))
        raise
    images = placed_images(world, ledger_path, found.expectations)
    checked = beside(found, images, world.clock().astimezone(world.zone()))
    if as_json:
        write_struct(config_check.config_out(checked))
    else:
        lines = config_check.lines(checked)
        write_rendered(Group(*(Text(line, overflow="fold") for line in lines)))
    return ExitCode.WEAKENED if checked.warnings else ExitCode.SOUND


Placed = tuple[str, str, str | None]
"""Where an image lies, in which repository, and of which database it is."""


def placed_images(
    world: World, ledger_path: Path | None, expectations: Expectations
) -> tuple[Placed, ...] | None:
    """Return the images that are there, as far as the ledger knows; None where there is none.

    A ledger that was asked for must be there.
    """
    place = world.ledger_place(ledger_path)
    if ledger_path is None and not place.exists():
        return None
    with Ledger.open(place, world.clock, create=False) as ledger:
        repositories = ledger.repositories()
        settings = settings_of(expectations)
        judgement = judge_ledger(ledger, repositories, world.clock(), settings=settings)
    paths = {row.id: row for row in repositories}
    return tuple(
        placed(image, paths[image.files[0].repository_id]) for image in there(judgement.images)
    )


def there(images: Sequence[JudgedImage]) -> list[JudgedImage]:
    """Leave out images of which nothing is there any more."""
    return [
        image for image in images if any(file.state is not FileState.GONE for file in image.files)
    ]


def placed(image: JudgedImage, repository: RepositoryRow) -> Placed:
    """Return what sources are matched with."""
    return image.path, repository.path, database_of(image.image.facts)


def beside(
    found: config_file.Configuration, images: Sequence[Placed] | None, now: datetime
) -> Checked:
    """Put a configuration beside what is there."""
    expectations = found.expectations
    owners = None if images is None else owned(expectations.sources, images)
    return Checked(
        file=None if found.file is None else str(found.file),
        looked_for=tuple(map(str, config_file.default_files())),
        expectations=expectations,
        repositories=tuple(
            RepositoryFound(item, trouble(item.path)) for item in expectations.repositories
        ),
        sources=tuple(
            SourceFound(
                source,
                None if owners is None else sum(index in owner for owner in owners),
                sum(index in owner[1:] for owner in owners or ()),
                None if source.schedule is None else next_time(source.schedule, now),
            )
            for index, source in enumerate(expectations.sources)
        ),
        undeclared=None if owners is None else owners.count(()),
    )


def owned(sources: Sequence[SourceExpectation], images: Sequence[Placed]) -> list[tuple[int, ...]]:
    """Return for each image the sources it matches, by their place in the file."""
    matchers = [matcher(source) for source in sources]
    return [
        tuple(index for index, matching in enumerate(matchers) if matching(*image))
        for image in images
    ]


def trouble(path: str) -> str | None:
    """Return why a folder is not there; None where it is."""
    try:
        with os.scandir(path):
            return None
    except OSError as error:
        return error.strerror
