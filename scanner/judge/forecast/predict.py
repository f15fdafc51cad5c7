"""How large the next backup of a source will be.

A full is predicted from the fulls that were whole; before there is one, from the size of the source
and from what a full that broke off had stored already. What is made between fulls is predicted from
its own kind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import median

from formats.core.model import Kind
from scanner.judge.forecast.growth import ONE_WIDTH, Dated, Estimate, trend, usual
from scanner.judge.forecast.sizes import Sized, largest, stored_share
from scanner.judge.sources.model import Source

METADATA_PER_MILLE = 15
"""Maps, logs and paddings an image has beside what it stores; assumed, seen are up to 1 %."""

TREND_MIN = 3
"""Differentials since a full that make a trend."""


def next_full(source: Source, sizes: Sequence[Sized], due: datetime | None) -> Estimate | None:
    """Return the size of the next full; None where nothing at all is known."""
    fulls = [item for item in sizes if item.kind is Kind.FULL]
    whole = [item for item in fulls if item.whole and item.file_bytes]
    found = from_fulls(whole, due) if whole else from_source(source, fulls)
    if found is None:
        return None
    newest = max((item.at for item in whole), default=None)
    broken = [item for item in fulls if not item.whole and (newest is None or item.at > newest)]
    floor = asked_for(broken, fulls)
    if floor is not None and not whole:
        # With nothing else to go by, the next one is taken to be as sparse as what broke off.
        floor = round(floor * stored_share(source, sizes, whole=False))
    return capped(raised(found, floor), fulls)


def from_fulls(whole: Sequence[Sized], due: datetime | None) -> Estimate:
    """Predict from the fulls there were.

    What was stored grows with the source; how it is packed into a file stays about the same.
    """
    payloads = [item.payload_bytes for item in whole]
    if all(payloads):
        ratio = median((item.file_bytes or 0) / (item.payload_bytes or 1) for item in whole)
        history = [Dated(item.at, (item.payload_bytes or 0) * ratio) for item in whole]
    else:
        history = [Dated(item.at, float(item.file_bytes or 0)) for item in whole]
    low, likely, high = trend(history, due)
    count = len(whole)
    basis = "1 earlier full" if count == 1 else f"growth over {count} fulls"
    return rounded(low, likely, high, basis)


def from_source(source: Source, fulls: Sequence[Sized]) -> Estimate | None:
    """Predict from the size of the source, while no full was whole yet."""
    packed = any(item.packed for item in fulls)
    limit = with_metadata(newest_known(item.source_bytes for item in fulls))
    used = None if packed else newest_known(item.used_bytes for item in fulls)
    declared = expected_of(source)
    if declared is not None:
        # What is declared is data; a full stores nearly all of it, unless it is compressed.
        likely, width = declared + overhead(declared), round(declared * ONE_WIDTH)
        low = 0 if packed else likely - width
        return Estimate(low, likely, likely + width, "declared size alone")
    if limit is None and used is None:
        return None
    if used is None:
        return Estimate(0, limit or 0, limit or 0, "source size alone", founded=False)
    likely = used + overhead(used)
    return Estimate(used, likely, max(limit or 0, likely), "used size alone")


def expected_of(source: Source) -> int | None:
    """Return how much data is declared; where several sources share that, nobody knows of each."""
    declared = source.declared
    return declared.expected if declared is not None and declared.name == source.name else None


def newest_known(sizes: Iterable[int | None]) -> int | None:
    """Return the last size that is known; sizes come oldest first."""
    known = [size for size in sizes if size is not None]
    return known[-1] if known else None


def with_metadata(size: int | None) -> int | None:
    """Return the size of a file that stores so much."""
    return None if size is None else size + overhead(size)


def overhead(size: int) -> int:
    """Return what a file takes besides what it stores."""
    return size * METADATA_PER_MILLE // 1000


def asked_for(broken: Sequence[Sized], fulls: Sequence[Sized]) -> int | None:
    """Return how much the fulls that broke off are known to need.

    What a damaged map refers to is believed as far as the source is large.
    """
    limit = with_metadata(largest(item.source_bytes for item in fulls))
    return largest(
        max(item.stored_bytes, believed(item.needed_bytes or 0, limit)) for item in broken
    )


def believed(needed: int, limit: int | None) -> int:
    """Return a size a map refers to, no larger than can be."""
    return needed if limit is None else min(needed, limit)


def raised(found: Estimate, floor: int | None) -> Estimate:
    """Return an estimate that is nowhere below what is known to be needed."""
    if floor is None:
        return found
    return replace(
        found,
        low_bytes=max(found.low_bytes, floor),
        likely_bytes=max(found.likely_bytes, floor),
        high_bytes=max(found.high_bytes, floor),
    )


def capped(found: Estimate, fulls: Sequence[Sized]) -> Estimate:
    """Return an estimate that is nowhere above what the source and its map can fill.

    Backups that were larger than that hold more than the source (a log, several states of it).
    """
    limit = with_metadata(newest_known(item.source_bytes for item in fulls))
    if limit is None or any(item.stored_bytes > limit for item in fulls):
        return found
    return replace(
        found,
        low_bytes=min(found.low_bytes, limit),
        likely_bytes=min(found.likely_bytes, limit),
        high_bytes=min(found.high_bytes, limit),
    )


def next_of_kind(sizes: Sequence[Sized], kind: Kind, due: datetime | None) -> Estimate | None:
    """Return the size of the next differential, incremental or log; None without an earlier one.

    A differential grows with the time since its full, so those since the last full show how fast.
    """
    alike = [item for item in sizes if item.kind is kind and item.whole and item.file_bytes]
    if not alike:
        return None
    full = max((item.at for item in sizes if item.kind is Kind.FULL and item.whole), default=None)
    since = [item for item in alike if full is None or item.at > full]
    if kind is Kind.DIFFERENTIAL and len(since) >= TREND_MIN:
        low, likely, high = trend(dated(since), due)
        basis = f"growth over {len(since)} differentials since the last full"
    else:
        low, likely, high = usual(dated(alike))
        basis = f"{len(alike)} earlier {kind}{'' if len(alike) == 1 else 's'}"
    return rounded(low, likely, high, basis)


def dated(sizes: Iterable[Sized]) -> list[Dated]:
    """Return sizes with their times."""
    return [Dated(item.at, float(item.file_bytes or 0)) for item in sizes]


def rounded(low: float, likely: float, high: float, basis: str) -> Estimate:
    """Return an estimate in whole bytes."""
    return Estimate(round(low), round(likely), round(high), basis)


def scaled(found: Estimate, share: float) -> Estimate:
    """Return an estimate of what lies on the disk, where that is a share of the size."""
    return replace(
        found,
        low_bytes=round(found.low_bytes * share),
        likely_bytes=round(found.likely_bytes * share),
        high_bytes=round(found.high_bytes * share),
    )
