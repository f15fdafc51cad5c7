"""What a configuration can say. Unknown is None; sizes are bytes.

What holds without any file is what these types hold without any argument.
"""

from datetime import timedelta
from typing import Literal, TypeAlias

import msgspec

from scanner.config import DATABASE_AGE_MAX, MAX_PROOF_AGE, SETTLE

Undeclared: TypeAlias = Literal["warning", "advice", "ignore"]
"""What is made of a source that nobody declared."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How every scan works. ``exclude`` is left out besides `scanner.config.EXCLUDES`."""

    jobs: int | None = None
    settle: timedelta = SETTLE
    max_proof_age: timedelta = MAX_PROOF_AGE
    exclude: tuple[str, ...] = ()


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for sources that do not say.

    ``database_age`` is how old the newest database backup of a machine may be that has image
    backups too. ``undeclared`` is what is made of sources that nobody declared.
    """

    rpo: timedelta | None = None
    rto: timedelta | None = None
    database_age: timedelta = DATABASE_AGE_MAX
    undeclared: Undeclared = "advice"


class RepositoryExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder of backups; ``allotment`` is the room it may take, ``exclude`` as in `Limits`.

    ``path`` is absolute and plain: no double slashes, no ``..``, no slash at its end.
    """

    path: str
    allotment: int | None = None
    exclude: tuple[str, ...] = ()


class SourceExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that is backed up, and what is expected of its backups.

    ``match`` and ``database`` say which images are of it (see `matching.matches`); ``machine`` puts
    sources of one machine side by side. ``expected`` is about how much data the source holds,
    ``allotment`` the room its backups may take. ``schedule`` is cron's five fields. A ``required``
    source that has no backup is a warning.
    """

    name: str
    match: tuple[str, ...] = ()
    database: tuple[str, ...] = ()
    machine: str | None = None
    expected: int | None = None
    allotment: int | None = None
    schedule: str | None = None
    rpo: timedelta | None = None
    rto: timedelta | None = None
    required: bool = True


class Expectations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a configuration says, in the order of the file."""

    limits: Limits = msgspec.field(default_factory=Limits)
    defaults: Defaults = msgspec.field(default_factory=Defaults)
    repositories: tuple[RepositoryExpectation, ...] = ()
    sources: tuple[SourceExpectation, ...] = ()

    def rpo(self, source: SourceExpectation) -> timedelta | None:
        """Return how old the newest restorable point of a source may be."""
        return self.defaults.rpo if source.rpo is None else source.rpo

    def rto(self, source: SourceExpectation) -> timedelta | None:
        """Return how long a restore of a source may take."""
        return self.defaults.rto if source.rto is None else source.rto
