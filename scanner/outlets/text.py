"""The report for people: what to act on first, then what is sound, then one line that sums it up.

Everything is built of rich's `Text` and `Table`, which fold to the width of a terminal and are
printed unfolded, one statement a line, where there is none.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scanner.judge.advice import Advice, Severity
from scanner.judge.model import Chain, JudgedImage, JudgedOther, Ruling, Verdict
from scanner.ledger.rows import EvidenceRow, FileRow
from scanner.outlets import wording
from scanner.outlets.report import (
    Index,
    Report,
    counted_others,
    findings,
    index,
    missing_parents,
    verdict_counts,
)
from scanner.outlets.standing import standing
from scanner.results import FileState

FINDINGS_SHOWN_MAX = 3
NAMES_SHOWN_MAX = 5
SOUND_SHOWN_MAX = 500
OTHERS_SHOWN_MAX = 50
VERDICT_COLUMN = 12
NAME_WIDTH_KEPT = 40
PROOF_WIDTH_MIN = 20
COLUMN_GAP = 2
PLAIN_WIDTH = 100_000
STYLES: Mapping[Verdict, str] = {
    Verdict.SOUND: "green",
    Verdict.WEAKENED: "yellow",
    Verdict.UNPROVEN: "yellow",
    Verdict.EMPTY: "bold red",
    Verdict.INCOMPLETE: "bold red",
    Verdict.DAMAGED: "bold red",
}


def console(stream: IO[str], width: int | None = None) -> Console:
    """Return a console that folds on a terminal and never elsewhere; NO_COLOR is rich's to obey."""
    if width is None and not is_terminal(stream):
        width = PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def as_lines(rendered: RenderableType, on: Console) -> str:
    """Return what would be printed, without the blanks that rich fills lines with."""
    with on.capture() as captured:
        on.print(rendered)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def report_text(report: Report) -> Group:
    """Return the whole report."""
    known = index(report)
    parts: list[RenderableType] = []
    parts.extend(standing(report))
    parts.extend(problems(known))
    parts.extend(sound(known))
    parts.extend(suspicious(known))
    parts.extend(advice_lines(known))
    parts.extend(Text.assemble(("note: ", "bold"), wording.clean(note)) for note in report.notes)
    parts.extend(summary(known))
    return Group(*parts)


def problems(known: Index) -> Iterator[RenderableType]:
    """Yield one block per cause, worst first: what is wrong, and what dies with it."""
    judgement = known.report.judgement
    chains = _chains_by_key(judgement.chains)
    stricken: dict[int, list[JudgedImage]] = {}
    for image in judgement.images:
        if image.ruling.verdict is not Verdict.SOUND:
            cause_key = known.decider(image).key
            stricken.setdefault(cause_key, []).append(image)
    blocks = list(unread_blocks(known, stricken))
    for key, images in stricken.items():
        cause = known.images[key]
        if unread(known, cause):
            continue
        blocks.append(
            (
                -deciding(cause).verdict,
                known.name(cause),
                cause_block(known, cause, images, chains.get(key, [])),
            )
        )
    for other in counted_others(judgement):
        if other.ruling is not None and other.ruling.verdict is not Verdict.SOUND:
            name = repr(known.shown_path(other.file))
            blocks.append((-other.ruling.verdict, name, other_block(name, known, other)))
    for _, _, block in sorted(blocks, key=lambda entry: entry[:2]):
        yield block
        yield Text()


def unread(known: Index, image: JudgedImage) -> bool:
    """Whether an image is of a format that is only recognised, and nothing worse is known."""
    record = known.format(image.files[0])
    plain = image.own.rule == "not-judgeable"
    return record is not None and not record.supported and plain


def unread_blocks(
    known: Index, stricken: Mapping[int, object]
) -> Iterator[tuple[int, str, RenderableType]]:
    """Yield one block per format that is only recognised: a folder of them is one statement."""
    by_format: dict[str, list[JudgedImage]] = {}
    for key in stricken:
        image = known.images[key]
        if unread(known, image):
            by_format.setdefault(image.files[0].format or "", []).append(image)
    for name, images in by_format.items():
        record = known.formats[name]
        files = wording.counted(len(images), "file")
        lines = [
            "recognised, and not supported yet: nothing but the reading is proven",
            names(map(known.name, images)),
        ]
        # After everything that is unproven for a reason of its own.
        yield (
            -Verdict.UNPROVEN,
            "~",
            block(Verdict.UNPROVEN, f"{files}: {record.title}", lines),
        )


