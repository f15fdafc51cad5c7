"""Why this verdict: everything known about one file, and what is not known."""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from formats.core.model import Evidence, Outcome
from scanner.judge.model import JudgedImage, JudgedOther, Judgement
from scanner.ledger.rows import EvidenceRow, FileRow, KnownFile, RepositoryRow
from scanner.outlets import document, wording
from scanner.outlets.fit import FitOut, fit_lines, fit_of, fit_out
from scanner.outlets.radius import LossOut, loss_lines, losses_out
from scanner.outlets.report import Index, Report, findings, index
from scanner.outlets.shapes import VERSION, ImageOut, OtherOut
from scanner.outlets.text import finding_line
from scanner.results import FileState, Stamps

OFFSETS_SHOWN_MAX = 50
FACTS_SHOWN_MAX = 200
FACT_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 4096
"""The longest path Linux takes: what a person may have to type is never cut."""

LABEL_COLUMN = 16


@dataclass(frozen=True, slots=True)
class Subjects:
    """What lies in the file that was asked about."""

    images: tuple[JudgedImage, ...]
    others: tuple[JudgedOther, ...]

    def files(self) -> dict[int, FileRow]:
        """Return all files of these, by id."""
        files = [file for image in self.images for file in image.files]
        return {file.id: file for file in (*files, *(other.file for other in self.others))}

    def file_ids(self) -> frozenset[int]:
        """Return the ids of all files of these."""
        return frozenset(self.files())


@dataclass(frozen=True, slots=True)
class Background:
    """What the ledger knows of files besides evidence, by file id.

    ``tracebacks`` are bugs of ours, met while reading. ``other_names`` are further paths, in the
    same repository, of what a file's path leads to: hard links, read once for all.
    """

    tracebacks: Mapping[int, str | None]
    other_names: Mapping[int, tuple[str, ...]]


class CheckOut(msgspec.Struct, frozen=True, kw_only=True):
    """All results of one check with one outcome; ``proves`` says what the check is for."""

    check: str
    outcome: str
    proves: str | None
    count: int
    bytes_vouched: int


class ExplainedImageOut(msgspec.Struct, frozen=True, kw_only=True):
    """An image as in the document, and every check that was made on it."""

    image: ImageOut
    checks: tuple[CheckOut, ...]
    not_proven: tuple[str, ...]
    fit: FitOut | None


class HardLinkedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file with several names: all lead to the same bytes, which were read once."""

    repository: int
    path: str
    other_names: tuple[str, ...]


class ExplanationOut(msgspec.Struct, frozen=True, kw_only=True):
    """What ``explain --json`` prints."""

    v: int
    images: tuple[ExplainedImageOut, ...]
    others: tuple[OtherOut, ...]
    hard_links: tuple[HardLinkedOut, ...]
    bugs: tuple[str, ...]
    dies_with: tuple[LossOut, ...]


def find(
    judgement: Judgement, repositories: Sequence[RepositoryRow], wanted: str, places: Sequence[str]
) -> Subjects:
    """Return what lies at one of the absolute ``places``, else at ``wanted`` in any repository."""
    roots = {repository.id: repository.path for repository in repositories}
    relative = posixpath.normpath(wanted)

    def placed(file: FileRow) -> bool:
        root = roots.get(file.repository_id)
        return root is not None and posixpath.join(root, file.path) in places

    found = _lying(judgement, placed)
    if found.images or found.others:
        return found
    return _lying(judgement, lambda file: file.path == relative)


def other_names(
    subjects: Subjects, known_files: Callable[[int], Mapping[str, KnownFile]]
) -> dict[int, tuple[str, ...]]:
    """Return the other names of each file that has some; ``known_files`` are a repository's.

    Names whose stamps were all the same when they were read lead to one file: they share an inode
    and the time of its last change, which changes with the number of its names.
    """
    files = subjects.files().values()
    found: dict[int, tuple[str, ...]] = {}
    for repository_id in {file.repository_id for file in files}:
        known = known_files(repository_id)
        here = {file.id: file.path for file in files if file.repository_id == repository_id}
        names: dict[Stamps, list[str]] = {known[path].stamps: [] for path in here.values()}
        for path, row in known.items():
            if row.stamps in names and row.state is not FileState.GONE:
                names[row.stamps].append(path)
        for number, path in here.items():
            rest = tuple(name for name in sorted(names[known[path].stamps]) if name != path)
            found.update({number: rest} if rest else {})
    return found


def explanation_out(report: Report, subjects: Subjects, background: Background) -> ExplanationOut:
    """Return the explanation as one JSON document."""
    known = index(report)
    return ExplanationOut(
        v=VERSION,
        images=tuple(
            ExplainedImageOut(
                image=document.image_out(known, image),
                checks=tuple(checks_out(known, image)),
                not_proven=tuple(not_proven(known, image)),
                fit=fit_out(fit_of(report, image)),
            )
            for image in document.in_order(subjects.images)
        ),
        others=tuple(document.other_out(known, other) for other in subjects.others),
        hard_links=tuple(
            HardLinkedOut(
                repository=file.repository_id,
                path=wording.encodable(file.path),
                other_names=tuple(map(wording.encodable, background.other_names[number])),
            )
            for number, file in sorted(subjects.files().items())
            if number in background.other_names
        ),
        bugs=tuple(
            wording.encodable(met) for met in background.tracebacks.values() if met is not None
        ),
        dies_with=losses_out(known, subjects.images),
    )


def explain_text(report: Report, subjects: Subjects, background: Background) -> Iterator[str]:
    """Yield the explanation, line by line."""
    known = index(report)
    for position, image in enumerate(document.in_order(subjects.images)):
        if position:
            yield ""
        yield from explain_image(known, image)
    for other in subjects.others:
        yield from explain_other(known, other)
    named = map(subjects.files().__getitem__, sorted(background.other_names))
    yield from section(
        "Hard links: the same bytes under other names, read once for all",
        (
            entry("also", repr(known.shown_path(replace(file, path=name))))
            for file in named
            for name in background.other_names[file.id]
        ),
    )
    for met in background.tracebacks.values():
        if met is not None:
            lines = met.splitlines()
            yield from section("A bug of bakproof, met here", map(wording.clean, lines))
    yield from section("If this file dies", loss_lines(known, subjects.images))


def explain_image(known: Index, image: JudgedImage) -> Iterator[str]:
    """Yield everything about one image."""
    decider = known.decider(image)
    yield f"{image.ruling.verdict.word}  {known.name(image)}"
    yield ""
    yield entry("because", wording.because(image.ruling.rule))
    if decider.key != image.key:
        yield entry("", f"decided by {known.name(decider)}, which this image needs")
    if image.ruling.evidence is not None:
        yield entry("", finding_line(known, image.ruling.evidence))
    if decider.key != image.key:
        yield entry("alone", f"{image.own.verdict.word}, {wording.because(image.own.rule)}")
    yield entry("proof", wording.proof(image.proof, known.report.now))
    yield from section("What it is", identity_lines(known, image))
    yield from section("What it needs", parent_lines(known, image))
    yield from section("Sizes", size_lines(image))
    yield from section("Source fit", fit_lines(fit_of(known.report, image)))
    yield from section("Checks", check_lines(known, image))
    yield from section("Not proven", not_proven(known, image))
    yield from section("When", proof_lines(image))
    yield from section("The format's own fields", fact_lines(image))


def explain_other(known: Index, other: JudgedOther) -> Iterator[str]:
    """Yield everything about a file that is no known image."""
    file = other.file
    word = "no verdict" if other.ruling is None else other.ruling.verdict.word
    yield f"{word}  {known.shown_path(file)!r}"
    yield ""
    if other.ruling is None:
        yield entry("because", "nothing calls this file a backup, so it decides nothing")
    else:
        yield entry("because", wording.because(other.ruling.rule))
    yield entry("format", _titled(known, file))
    yield entry("size", _exact(file.size))
    if file.allocated_bytes is not None:
        yield entry("on disk", _exact(file.allocated_bytes))
    yield entry("state", file.state)
    yield entry("read", wording.moment(file.read_at) if file.read_at is not None else "never")
    if file.unchanged_since is not None:
        yield entry("unchanged", f"since {wording.moment(file.unchanged_since)}")
    yield from section("Findings", (finding_line(known, row) for row in findings(other.evidence)))


def identity_lines(known: Index, image: JudgedImage) -> Iterator[str]:
    """Yield who the image says it is."""
    row = image.image
    yield entry("format", _titled(known, image.files[0]))
    yield entry("kind", row.kind or wording.UNKNOWN)
    if row.title is not None:
        yield entry("title", wording.clean(row.title))
    yield entry("source", wording.UNKNOWN if row.source is None else wording.clean(row.source))
    yield entry("made", wording.moment(row.created_at))
    for identity in row.identities:
        yield entry("identity", wording.clean(str(identity)))
    if row.lineage is not None:
        yield entry("lineage", wording.clean(row.lineage))
    if row.position is not None:
        yield entry("position", f"{row.position.first} to {row.position.last}")
    for piece, file in zip(image.pieces, image.files, strict=True):
        if piece.piece is not None:
            number = f"piece {piece.piece.number} of {piece.piece.count}"
            yield entry("file", f"{file.path!r}, {number}, {file.state}")
        else:
            yield entry("file", f"{file.path!r}, {file.state}")
    for member in sorted({member for piece in image.pieces for member in piece.members}):
        yield entry("member", repr(member))


def parent_lines(known: Index, image: JudgedImage) -> Iterator[str]:
    """Yield the parents it names: found or missing, and how they were linked."""
    for link in image.parents:
        parent = None if link.image_key is None else known.images.get(link.image_key)
        if parent is None:
            yield entry("missing", f"{wording.clean(link.wanted)}, not found by {link.by}")
        else:
            state = f"{parent.ruling.verdict.word}, linked by {link.by}"
            yield entry("parent", f"{known.name(parent)}, {state}")


def size_lines(image: JudgedImage) -> Iterator[str]:
    """Yield the arithmetic of sizes."""
    row = image.image
    file_bytes = sum(file.size for file in image.files)
    yield entry("source", _exact(row.source_bytes))
    yield entry("in use there", _exact(row.used_bytes))
    yield entry("stored here", _exact(row.payload_bytes))
    yield entry("needed", _exact(row.needed_bytes))
    yield entry("file", _exact(file_bytes))
    if row.needed_bytes is not None:
        spare = file_bytes - row.needed_bytes
        word = "more than needed" if spare > 0 else "missing"
        yield entry("", f"{_exact(abs(spare))} {word}" if spare else "just what is needed")
    if row.payload_seen.bytes:
        seen = row.payload_seen
        yield entry("seen", f"{_exact(seen.bytes)}, of which not zero {_exact(seen.nonzero_bytes)}")


def checks_out(known: Index, image: JudgedImage) -> Iterator[CheckOut]:
    """Yield every check with each outcome it had, in order of check id."""
    record = known.format(image.files[0])
    sentences = {} if record is None else record.checks
    grouped: dict[tuple[str, Outcome], list[Evidence]] = {}
    for row in image.evidence:
        grouped.setdefault((row.evidence.check, row.evidence.outcome), []).append(row.evidence)
    for (check, outcome), evidence in sorted(grouped.items()):
        yield CheckOut(
            check=wording.encodable(check),
            outcome=outcome,
            proves=sentences.get(check),
            count=sum(item.count for item in evidence),
            bytes_vouched=sum(item.vouched_bytes for item in evidence),
        )


def check_lines(known: Index, image: JudgedImage) -> Iterator[str]:
    """Yield every check: outcome, count, bytes vouched for, and where it failed."""
    for out in checks_out(known, image):
        vouched = f", {_exact(out.bytes_vouched)} vouched for" if out.bytes_vouched else ""
        times = wording.times(out.check, out.count)
        yield f"{wording.clean(out.check)}: {out.outcome}{', ' if times else ''}{times}{vouched}"
        if out.proves is not None:
            yield f"  {out.proves}"
        rows = [row for row in findings(image.evidence) if _is(row, out)]
        for row in rows[:OFFSETS_SHOWN_MAX]:
            yield f"  {finding_line(known, row)}"
        if len(rows) > OFFSETS_SHOWN_MAX:
            yield f"  and {len(rows) - OFFSETS_SHOWN_MAX:,} more, in --json"


def not_proven(known: Index, image: JudgedImage) -> Iterator[str]:
    """Yield what no check could show, and why."""
    proof = image.proof
    if proof.structure_at is None:
        yield "the structure: a check of it failed, or could not be made"
    if proof.read_at is None:
        yield "that every byte can be read: not every byte was"
    if proof.bytes_needed is None:
        yield "how many bytes a restore needs: the format does not say, or it could not be read"
    elif proof.bytes_needed > proof.bytes_vouched:
        rest = proof.bytes_needed - proof.bytes_vouched
        yield (
            f"the content of {_exact(rest)}: under no checksum that matched "
            "(a change there shows only against the baseline)"
        )
    if proof.content_at is None:
        yield "the content: file systems and databases inside were not looked at"
    if proof.restored_at is None:
        yield "the restore itself: none is recorded"
    for row in image.evidence:
        if row.evidence.outcome in (Outcome.ABSENT, Outcome.UNSUPPORTED):
            yield wording.message(row.evidence)
    record = known.format(image.files[0])
    if record is not None and record.limitations:
        yield f"limits of this format: {record.limitations}"


def proof_lines(image: JudgedImage) -> Iterator[str]:
    """Yield the proof record with its dates."""
    proof = image.proof
    dates = {
        "structure": proof.structure_at,
        "read": proof.read_at,
        "unchanged since": proof.unchanged_since,
        "checksums": proof.checksums_at,
        "content": proof.content_at,
        "restored": proof.restored_at,
    }
    for label, at in dates.items():
        yield entry(label, "not proven" if at is None else wording.moment(at))
    needed = "of an unknown number" if proof.bytes_needed is None else f"of {proof.bytes_needed:,}"
    yield entry("vouched for", f"{proof.bytes_vouched:,} {needed} bytes needed")


def fact_lines(image: JudgedImage) -> Iterator[str]:
    """Yield the fields of the format under their vendor's names."""
    facts = list(document.facts_out(image.image.facts).items())
    for name, value in facts[:FACTS_SHOWN_MAX]:
        text = isinstance(value, str)
        shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        limit = TEXT_LENGTH_MAX if text else FACT_LENGTH_MAX
        cut = len(shown) - limit
        more = f" and {cut:,} more characters, in --json" if cut > 0 else ""
        yield f"{wording.clean(name)} = {wording.clean(shown[:limit])}{more}"
    if len(facts) > FACTS_SHOWN_MAX:
        yield f"and {len(facts) - FACTS_SHOWN_MAX:,} more, in --json"


def section(title: str, lines: Iterator[str]) -> Iterator[str]:
    """Yield a titled block, or nothing where there is nothing to say."""
    every = list(lines)
    if every:
        yield ""
        yield title
        yield from (f"  {line}" for line in every)


def entry(label: str, text: str) -> str:
    """Return one labelled line."""
    return f"{label:<{LABEL_COLUMN}}{text}"


def _lying(judgement: Judgement, meant: Callable[[FileRow], bool]) -> Subjects:
    return Subjects(
        tuple(image for image in judgement.images if any(map(meant, image.files))),
        tuple(other for other in judgement.others if meant(other.file)),
    )


def _is(row: EvidenceRow, out: CheckOut) -> bool:
    return (
        row.evidence.outcome == out.outcome and wording.encodable(row.evidence.check) == out.check
    )


def _titled(known: Index, file: FileRow) -> str:
    record = known.format(file)
    if record is None:
        return file.format or "no known format"
    return f"{record.name} ({record.title})"


def _exact(length: int | None) -> str:
    if length is None:
        return wording.UNKNOWN
    return f"{length:,} B" if length < 1 << 10 else f"{wording.size(length)} ({length:,} bytes)"
