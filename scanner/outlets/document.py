"""Build the JSON document of a report: one pure function, and what it is made of."""

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from formats.core.model import Bearing, Position
from scanner.judge.advice import Advice
from scanner.judge.fit.fit import Fit, fits
from scanner.judge.model import Chain, JudgedImage, JudgedOther, Proof, Verdict
from scanner.judge.sources.model import RestorePoint
from scanner.judge.sources.outlook import SourceOutlook
from scanner.ledger.rows import EvidenceRow, FileRow, RepositoryRow
from scanner.outlets import wording
from scanner.outlets.fit import fit_out
from scanner.outlets.forecast import forecast_out
from scanner.outlets.report import (
    Index,
    Report,
    RunFacts,
    counted_others,
    findings,
    index,
    verdict_counts,
)
from scanner.outlets.shapes import (
    VERSION,
    ChainOut,
    Document,
    FindingOut,
    ImageOut,
    MemberOut,
    OtherOut,
    ParentOut,
    PointOut,
    PositionOut,
    ProofOut,
    RepositoryOut,
    RunOut,
    SourceOut,
    SpanOut,
    SummaryOut,
    WarningOut,
)
from scanner.outlets.standing import worst_first

NUMBER_MAX = 1 << 63


def build(report: Report) -> Document:
    """Return the document of a report."""
    known = index(report)
    return Document(
        v=VERSION,
        bakproof=report.version,
        created=report.now,
        run=None if report.run is None else run_out(report.run),
        repositories=tuple(repository_out(row) for row in report.repositories),
        images=tuple(image_out(known, image) for image in in_order(report.judgement.images)),
        chains=tuple(chain_out(known, chain) for chain in report.judgement.chains),
        sources=tuple(source_out(known, one) for one in worst_first(report.outlook.sources)),
        others=tuple(
            other_out(known, other)
            for other in sorted(report.judgement.others, key=lambda other: _place(other.file))
        ),
        warnings=tuple(warning_out(known, item) for item in report.advice),
        summary=summary_out(report),
        notes=tuple(wording.encodable(note) for note in report.notes),
    )


def in_order(images: Sequence[JudgedImage]) -> list[JudgedImage]:
    """Return images by place, so that two documents can be compared."""
    return sorted(images, key=lambda image: (*_place(image.files[0]), image.image.image_index))