def cause_block(
    known: Index, cause: JudgedImage, stricken: Iterable[JudgedImage], chains: Iterable[Chain]
) -> RenderableType:
    """Return what is wrong with one image, and which images it takes with it."""
    ruling = deciding(cause)
    lines = [what_it_is(cause), *reasons(known, cause.evidence, ruling, cause.files)]
    if ruling.evidence is None:
        lines.extend(
            f"parent {wording.clean(link.wanted)} not found" for link in missing_parents(cause)
        )
    lines.append(wording.because(ruling.rule))
    lines.append(wording.proof(cause.proof, known.report.now))
    victims = [image for image in stricken if image.key != cause.key]
    if victims:
        lines.append(fate(known, ruling.verdict, victims))
    lines.extend(chain_line(known, chain) for chain in chains if len(chain.image_keys) > 1)
    return block(ruling.verdict, known.name(cause), lines)


def deciding(cause: JudgedImage) -> Ruling:
    """Return the ruling on a cause; one in a circle of parents is sound by itself."""
    return cause.ruling if cause.deciding_key == cause.key else cause.own


def other_block(name: str, known: Index, other: JudgedOther) -> RenderableType:
    """Return what is wrong with a file that is no image."""
    ruling = other.ruling
    assert ruling is not None
    unread = other.file.state is FileState.READING
    what = other.file.format or ("not looked into yet" if unread else "no known format")
    lines = [f"{what}, {wording.size(other.file.size)}"]
    lines.extend(reasons(known, other.evidence, ruling))
    lines.append(wording.because(ruling.rule))
    return block(ruling.verdict, name, lines)


def block(verdict: Verdict, name: str, lines: Iterable[str]) -> RenderableType:
    """Return a verdict, a name, and lines under it."""
    word = verdict.word.ljust(VERDICT_COLUMN)
    head = Text.assemble((word, STYLES[verdict]), (name, "bold"), overflow="fold")
    under = [Text(line, overflow="fold") for line in lines]
    return Group(head, Padding(Group(*under), (0, 0, 0, VERDICT_COLUMN)))


def what_it_is(image: JudgedImage) -> str:
    """Return format, kind, source and age of an image."""
    row = image.image
    parts = [image.files[0].format or "unknown format"]
    if row.kind is not None:
        parts.append(row.kind)
    if row.source is not None:
        parts.append(f"backup of '{wording.clean(row.source)}'")
    elif row.title is not None:
        parts.append(f"'{wording.clean(row.title)}'")
    if row.created_at is not None:
        parts.append(f"made {wording.moment(row.created_at)}")
    parts.append(wording.size(sum(file.size for file in image.files)))
    if any(file.state is FileState.GONE for file in image.files):
        parts.append("the file is gone")
    return ", ".join(parts)


def reasons(
    known: Index,
    evidence: tuple[EvidenceRow, ...],
    ruling: Ruling,
    files: tuple[FileRow, ...] = (),
) -> Iterator[str]:
    """Yield the deciding finding, then a few more, acknowledged ones marked.

    Where an image lies in several ``files``, each finding says in which one.
    """
    names = {file.id: f"in {known.shown_path(file)!r}: " for file in files}
    rows = findings(evidence)
    if ruling.evidence is not None:
        rows = [ruling.evidence, *(row for row in rows if row != ruling.evidence)]
    for row in rows[:FINDINGS_SHOWN_MAX]:
        where = names.get(row.file_id, "") if len(names) > 1 else ""
        yield where + finding_line(known, row)
    if len(rows) > FINDINGS_SHOWN_MAX:
        more = wording.counted(len(rows) - FINDINGS_SHOWN_MAX, "more finding")
        yield f"and {more}: bakproof explain lists them"


def finding_line(known: Index, row: EvidenceRow) -> str:
    """Return one finding, with the id that ``ack`` takes, and with what was said of it."""
    name = "" if row.finding_id is None else f" [finding {row.finding_id}]"
    accepted = known.acknowledgement(row)
    said = "" if accepted is None else f" ({wording.accepted(accepted)})"
    return f"{wording.message(row.evidence)}{name}{said}"


def fate(known: Index, verdict: Verdict, victims: list[JudgedImage]) -> str:
    """Return which restore points share the cause's verdict."""
    if verdict >= Verdict.EMPTY:
        verb = "dies with it" if len(victims) == 1 else "die with it"
    else:
        verb = f"{'is' if len(victims) == 1 else 'are'} {verdict.word} with it"
    points = wording.counted(len(victims), "restore point")
    return f"{points} {verb}: {names(map(known.name, victims))}"


