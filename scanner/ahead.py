"""Look ahead: gather what an outlook is made of, and keep the part that was asked about."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

from scanner.expectations import Expectations
from scanner.judge.model import Judgement
from scanner.judge.sources.outlook import Known, Outlook, SourceOutlook, outlook
from scanner.ledger.rows import FileRow
from scanner.ledger.store import Ledger
from scanner.scopes import Scope

RUNS_LOOKED_AT = 20
"""So many runs tell how fast a repository is read."""


def look_ahead(
    ledger: Ledger,
    judgement: Judgement,
    expectations: Expectations,
    zone: tzinfo,
    now: datetime,
    acknowledged: frozenset[str] = frozenset(),
    files: Sequence[FileRow] | None = None,
) -> Outlook:
    """Return the outlook of everything the ledger knows, of which ``judgement`` is all.

    ``files`` are all it knows, where they were read already.
    """
    repositories = ledger.repositories()
    numbers = [row.id for row in repositories]
    runs = [run for number in numbers for run in ledger.runs(number, limit=RUNS_LOOKED_AT)]
    known = Known(
        repositories=repositories,
        files=ledger.files(numbers) if files is None else files,
        images=judgement.images,
        history=ledger.history(numbers),
        spaces=ledger.spaces(numbers),
        runs=runs,
        expectations=expectations,
        zone=zone,
        others=judgement.others,
    )
    return outlook(known, now, acknowledged)


def asked_about(
    found: Outlook, scopes: Sequence[Scope], judgement: Judgement, repositories: int
) -> Outlook:
    """Keep the sources a scan was asked about; ``judgement`` is what lies in its scope.

    Of a part of a repository nothing is said about its sources but how they stand: what would be
    missed may lie elsewhere. A source of which nothing was ever seen is missed only where every
    repository was looked at.
    """
    looked_at = {scope.repository.id for scope in scopes}
    if any(scope.path != scope.root for scope in scopes):
        keys = {image.key for image in judgement.images}
        kept = [one for one in found.sources if any(i.key in keys for i in one.source.images)]
        return Outlook(tuple(kept), ())

    def concerns(one: SourceOutlook) -> bool:
        numbers = one.source.repository_ids
        return bool(looked_at.intersection(numbers)) or (
            not numbers and len(looked_at) == repositories
        )

    kept = [one for one in found.sources if concerns(one)]
    # What is advised may be about a source of which nothing is left: that one has no answer.
    left_out = {one.source.name for one in found.sources if not concerns(one)}
    return Outlook(
        tuple(kept),
        tuple(item for item in found.advice if item.source not in left_out),
        tuple(item for item in found.together if looked_at.issuperset(item.repository_ids)),
    )
