"""Tell the story: ``python -m tests.story [--twin] [--scale BYTES] [--record FILE]``."""

import argparse
import sys
from pathlib import Path

from tests.story import nights, stage
from tests.story.play import Play, recorded

NO_STAGE = 77
"""What tests exit with that were skipped, by automake's convention."""

INTERRUPTED = 130
SCALE = 100_000
SCALE_MIN = 50_000
TRIAL_BYTES = 8 << 20


def main(arguments: list[str]) -> int:
    """Find a stage, then run again on it and tell the story."""
    given = options().parse_args(arguments)
    if given.try_kind:
        stage.build(given.try_kind, TRIAL_BYTES)
        return 0
    if given.on:
        try:
            tell(given)
        except KeyboardInterrupt:
            return INTERRUPTED
        return 0
    reason = stage.missing_tool()
    if reason is None:
        try:
            kind = given.stage or stage.choose_kind()
        except stage.StageError as error:
            reason = str(error)
        else:
            stage.enter(kind, ["--on", kind, *arguments])
    sys.stderr.write(f"no stage for the story: {reason}\n")
    return NO_STAGE


def options() -> argparse.ArgumentParser:
    """Return what can be asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.story", description=__doc__)
    parser.add_argument("--twin", action="store_true", help="the same weeks with enough room")
    parser.add_argument(
        "--scale", type=at_least(SCALE_MIN), default=SCALE, help="bytes that stand for a gigabyte"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="write all answers as JSON")
    parser.add_argument("--stage", choices=(stage.TMPFS, stage.LOOP), help="what it is made of")
    parser.add_argument("--on", help=argparse.SUPPRESS)
    parser.add_argument("--try", dest="try_kind", help=argparse.SUPPRESS)
    return parser


def at_least(least: int):
    """Return the reader of a number that is large enough for the images' own tables."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            message = f"expected at least {least}"
            raise argparse.ArgumentTypeError(message)
        return value

    return number


def tell(given: argparse.Namespace) -> None:
    """Tell the story, on its stage."""
    room = nights.PLENTY if given.twin else nights.ALLOTMENT
    built = stage.build(given.on, room * given.scale)
    play = Play(built, given.scale, say, nights.FIRST_DAY)
    (nights.twin if given.twin else nights.clinic)(play)
    if given.record:
        given.record.write_text(recorded(play.mornings))


def say(line: str) -> None:
    """Print a line at once, so that one can watch."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