def encode(out: msgspec.Struct) -> bytes:
    """Return JSON for people and programs alike, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(out), indent=2) + b"\n"


def run_out(run: RunFacts) -> RunOut:
    """Return one run."""
    return RunOut(
        started=run.started_at,
        finished=run.finished_at,
        files=run.files,
        bytes_read=run.bytes_read,
        interrupted=run.interrupted,
        bugs=run.bugs,
    )


def repository_out(row: RepositoryRow) -> RepositoryOut:
    """Return one repository."""
    return RepositoryOut(
        id=row.id,
        path=wording.encodable(row.path),
        filesystem=row.filesystem,
        root=wording.encodable(row.root),
    )


def image_out(known: Index, image: JudgedImage) -> ImageOut:
    """Return one image with its findings."""
    row = image.image
    members = sorted({member for piece in image.pieces for member in piece.members})
    return ImageOut(
        key=image.key,
        repository=image.files[0].repository_id,
        path=wording.encodable(image.path),
        files=tuple(wording.encodable(file.path) for file in image.files),
        members=tuple(wording.encodable(member) for member in members),
        image_index=row.image_index,
        format=image.files[0].format,
        kind=row.kind,
        title=_text(row.title),
        identities=tuple(wording.encodable(str(identity)) for identity in row.identities),
        lineage=_text(row.lineage),
        position=_position(row.position),
        parents=parents_out(known, image),
        source=_text(row.source),
        created_at=None if row.created_at is None else moment_out(row.created_at),
        source_bytes=row.source_bytes,
        used_bytes=row.used_bytes,
        payload_bytes=row.payload_bytes,
        needed_bytes=row.needed_bytes,
        file_bytes=sum(file.size for file in image.files),
        bytes_read=sum(file.bytes_read for file in image.files),
        bytes_vouched=image.proof.bytes_vouched,
        complete=all(piece.complete for piece in image.pieces),
        in_progress=any(piece.in_progress for piece in image.pieces),
        verdict=image.ruling.verdict.word,
        rule=image.ruling.rule,
        deciding=_path_of(known, image.deciding_key),
        own_verdict=image.own.verdict.word,
        own_rule=image.own.rule,
        proof=proof_out(image.proof, known.report.now),
        findings=findings_out(known, image.evidence, image.files),
        facts=facts_out(row.facts),
    )


def parents_out(known: Index, image: JudgedImage) -> tuple[ParentOut, ...]:
    """Return the parents an image names; one that is not judged here has a key and no path."""
    return tuple(
        ParentOut(
            wanted=wording.encodable(link.wanted),
            key=link.image_key,
            path=_path_of(known, link.image_key),
            by=link.by,
        )
        for link in image.parents
    )


def proof_out(proof: Proof, now: datetime) -> ProofOut:
    """Return the proof record, with its phrase."""
    return ProofOut(
        structure=proof.structure_at,
        read=proof.read_at,
        unchanged_since=proof.unchanged_since,
        checksums=proof.checksums_at,
        bytes_vouched=proof.bytes_vouched,
        bytes_needed=proof.bytes_needed,
        content=proof.content_at,
        restored=proof.restored_at,
        text=wording.proof(proof, now),
    )


def findings_out(
    known: Index, evidence: tuple[EvidenceRow, ...], files: Sequence[FileRow]
) -> tuple[FindingOut, ...]:
    """Return the bad evidence among rows about these files."""
    paths = {file.id: file.path for file in files}
    return tuple(
        finding_out(known, row, paths.get(row.file_id, files[0].path)) for row in findings(evidence)
    )


def finding_out(known: Index, row: EvidenceRow, path: str) -> FindingOut:
    """Return one finding."""
    evidence = row.evidence
    accepted = known.acknowledgement(row)
    return FindingOut(
        id=row.finding_id,
        check=evidence.check,
        outcome=evidence.outcome,
        offset=evidence.offset,
        length=evidence.length,
        expected=_text(evidence.expected),
        actual=_text(evidence.actual),
        redundant=evidence.bearing is Bearing.REDUNDANT,
        bearing=evidence.bearing,
        count=evidence.count,
        member=wording.encodable(evidence.member) if evidence.member else None,
        path=wording.encodable(path),
        found=row.found_at,
        acknowledged=accepted is not None,
        acknowledged_until=None if accepted is None else accepted.until,
        acknowledged_reason=None if accepted is None else wording.encodable(accepted.reason),
        text=wording.encodable(wording.message(evidence)),
    )


def chain_out(known: Index, chain: Chain) -> ChainOut:
    """Return one chain."""
    return ChainOut(
        name=wording.encodable(chain.name),
        verdict=chain.verdict.word,
        images=tuple(member_out(known, key) for key in chain.image_keys),
        restorable=None
        if chain.restorable_key is None
        else member_out(known, chain.restorable_key),
    )


def member_out(known: Index, key: int) -> MemberOut:
    """Return one image of a chain."""
    image = known.images[key]
    return MemberOut(key=key, path=wording.encodable(image.path), verdict=image.ruling.verdict.word)


def other_out(known: Index, other: JudgedOther) -> OtherOut:
    """Return one file that is no known image."""
    file = other.file
    ruling = other.ruling
    return OtherOut(
        repository=file.repository_id,
        path=wording.encodable(file.path),
        format=file.format,
        state=file.state,
        file_bytes=file.size,
        bytes_read=file.bytes_read,
        read=file.read_at,
        unchanged_since=file.unchanged_since,
        verdict=None if ruling is None else ruling.verdict.word,
        rule=None if ruling is None else ruling.rule,
        findings=findings_out(known, other.evidence, (file,)),
    )


def warning_out(known: Index, advice: Advice) -> WarningOut:
    """Return one warning or piece of advice."""
    accepted = known.accepted.get(advice.id)
    return WarningOut(
        id=advice.id,
        rule=advice.rule,
        severity=advice.severity,
        source=wording.encodable(advice.source),
        acknowledged=accepted is not None,
        acknowledged_until=None if accepted is None else accepted.until,
        acknowledged_reason=None if accepted is None else wording.encodable(accepted.reason),
        text=wording.encodable(advice.text),
    )


def summary_out(report: Report) -> SummaryOut:
    """Return the counts of a report."""
    judgement = report.judgement
    known = index(report)
    counts = verdict_counts(judgement)
    every = [row for image in judgement.images for row in findings(image.evidence)]
    every += [row for other in judgement.others for row in findings(other.evidence)]
    worst = next((verdict for verdict in counts if counts[verdict]), None)
    formats = Counter(image.files[0].format or wording.UNKNOWN for image in judgement.images)
    return SummaryOut(
        verdict=None if worst is None else worst.word,
        verdicts={verdict.word: counts[verdict] for verdict in Verdict},
        images=len(judgement.images),
        chains=len(judgement.chains),
        others=len(judgement.others),
        others_judged=len(counted_others(judgement)),
        formats=dict(sorted(formats.items())),
        findings=len(every),
        acknowledged=sum(known.acknowledgement(row) is not None for row in every),
        exit_code=report.exit_code,
        exit_meaning=report.exit_meaning,
    )


def source_out(known: Index, one: SourceOutlook) -> SourceOut:
    """Return one source and how it stands."""
    source, found = one.source, one.answer
    fitting = fits(source)

    def told(point: RestorePoint | None) -> PointOut | None:
        return None if point is None else point_out(known, point, fitting.get(point.key))

    return SourceOut(
        id=source.id,
        name=wording.encodable(source.name),
        kind=source.kind,
        machine=_text(source.machine),
        declared=None if source.declared is None else source.declared.name,
        state=found.state.word,
        restorable=told(found.newest),
        oldest=told(source.oldest),
        failing=told(found.failing),
        failed=found.failed,
        wrong=_text(found.wrong),
        first=_text(found.first),
        points=tuple(point_out(known, point, fitting.get(point.key)) for point in source.points),
        spans=tuple(SpanOut(begin=span.begin, end=span.end) for span in source.spans),
        forecasts=tuple(forecast_out(item) for item in one.forecasts),
        restore_seconds=one.restore_seconds,
    )


def point_out(known: Index, point: RestorePoint, fit: Fit | None) -> PointOut:
    """Return one restore point; its image may lie outside what the report is about."""
    return PointOut(
        key=point.key,
        path=_path_of(known, point.key) or wording.UNKNOWN,
        at=point.at,
        dated_by=point.dated_by,
        verdict=point.ruling.verdict.word,
        rule=point.ruling.rule,
        deciding=_path_of(known, point.deciding_key),
        steps=point.steps,
        restore_bytes=point.restore_bytes,
        by_name=point.by_name,
        proof=wording.proof(point.proof, known.report.now),
        fit=fit_out(fit),
    )


def moment_out(at: datetime) -> str:
    """Return a time as ISO 8601: ``Z`` for UTC, an offset where there is one, else none."""
    return at.isoformat().replace("+00:00", "Z")


def facts_out(facts: Mapping[str, object]) -> dict[str, Any]:
    """Return a format's own fields as JSON values; what JSON has no type for becomes text."""
    return {wording.encodable(str(name)): plain(value) for name, value in facts.items()}


def plain(value: object) -> object:
    """Return one value as JSON knows it. Integers beyond 64 bits become decimal text."""
    match value:
        case Mapping():
            return {wording.encodable(str(name)): plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case None | bool() | float():
            return value
        case int() if -NUMBER_MAX <= value < NUMBER_MAX:
            return int(value)
        case _:
            return wording.encodable(as_text(value))


def as_text(value: object) -> str:
    """Return a value that JSON has no type for."""
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return moment_out(value)
        case _:
            return str(value)


def _text(value: str | None) -> str | None:
    return None if value is None else wording.encodable(value)


def _position(position: Position | None) -> PositionOut | None:
    if position is None:
        return None
    return PositionOut(first=str(position.first), last=str(position.last))


def _path_of(known: Index, key: int | None) -> str | None:
    image = None if key is None else known.images.get(key)
    return None if image is None else wording.encodable(image.path)


def _place(file: FileRow) -> tuple[int, str, str]:
    return (file.repository_id, posixpath.dirname(file.path), file.path)