def names(every_name: Iterable[str]) -> str:
    """Return a few names, and how many more."""
    every = sorted(every_name)
    shown = ", ".join(every[:NAMES_SHOWN_MAX])
    rest = len(every) - NAMES_SHOWN_MAX
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def chain_line(known: Index, chain: Chain) -> str:
    """Return how far a chain can be restored, and from where it is broken."""
    points = wording.counted(len(chain.image_keys), "restore point")
    if chain.restorable_key is None:
        return f"chain '{wording.clean(chain.name)}', {points}: none is proven restorable"
    newest = known.images[chain.restorable_key]
    made = newest.image.created_at
    when = "" if made is None else f" of {wording.moment(made)}"
    text = (
        f"chain '{wording.clean(chain.name)}', {points}: "
        f"restorable up to {known.name(newest)}{when}"
    )
    members = [known.images[key] for key in chain.image_keys]
    broken = next((image for image in members if image.ruling.verdict > Verdict.WEAKENED), None)
    return text if broken is None else f"{text}; broken from {known.name(broken)}"


def sound(known: Index) -> Iterator[RenderableType]:
    """Yield what is sound: one row per sound chain, one per other sound image."""
    rows = sorted(sound_rows(known))
    if not rows:
        return
    yield SoundRows(tuple(rows[:SOUND_SHOWN_MAX]))
    if len(rows) > SOUND_SHOWN_MAX:
        yield Text(f"and {len(rows) - SOUND_SHOWN_MAX:,} more that are sound")
    yield Text()


