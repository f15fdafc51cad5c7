"""What an experienced administrator would say of a database's backups, beyond whether they restore.

Habits (backups without the checksum option), old stories (a database that was retired years ago)
and what findings already say with a verdict of their own weigh nothing here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from scanner.config import (
    SQL_DATABASE_VERSION_MAX,
    SQL_FULL_AGE_MAX,
    SQL_LOG_AGE_MAX,
    SQL_RETIRED_AGE,
    SQL_STORED_SHARE_MIN,
)
from scanner.findings import finding_id
from scanner.judge.advice import Advice, Severity
from scanner.judge.model import JudgedImage
from scanner.judge.sqlserver.databases import Database, databases
from scanner.judge.sqlserver.lsn import USABLE, BackupSet, instant, judged_sets, text
from scanner.judge.words import counted
from scanner.results import FileState

A_DAY_SECONDS = 86_400
"""More than local times, taken as they stand, can be wrong."""

NEVER_LOGGED = frozenset({"master", "model"})
"""System databases without log backups: of `master` a server makes none, and `model` is in the full
recovery model only so that new databases are (Microsoft Learn, "Back Up and Restore: System
Databases")."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A database as the rules see it: only what is still there.

    ``fulls`` are its full backups, the newest last; ``newest`` is the one of any kind that was made
    last.
    """

    database: Database
    images: Mapping[int, JudgedImage]
    now: datetime
    fulls: Sequence[BackupSet] = field(init=False)
    newest: BackupSet = field(init=False)

    def __post_init__(self) -> None:
        fulls = sorted((item for item in self.database.sets if item.is_full), key=made)
        object.__setattr__(self, "fulls", fulls)
        object.__setattr__(self, "newest", max(self.database.sets, key=made))

    @property
    def expected(self) -> bool:
        """Whether another backup is to be expected: there was a second one, not too long ago.

        Of backups written over one another only the last is there; its file is older than itself.
        """
        if self.age(self.newest) > SQL_RETIRED_AGE:
            return False
        if len({item.finished for item in self.database.sets}) > 1:
            return True
        file = self.images[self.newest.key].files[0]
        return file.first_seen_at.timestamp() < self.newest.end - A_DAY_SECONDS

    @property
    def known_since(self) -> float:
        """When a first backup of it was there, be it one that was written over since."""
        files = (self.images[item.key].files[0] for item in self.database.sets)
        ends = [item.end for item in self.database.sets if item.finished is not None]
        return min(*ends, *(file.first_seen_at.timestamp() for file in files))

    @property
    def severity(self) -> Severity:
        """How much it matters that something was not backed up lately."""
        return Severity.WARNING if self.expected else Severity.ADVICE

    def age(self, item: BackupSet) -> timedelta:
        """Return how long ago a backup was finished; a local time is taken as it stands."""
        made = datetime.fromtimestamp(instant(item.finished), UTC)
        return self.now - made


def made(item: BackupSet) -> tuple[float, int]:
    """Return what sets are sorted by: when they were made."""
    return item.end, item.last_lsn


Said = tuple[Severity, str] | None


@dataclass(frozen=True, slots=True)
class AdviceRule:
    """One line of the table: its name, and what it says of a database, if anything."""

    name: str
    says: Callable[[Subject], Said]


def advise(
    images: Sequence[JudgedImage], now: datetime, logged: Sequence[Database] | None = None
) -> tuple[Advice, ...]:
    """Return what is to be said of all databases, warnings first.

    ``logged`` are the databases of these images, where they were grouped already.
    """
    living = {
        image.key: image
        for image in images
        if not any(file.state is FileState.GONE for file in image.files)
    }
    every = databases(judged_sets(living.values())) if logged is None else logged
    found = [
        advice
        for database in every
        if (left := of_living(database, living)).sets
        for advice in advise_on(Subject(left, living, now))
    ]
    order = list(Severity)
    return tuple(
        sorted(found, key=lambda item: (order.index(item.severity), item.source, item.rule))
    )


def of_living(database: Database, living: Mapping[int, JudgedImage]) -> Database:
    """Return a database without the sets of which a file is gone."""
    if all(item.key in living for item in database.sets):
        return database
    return replace(database, sets=tuple(item for item in database.sets if item.key in living))


def advise_on(subject: Subject) -> Iterator[Advice]:
    """Yield what is to be said of one database."""
    source = subject.database.full_name
    place = f"{subject.database.sets[0].family}\0{source}"
    for rule in RULES:
        said = rule.says(subject)
        if said is not None:
            severity, sentence = said
            name = finding_id("database", place, "", None, rule.name, None)
            yield Advice(name, rule.name, severity, source, sentence)


def log_backups_missing(subject: Subject) -> Said:
    """Full recovery model, and the log is not backed up: it grows, and no time between restores."""
    fulls = subject.fulls
    if not fulls or never_logged(subject) or not keeps_its_log(subject):
        return None
    last = fulls[-1]
    logs = [item for item in subject.database.sets if item.is_log and item.finished is not None]
    if any(item.last_lsn > last.last_lsn for item in logs):
        return None
    # A full made every night is always young: what counts is how long a log could have come.
    since = max((item.end for item in logs), default=subject.known_since)
    waited = subject.now - datetime.fromtimestamp(since, UTC)
    if waited <= SQL_LOG_AGE_MAX:
        return None
    model = recovery_model(subject) or "FULL"
    # How long nothing came says nothing of what is not expected to come: a copy brought in once.
    lapse = f" {'for' if logs else 'in'} {days(waited)}: none" if subject.expected else ""
    sentence = (
        f"in the {model.lower()} recovery model, and no log backup{lapse} "
        f"since the last full ({last.path!r})"
    )
    return subject.severity, sentence


def never_logged(subject: Subject) -> bool:
    """Whether no log backup can be expected: of a system database, or one nothing is written to."""
    return subject.newest.database.casefold() in NEVER_LOGGED or is_read_only(subject)


def is_read_only(subject: Subject) -> bool:
    """Whether nothing could be written to the database when it was backed up last."""
    return subject.images[subject.newest.key].image.facts.get("IsReadOnly") is True


def recovery_model(subject: Subject) -> str | None:
    """Return the recovery model as the newest set gives it: it may have changed since the full."""
    return text(subject.images[subject.newest.key].image.facts, "RecoveryModel")


def keeps_its_log(subject: Subject) -> bool:
    """Whether the newest set says so, or does not deny it while log backups exist."""
    model = recovery_model(subject)
    if model is None:
        return any(item.is_log for item in subject.database.sets)
    return model != "SIMPLE"


def full_too_old(subject: Subject) -> Said:
    """The last full backup that can be used was too long ago.

    Where none can be used, findings say so.
    """
    dated = [item for item in subject.fulls if item.finished is not None]
    usable = [item for item in dated if item.verdict <= USABLE]
    if not usable:
        return None
    last, newest = usable[-1], subject.newest
    age = subject.age(last)
    if age <= SQL_FULL_AGE_MAX:
        return None
    others = (
        "and nothing was backed up since"
        if newest.key == last.key
        else f"the newest backup of any kind {days(subject.age(newest))}"
    )
    name, passed_over = "the last full backup", dated[-1]
    if passed_over.key != last.key:
        name = "the last usable full backup"
        others += f"; a newer one ({passed_over.path!r}) is {passed_over.verdict.word}"
    sentence = f"{name} is {days(age)} old ({last.path!r}), {others}"
    # What nothing is written to is backed up once.
    return Severity.ADVICE if is_read_only(subject) else subject.severity, sentence


def base_missing(subject: Subject) -> Said:
    """Differentials whose full is not there; each of them is a finding already."""
    differentials = [item for item in subject.database.sets if item.is_differential]
    orphans = [
        item
        for item in differentials
        if any(link.image_key is None for link in subject.images[item.key].parents)
    ]
    if not orphans:
        return None
    bases = len({item.base_guid for item in orphans})
    verb = "is" if bases == 1 else "are"
    sentence = (
        f"{len(orphans)} of {counted(len(differentials), 'differential')} cannot be restored: "
        f"{counted(bases, 'full backup')} they are based on {verb} not there"
    )
    return Severity.ADVICE, sentence


def only_copy_only(subject: Subject) -> Said:
    """No differential can be based on any of the fulls."""
    fulls = subject.fulls
    if not fulls or not all(item.copy_only for item in fulls):
        return None
    has_differentials = any(item.is_differential for item in subject.database.sets)
    count = counted(len(fulls), "full backup")
    sentence = f"{count}, all copy-only: no differential can be based on them"
    return (Severity.WARNING if has_differentials else Severity.ADVICE), sentence


def stored_too_little(subject: Subject) -> Said:
    """A finished full that stores much less than its own file list counts."""
    for item in reversed(subject.fulls):
        image = subject.images[item.key]
        counted_bytes = listed_bytes(image)
        stored = stored_bytes(image)
        if counted_bytes is None or stored is None or item.finished is None:
            continue
        if stored < counted_bytes * SQL_STORED_SHARE_MIN:
            return (
                Severity.WARNING,
                f"{item.path!r} stores {stored} bytes, its file list counts {counted_bytes}",
            )
    return None


def listed_bytes(image: JudgedImage) -> int | None:
    """Return the bytes of data the file list counts; None where that says nothing of the file."""
    rows = image.image.facts.get("FileList")
    if image.image.facts.get("Compressed") or not isinstance(rows, list | tuple):
        return None
    sizes = [
        row.get("BackupSizeInBytes")
        for row in rows
        if isinstance(row, Mapping) and row.get("Type") == "D"
    ]
    return sum(size for size in sizes if isinstance(size, int)) or None


def stored_bytes(image: JudgedImage) -> int | None:
    """Return the bytes of data all pieces store; None while a piece is missing or unfinished."""
    piece = image.image.piece
    whole = piece is None or len(image.pieces) == piece.count
    sizes = [item.payload_bytes for item in image.pieces if item.complete]
    known = [size for size in sizes if size is not None]
    return sum(known) if whole and len(known) == len(image.pieces) else None


def no_checksum(subject: Subject) -> Said:
    """The last full was made without the checksum option, which finds errors while it is made."""
    fulls = subject.fulls
    if not fulls or has_checksum(subject, fulls[-1]):
        return None
    without = [item for item in subject.database.sets if not has_checksum(subject, item)]
    sentence = (
        f"{len(without)} of {counted(len(subject.database.sets), 'backup')} made without CHECKSUM, "
        f"the last full ({fulls[-1].path!r}) among them"
    )
    return Severity.ADVICE, sentence


def has_checksum(subject: Subject, item: BackupSet) -> bool:
    """Whether a set was made with the checksum option; where it does not say, that is no news."""
    return subject.images[item.key].image.facts.get("HasBackupChecksums") is not False


def version_untested(subject: Subject) -> Said:
    """A newer SQL Server than any this program was tested with."""
    version = subject.images[subject.newest.key].image.facts.get("DatabaseVersion")
    if not isinstance(version, int) or version <= SQL_DATABASE_VERSION_MAX:
        return None
    sentence = (
        f"database version {version}, newer than {SQL_DATABASE_VERSION_MAX}, the newest this "
        "program was tested with: what it adds is not looked at"
    )
    return Severity.ADVICE, sentence


def days(age: timedelta) -> str:
    """Return an age in whole days."""
    return counted(age.days, "day")


RULES: tuple[AdviceRule, ...] = (
    AdviceRule("sql.log-backups-missing", log_backups_missing),
    AdviceRule("sql.full-too-old", full_too_old),
    AdviceRule("sql.stored-too-little", stored_too_little),
    AdviceRule("sql.only-copy-only", only_copy_only),
    AdviceRule("sql.base-missing", base_missing),
    AdviceRule("sql.no-checksum", no_checksum),
    AdviceRule("sql.version-untested", version_untested),
)
