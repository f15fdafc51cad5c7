"""What every outlet renders: one judgement, with the facts around it. Plain data, no opinion."""

import posixpath
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from formats.core.model import Format
from scanner.judge.advice import Advice
from scanner.judge.model import JudgedImage, JudgedOther, Judgement, ParentLink, Verdict
from scanner.judge.sources.outlook import NOTHING, Outlook
from scanner.ledger.rows import AcknowledgementRow, EvidenceRow, FileRow, RepositoryRow
from scanner.outlets.exit_codes import ExitCode


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run. ``finished_at`` None means that it did not come to its end."""

    started_at: datetime
    finished_at: datetime | None
    files: int
    bytes_read: int
    interrupted: bool = False
    bugs: int = 0

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything an outlet may say.

    ``judgement`` takes no account of acknowledgements: an accepted finding is still shown. What
    they change is ``exit_code`` alone, and ``exit_meaning``, which says in words what it stands
    for here. ``acknowledgements`` are those in force at ``now``.
    ``advice`` is what is to be said of whole databases and disks, ``outlook`` how each stands;
    local times of backups are read in ``zone``.
    ``fresh`` says that the report ends the scan in ``run``; otherwise it is what the ledger knows.
    """

    now: datetime
    repositories: tuple[RepositoryRow, ...]
    judgement: Judgement
    exit_code: ExitCode
    exit_meaning: str
    acknowledgements: tuple[AcknowledgementRow, ...] = ()
    run: RunFacts | None = None
    notes: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    outlook: Outlook = NOTHING
    zone: tzinfo = UTC
    fresh: bool = False
    version: str = "unknown"
    formats: tuple[Format, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """The same report, looked up by key instead of walked."""

    report: Report
    images: Mapping[int, JudgedImage]
    repositories: Mapping[int, RepositoryRow]
    accepted: Mapping[str, AcknowledgementRow]
    crowded: frozenset[int]
    formats: Mapping[str, Format]

    def shown_path(self, file: FileRow) -> str:
        """Return the path as a person can type it: relative where only one repository is meant."""
        repository = self.repositories.get(file.repository_id)
        if repository is None or len(self.repositories) == 1:
            return file.path
        return posixpath.join(repository.path, file.path)

    def name(self, image: JudgedImage) -> str:
        """Return the quoted path, and which image of the file where it holds several."""
        path = repr(self.shown_path(image.files[0]))
        if image.files[0].id not in self.crowded:
            return path
        return f"{path} image {image.image.image_index + 1}"

    def decider(self, image: JudgedImage) -> JudgedImage:
        """Return the image that decided; itself where that one is not shown."""
        return self.images.get(image.deciding_key, image)

    def format(self, file: FileRow) -> Format | None:
        """Return the format of a file, where there is one and this version has it."""
        return None if file.format is None else self.formats.get(file.format)

    def acknowledgement(self, row: EvidenceRow) -> AcknowledgementRow | None:
        """Return what somebody said of this finding, if it is in force."""
        return None if row.finding_id is None else self.accepted.get(row.finding_id)


def index(report: Report) -> Index:
    """Return the lookups of a report."""
    held = Counter(image.files[0].id for image in report.judgement.images)
    return Index(
        report,
        {image.key: image for image in report.judgement.images},
        {repository.id: repository for repository in report.repositories},
        {row.finding_id: row for row in report.acknowledgements},
        frozenset(file_id for file_id, count in held.items() if count > 1),
        {record.name: record for record in report.formats},
    )


def findings(evidence: tuple[EvidenceRow, ...]) -> list[EvidenceRow]:
    """Return the bad rows, as found."""
    return [row for row in evidence if row.evidence.bad]


def evidence_named(judgement: Judgement, finding_id: str) -> tuple[str, EvidenceRow] | None:
    """Return the finding with this id, and the path of the file it speaks of."""
    places = [(image.path, image.evidence) for image in judgement.images]
    places += [(other.file.path, other.evidence) for other in judgement.others]
    for path, evidence in places:
        for row in evidence:
            if row.finding_id == finding_id:
                return path, row
    return None


def advice_named(report: Report, advice_id: str) -> Advice | None:
    """Return the warning or advice with this id."""
    return next((item for item in report.advice if item.id == advice_id), None)


def counted_others(judgement: Judgement) -> list[JudgedOther]:
    """Return the files that are no image but have a verdict of their own."""
    return [other for other in judgement.others if other.ruling is not None]


def verdict_counts(judgement: Judgement) -> dict[Verdict, int]:
    """Return how many images, and files with a verdict, have each verdict; worst first."""
    verdicts = [image.ruling.verdict for image in judgement.images]
    verdicts += [other.ruling.verdict for other in judgement.others if other.ruling is not None]
    return {verdict: verdicts.count(verdict) for verdict in sorted(Verdict, reverse=True)}


def missing_parents(image: JudgedImage) -> list[ParentLink]:
    """Return the parents that the image names and that were not found."""
    return [link for link in image.parents if link.image_key is None]
