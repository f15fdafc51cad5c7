"""Measure this program: ``python -m benchmarks [kernels|engine|small|sparse|all]``."""

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from benchmarks import machine, report
from benchmarks.engine_part import engine
from benchmarks.judge_part import judging
from benchmarks.kernel_part import kernels
from benchmarks.options import GIB, Options
from benchmarks.packed_part import packed
from benchmarks.report import Section
from benchmarks.small_part import small
from benchmarks.sparse_part import sparse
from scanner.clock import utc_now


def large(options: Options) -> Iterator[str]:
    """Measure on large files of every kind."""
    yield from engine(options)
    yield from packed(options)


PARTS: Mapping[str, Callable[[Options], Iterator[str]]] = {
    "kernels": kernels,
    "engine": large,
    "small": small,
    "sparse": sparse,
    "judge": judging,
}

TITLES: Mapping[str, str] = {
    "kernels": "Kernels",
    "engine": "The whole engine on large files",
    "small": "Many small files",
    "sparse": "Huge sparse files",
    "judge": "Judging",
}


@click.command()
@click.argument("part", type=click.Choice([*PARTS, "all"]), default="all")
@click.option("--size", type=float, default=4, show_default=True, help="GiB of each large file.")
@click.option("--repeat", type=int, default=5, show_default=True, help="Rounds.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make files here and leave them for the next run.",
)
@click.option("--write", is_flag=True, help="Put the tables into RESULTS.md.")
def main(part: str, size: float, repeat: int, work: Path | None, *, write: bool) -> None:
    """Measure one PART, or all, and print the tables.

    Files are made in a temporary folder that is removed, unless --work is given.
    """
    names = list(PARTS) if part == "all" else [part]
    options = Options(Path(), size=int(size * GIB), repeat=repeat)
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        run(names, dataclasses.replace(options, work=work.resolve(), keep=True), write=write)
        return
    with tempfile.TemporaryDirectory(prefix="bakproof-bench-") as folder:
        run(names, dataclasses.replace(options, work=Path(folder)), write=write)


def run(names: Sequence[str], options: Options, *, write: bool) -> None:
    """Run parts in order, print each as it is done."""
    arguments = " ".join(sys.argv[1:])
    facts = machine.described(options.work)
    click.echo("\n".join(facts))
    for name in names:
        title = TITLES[name]
        heading = (
            f"measured: {utc_now():%Y-%m-%d %H:%M} UTC",
            f"command: python -m benchmarks {arguments}".rstrip(),
            *facts,
        )
        lines = []
        click.echo(f"\n{title}\n{'=' * len(title)}")
        for line in PARTS[name](options):
            click.echo(line)
            lines.append(line)
        if write:
            report.write(Section(name, title, tuple(lines)), heading)


if __name__ == "__main__":
    main()
