"""What happens each night: the clinic's story, and the same weeks with enough room."""

from datetime import datetime

from tests.story import jobs
from tests.story.play import ZONE, Play

FIRST_DAY = datetime(2026, 3, 5, tzinfo=ZONE)  # a Thursday
ALLOTMENT = 500
PLENTY = 10_000
DATA, DATA_USED = 800, 780
SYSTEM, SYSTEM_USED = 64, 40
DATABASE = 40
CHANGED = 4
CUT_AT = 240
DAYS_OF_TWIN = 11
OLD_BACKUP = datetime(2023, 3, 3, 21, 30)  # noqa: DTZ001 - local time, as SQL Server writes it


def clinic(play: Play) -> None:
    """Tell the story: a disk of 800, an allotment of 500."""
    before(play, ALLOTMENT)
    play.narrate("Somebody once copied a database backup here. That was three years ago.")
    play.database(OLD_BACKUP, DATABASE)
    first_week(play)
    second_week(play)


def first_week(play: Play) -> None:
    """Nothing of the data disk ever fits, and the chain of the system disk is torn."""
    play.evening("the jobs are set up")
    play.narrate("The system disk gets its first full. It fits.")
    first = play.full("system")
    play.narrate("The job of the data disk runs too. It makes an image and backs up nothing.")
    play.empty("data", DATA)
    play.morning()

    play.evening("the first full of the data disk")
    play.narrate("The system disk gets an increment.")
    friday = play.increment("system", first, CHANGED)
    play.narrate(f"The data disk holds {DATA_USED} GB. Its full runs into the end of the room.")
    cut = play.full("data")
    play.morning()

    play.evening("no room for anything")
    play.narrate("The file system is full, and the small increments fail with it.")
    play.increment("system", friday, CHANGED)
    play.increment("data", cut, CHANGED)
    play.morning()

    play.evening("a copy instead")
    play.narrate("The administrator makes room, and the system disk gets its increment.")
    play.remove(cut)
    sunday = play.increment("system", friday, CHANGED)
    play.narrate("The data disk is backed up to a USB disk, and copied here until the line breaks.")
    play.cut_copy("data", CUT_AT)
    play.morning()

    play.evening("tidying up")
    play.narrate("The system disk gets an increment; then somebody deletes an old one.")
    monday = play.increment("system", sunday, CHANGED)
    play.remove(friday)
    play.morning()

    for title in ("the hole in the chain", "the hole is still there"):
        play.evening(title)
        play.narrate("The next increment needs what was deleted: the job fails and leaves nothing.")
        play.increment("system", monday, CHANGED)
        play.morning(calendar=play.night == 7)


def second_week(play: Play) -> None:
    """The room is doubled, fulls succeed, all turns green."""
    play.evening("a new chain for the system disk")
    play.narrate("The weekly full of the system disk is due, and heals it.")
    full = play.full("system")
    play.morning()

    play.evening("the allotment is doubled")
    play.narrate("1000 GB now. What was empty, cut or left without its chain is deleted.")
    play.remove(*(name for name in play.truth if not play.usable(name)))
    play.allot(2 * ALLOTMENT)
    play.narrate("The full of the data disk succeeds, and SQL Server makes backups again.")
    system = play.increment("system", full, CHANGED)
    data = play.full("data")
    play.database(local(play), DATABASE)
    play.morning()

    play.evening("an ordinary night")
    play.narrate("The next full has to lie beside this one. The allotment is doubled once more.")
    play.allot(4 * ALLOTMENT)
    play.narrate("Every job runs, and nothing fails.")
    increments(play, system, data)
    play.morning()

    play.evening("another ordinary night")
    increments(play, newest(play, "system"), newest(play, "data"))
    play.morning(calendar=True)


def twin(play: Play) -> None:
    """Tell the same weeks with enough room, and nobody makes a mistake."""
    before(play, PLENTY)
    fulls = {"system": "Thursday", "data": "Friday"}
    last: dict[str, str] = {}
    for _ in range(DAYS_OF_TWIN):
        play.evening("all is well")
        for disk, day in fulls.items():
            if disk not in last or f"{play.now:%A}" == day:
                last[disk] = play.full(disk)
            else:
                last[disk] = play.increment(disk, last[disk], CHANGED)
        play.database(local(play), DATABASE)
        play.morning(calendar=play.night in (7, DAYS_OF_TWIN))


def before(play: Play, allotment: float) -> None:
    """Make the disks, and write down what is expected."""
    play.narrate(f"A GB of this story is {play.gb:,} bytes. What is expected, {play.stage.root}:")
    for seed, (name, size, used) in enumerate(
        (("data", DATA, DATA_USED), ("system", SYSTEM, SYSTEM_USED))
    ):
        path = play.stage.machine / f"{name}.raw"
        jobs.make_disk(path, play.size(size), play.size(used), seed)
    play.expect(allotment)


def increments(play: Play, system: str, data: str) -> None:
    """Let every job of an ordinary night run."""
    play.increment("system", system, CHANGED)
    play.increment("data", data, CHANGED)
    play.database(local(play), DATABASE)


def newest(play: Play, disk: str) -> str:
    """Return the newest backup of a disk; names sort by time within a kind."""
    return max(
        (name for name in play.truth if name.startswith(f"srv1/{disk}-")),
        key=lambda name: name.rpartition("-20")[2],
    )


def local(play: Play) -> datetime:
    """Return the time as SQL Server writes it: without a zone."""
    return play.now.replace(tzinfo=None)
