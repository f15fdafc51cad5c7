"""How things are said: sizes, times, places, evidence and proof, each in few words.

File names, and texts out of backups, are foreign: whatever in them a terminal could obey is shown
as an escape.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from formats.core.model import Bearing, Evidence, Outcome
from scanner.judge.model import Proof
from scanner.judge.rules import rule_meanings
from scanner.ledger.rows import AcknowledgementRow

UNKNOWN = "unknown"
UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
COUNTED: Mapping[str, str] = {
    "vhd.file.needed": "block",
    "vhdx.file.needed": "block",
    "sqlserver_bak.log.checksum": "log block",
    "sqlserver_bak.log.unprotected": "sector",
    "sqlserver_bak.csum.presence": "stream",
}
"""What a row of these checks counts, where the check's id does not say it."""

COUNTED_WORDS = frozenset(
    {"block", "chunk", "cluster", "entry", "extent", "grain", "page", "record", "sector", "stream"}
)
"""What a row counts whose check is of one of these structures or properties."""

MINUTE, HOUR, DAY = 60, 3600, 86_400
AGO_DAYS_MAX = 60


def clean(text: str) -> str:
    """Return ``text`` with every character that is not printable as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def encodable(text: str) -> str:
    """Return ``text`` without lone surrogates (bytes of a name that are no UTF-8), as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def size(length: int | None) -> str:
    """Return a size in powers of two: ``1.5 GiB``."""
    if length is None:
        return UNKNOWN
    if abs(length) < 1 << 10:
        return f"{length} B"
    # What would be rounded up to 1024 of a unit is one of the next.
    exponent = min((round(abs(length) * 1.0005).bit_length() - 1) // 10, len(UNITS))
    value = length / (1 << (10 * exponent))
    digits = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"  # noqa: PLR2004 - 3 digits
    return f"{digits.removesuffix('.0')} {UNITS[exponent - 1]}"


def rate(length: float, seconds: float | None) -> str | None:
    """Return bytes per second, or None where no time passed."""
    return f"{size(round(length / seconds))}/s" if seconds is not None and seconds > 0 else None


def duration(seconds: float | None) -> str:
    """Return a length of time in its two largest units."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:  # noqa: PLR2004 - tenths matter below
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def day(moment: datetime) -> str:
    """Return the day: ``3 October 2025``."""
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def moment(at: datetime | None) -> str:
    """Return a point in time; one without a zone is a local time and says so."""
    if at is None:
        return UNKNOWN
    if at.tzinfo is None:
        return f"{at:%Y-%m-%d %H:%M:%S} local time"
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime, now: datetime) -> str:
    """Return how long before ``now``; a day where that is long ago, or where clocks disagree."""
    seconds = (now - at).total_seconds()
    if not 0 <= seconds < AGO_DAYS_MAX * DAY:
        return f"on {day(at)}"
    if seconds < MINUTE:
        return f"{int(seconds)} s ago"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min ago"
    if seconds < 2 * DAY:
        return f"{int(seconds // HOUR)} h ago"
    return f"{int(seconds // DAY)} d ago"


def counted(count: int, noun: str) -> str:
    """Return ``1 image`` or ``2 images``, ``1 entry`` or ``2 entries``."""
    if count == 1:
        return f"{count:,} {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{count:,} {noun}s"


def counted_by(check: str) -> str | None:
    """Return what the rows of a check count; None where nothing says it."""
    _, *parts = check.split(".")
    # The property is nearer to what is counted than the structure it belongs to.
    known = (part for part in reversed(parts) if part in COUNTED_WORDS)
    return COUNTED.get(check) or next(known, None)


def times(check: str, count: int) -> str:
    """Return how many of what a check speaks of, or how many times it spoke; nothing for once."""
    noun = counted_by(check)
    if noun is None and count == 1:
        return ""
    return counted(count, noun or "time")


def affected(evidence: Evidence) -> str:
    """Return how many elements a row speaks of, to be put behind what it says of them."""
    if evidence.count == 1:
        return ""
    said = times(evidence.check, evidence.count)
    if not evidence.bad:
        return f", {said}"
    return f"; {said}" if counted_by(evidence.check) is None else f"; {said} affected"


def place(offset: int | None, length: int | None) -> str:
    """Return where: `` at 0x10000+4096``, or nothing."""
    if offset is None:
        return ""
    return f" at 0x{offset:x}" + ("" if length is None else f"+{length}")


def percent(part: int, whole: int) -> str:
    """Return a share, rounded down, so that only everything is called 100 %."""
    if part >= whole:
        return "100 %"
    hundredths = part * 10_000 // whole
    return f"{hundredths / 100:.2f} %" if hundredths else "under 0.01 %"


def compared(evidence: Evidence) -> str:
    """Return what was expected and found, as far as the row says."""
    expected = None if evidence.expected is None else clean(evidence.expected)
    actual = None if evidence.actual is None else clean(evidence.actual)
    if expected is not None and actual is not None:
        return f"expected {expected}, found {actual}"
    if actual is not None:
        return f"found {actual}"
    return f"expected {expected}" if expected is not None else ""


def message(evidence: Evidence) -> str:
    """Return one row of evidence as a line: what, where, expected, found."""
    member = f" in {evidence.member!r}" if evidence.member else ""
    match evidence.outcome:
        case Outcome.MATCHED:
            text = "matched"
        case Outcome.ABSENT:
            text = "nothing declared"
        case Outcome.UNSTEADY:
            text = "wrong at first, right when read again"
        case Outcome.MISMATCHED:
            text = compared(evidence) or "does not match"
        case Outcome.TRUNCATED:
            text = compared(evidence) or "bytes are missing"
        case Outcome.UNREADABLE:
            text = compared(evidence) or "the storage refuses these bytes"
        case Outcome.UNSUPPORTED:
            text = compared(evidence) or "not supported"
    bearing = "" if evidence.bearing is Bearing.NEEDED else f" ({evidence.bearing})"
    return (
        f"{clean(evidence.check)}{place(evidence.offset, evidence.length)}{member}: "
        f"{text}{affected(evidence)}{bearing}"
    )


def because(rule: str) -> str:
    """Return a rule of the judge with what it means."""
    meaning = rule_meanings().get(rule)
    return f"rule {rule}" if meaning is None else f"rule {rule}: {meaning}"


def accepted(row: AcknowledgementRow) -> str:
    """Return what somebody said of a finding."""
    return f"acknowledged until {row.until.date().isoformat()}: {clean(row.reason)}"


def proof(record: Proof, now: datetime) -> str:
    """Return the proof in one phrase."""
    if record.read_at is None:
        if record.structure_at is None:
            return "nothing proven"
        return f"structure proven {ago(record.structure_at, now)}, not every byte read"
    read = f"read {ago(record.read_at, now)}"
    if record.unchanged_since is not None and record.unchanged_since < record.read_at:
        read += f", unchanged since {day(record.unchanged_since)}"
    checksums = vouched(record)
    said = f"every byte {read}; no checksums" if checksums is None else f"{checksums}, {read}"
    return said if record.structure_at is not None else f"{said}; structure not proven"


def vouched(record: Proof) -> str | None:
    """Return how much of the image lies under checksums that matched; None where none does."""
    if not record.bytes_vouched:
        return None
    if record.bytes_needed is None or record.bytes_needed <= 0:
        return f"checksums over {size(record.bytes_vouched)}"
    return f"checksums {percent(record.bytes_vouched, record.bytes_needed)}"


def combined(records: Iterable[Proof]) -> Proof:
    """Return what all of several proofs have in common: the oldest date, the sum of bytes."""
    every = tuple(records)
    needed = [record.bytes_needed for record in every if record.bytes_needed is not None]
    return Proof(
        structure_at=_oldest([record.structure_at for record in every]),
        read_at=_oldest([record.read_at for record in every]),
        # The youngest date is what all can claim.
        unchanged_since=_youngest([record.unchanged_since for record in every]),
        checksums_at=_oldest([record.checksums_at for record in every]),
        bytes_vouched=sum(record.bytes_vouched for record in every),
        bytes_needed=sum(needed) if len(needed) == len(every) else None,
    )


def _oldest(dates: list[datetime | None]) -> datetime | None:
    known = [at for at in dates if at is not None]
    return min(known) if known and len(known) == len(dates) else None


def _youngest(dates: list[datetime | None]) -> datetime | None:
    known = [at for at in dates if at is not None]
    return max(known) if known and len(known) == len(dates) else None