@dataclass(frozen=True, slots=True)
class SoundRows:
    """Name, nature and proof of what is sound: a table where there is room for one.

    A table that does not fit loses columns and the ends of names, so where space is short each row
    becomes a block.
    """

    rows: tuple[tuple[str, str, str], ...]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table or the blocks; rich calls this when the width is known."""
        widths = column_widths(self.rows, options.max_width - VERDICT_COLUMN)
        if widths is not None:
            yield sound_table(self.rows, widths)
            return
        for name, nature, proof in self.rows:
            yield block(Verdict.SOUND, name, [f"{nature}, {proof}"])


def column_widths(rows: Sequence[tuple[str, ...]], room: int) -> tuple[int, int, int] | None:
    """Return the widths of name, nature and proof; None where there is no room for a table.

    Where space is short the proof is folded before the names are, and natures never.
    """
    columns = zip(*rows, strict=True)
    longest_name, nature, longest_proof = (max(map(cell_len, cells)) for cells in columns)
    left = room - nature - 2 * COLUMN_GAP
    name = min(longest_name, max(NAME_WIDTH_KEPT, left - longest_proof))
    proof = min(longest_proof, left - name)
    return (name, nature, proof) if proof >= min(longest_proof, PROOF_WIDTH_MIN) else None


def sound_table(rows: Sequence[tuple[str, str, str]], widths: Sequence[int]) -> Table:
    """Return one line per row, as far as the width allows; cells fold."""
    table = Table(box=None, show_header=False, padding=(0, COLUMN_GAP, 0, 0), pad_edge=False)
    table.add_column(width=VERDICT_COLUMN - COLUMN_GAP, no_wrap=True)
    for width in widths:
        table.add_column(overflow="fold", width=width)
    for row in rows:
        table.add_row(Text("sound", style=STYLES[Verdict.SOUND]), *map(Text, row))
    return table


def sound_rows(known: Index) -> Iterator[tuple[str, str, str]]:
    """Yield name, nature and proof of each sound chain and each sound image outside of those."""
    judgement, now = known.report.judgement, known.report.now
    in_chains: set[int] = set()
    for chain in judgement.chains:
        if chain.verdict is Verdict.SOUND and len(chain.image_keys) > 1:
            in_chains.update(chain.image_keys)
            images = [known.images[key] for key in chain.image_keys]
            shared = wording.combined(image.proof for image in images)
            name = images[0].files[0].format or "unknown format"
            nature = f"{name} chain, newest of {len(images)}"
            last = known.images[chain.restorable_key or chain.image_keys[-1]]
            yield (known.name(last), nature, wording.proof(shared, now))
    for image in judgement.images:
        if image.ruling.verdict is Verdict.SOUND and image.key not in in_chains:
            kind = "" if image.image.kind is None else f" {image.image.kind}"
            nature = f"{image.files[0].format or 'unknown format'}{kind}"
            yield (known.name(image), nature, wording.proof(image.proof, now))


def suspicious(known: Index) -> Iterator[RenderableType]:
    """Yield files that nothing calls a backup, but in which something was found."""
    rows = [
        (known.shown_path(other.file), row)
        for other in known.report.judgement.others
        if other.ruling is None
        for row in findings(other.evidence)
    ]
    if not rows:
        return
    yield Text("Other files with findings, which decide nothing:")
    for path, row in sorted(rows, key=lambda entry: entry[0])[:OTHERS_SHOWN_MAX]:
        yield Text(f"  {path!r}: {finding_line(known, row)}", overflow="fold")
    if len(rows) > OTHERS_SHOWN_MAX:
        yield Text(f"  and {len(rows) - OTHERS_SHOWN_MAX:,} more")
    yield Text()


def advice_lines(known: Index) -> Iterator[RenderableType]:
    """Yield each warning, then advice of one kind together: it is the same for many sources."""
    alike: dict[str, list[Advice]] = {}
    for item in known.report.advice:
        accepted = known.accepted.get(item.id)
        if item.severity is Severity.ADVICE:
            alike.setdefault(item.rule, []).append(item)
            continue
        name = f" [warning {item.id}]"
        name += "" if accepted is None else f" ({wording.accepted(accepted)})"
        said = f"'{wording.clean(item.source)}': {wording.clean(item.text)}{name}"
        yield Text.assemble(("warning: ", "bold yellow"), said, overflow="fold")
    for rule, every in alike.items():
        first = every[0]
        said = f"'{wording.clean(first.source)}': {wording.clean(first.text)}"
        more = f"; likewise {wording.counted(len(every) - 1, 'more source')}" if every[1:] else ""
        yield Text.assemble(("advice: ", "bold"), f"{said}{more} ({rule})", overflow="fold")
    if known.report.advice:
        yield Text()


def summary(known: Index) -> Iterator[RenderableType]:
    """Yield what was scanned, how it came out, and what that means for a script."""
    report = known.report
    if report.run is not None and report.run.interrupted:
        yield Text("Stopped before the end; progress is kept, and the next scan goes on from here.")
    if report.run is not None and report.run.bugs:
        bugs = wording.counted(report.run.bugs, "bug")
        yield Text(f"{bugs} of bakproof met; what was affected is unproven.", style="bold red")
    yield summary_line(known)
    run = run_line(report)
    if run:
        yield Text(run)
    yield Text(f"exit code {int(report.exit_code)}: {report.exit_meaning}")


def summary_line(known: Index) -> Text:
    """Return the counts per verdict."""
    judgement = known.report.judgement
    others = len(judgement.others)
    judged = counted_others(judgement)
    if not judgement.images and not judged:
        return Text(nothing_recognised(known), "bold", overflow="fold")
    subjects = [(len(judgement.images), "image"), (len(judged), "other file")]
    line = Text(" and ".join(wording.counted(count, noun) for count, noun in subjects if count))
    line.append(": ")
    counts = [(verdict, n) for verdict, n in verdict_counts(judgement).items() if n]
    for position, (verdict, count) in enumerate(counts):
        line.append(", " if position else "")
        line.append(f"{count:,} {verdict.word}", style=STYLES[verdict])
    rest = others - len(judged)
    if rest:
        line.append(f"; {wording.counted(rest, 'file')} no known backup")
    return line


def nothing_recognised(known: Index) -> str:
    """Return what lies where no backup was found; where that is nothing, how it comes about."""
    report = known.report
    where = ", ".join(repr(repository.path) for repository in report.repositories)
    files = [other.file for other in report.judgement.others]
    if not report.repositories:
        return "Nothing was scanned yet."
    if not files:
        return f"Nothing to scan in {where}: no file there; it is empty, or not mounted."
    shown = names(repr(known.shown_path(file)) for file in files)
    kind = "not a known backup" if len(files) == 1 else "none a known backup"
    count = wording.counted(len(files), "file")
    return f"Nothing recognised to scan in {where}: {count}, {kind}: {shown}"


def run_line(report: Report) -> str:
    """Return what a scan read, and how fast; for a status, when that was."""
    run = report.run
    if run is None:
        return ""
    text = f"{wording.counted(run.files, 'file')}, {wording.size(run.bytes_read)} read"
    if run.seconds is not None:
        text += f" in {wording.duration(run.seconds)}"
        speed = wording.rate(run.bytes_read, run.seconds)
        text += f", {speed}" if speed is not None and run.bytes_read else ""
    if report.fresh:
        return text
    if run.finished_at is None:
        return f"last scan, begun {wording.ago(run.started_at, report.now)}, not finished: {text}"
    return f"last scan {wording.ago(run.finished_at, report.now)}: {text}"


def _chains_by_key(chains: Iterable[Chain]) -> dict[int, list[Chain]]:
    found: dict[int, list[Chain]] = {}
    for chain in chains:
        for key in chain.image_keys:
            found.setdefault(key, []).append(chain)
    return found


def is_terminal(stream: IO[str]) -> bool:
    """Whether somebody watches this stream who can be drawn for."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
