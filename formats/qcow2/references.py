"""References to host clusters, counted in a window of bounded size.

A window costs five bytes a cluster: the refcount as stored, the references found, and what kinds
of structure refer to it.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from formats.qcow2.findings import Ints
from formats.qcow2.refcounts import COUNT_MAX, Counts

# 256 GiB of clusters of 64 KiB, in 20 MiB of memory.
WINDOW_CLUSTERS = 1 << 22

# What refers to a cluster, as bits. Only one kind may, and `ALONE` only once.
ALONE = np.uint8(1)
TABLE = np.uint8(2)
DATA = np.uint8(4)
PACKED = np.uint8(8)

# A spread of references wider than this many times their number is sorted, not binned.
SPREAD_MAX = 8


@dataclass(slots=True)
class Claims:
    """Structures outside the map, in clusters.

    ``runs`` are first cluster and count of what is stored in one piece, ``single`` clusters that
    stand alone (bitmap data). ``excused`` are clusters of bitmaps that are out of date: they may
    still have a refcount, or may have been given to something else.
    """

    runs: list[tuple[int, int]] = field(default_factory=list)
    single: list[Ints] = field(default_factory=list)
    excused: list[Ints] = field(default_factory=list)

    def hold(self, offset: int, length: int, cluster_bits: int) -> None:
        """Claim the clusters of ``length`` bytes at ``offset``."""
        if length > 0:
            first = offset >> cluster_bits
            self.runs.append((first, ((offset + length - 1) >> cluster_bits) - first + 1))


@dataclass(frozen=True, slots=True)
class Spans:
    """First and last cluster that each L2 table points to; last < first where it has none."""

    first: Ints
    last: Ints

    def touching(self, first: int, count: int) -> npt.NDArray[np.bool_]:
        """Return which L2 tables may point into a range of clusters."""
        touched: npt.NDArray[np.bool_] = (self.last >= first) & (self.first < first + count)
        return touched

    def window_numbers(self, window_clusters: int) -> range:
        """Return the numbers of all windows that some table may point into."""
        last = int(self.last.max(initial=-1))
        first = min(int(self.first.min(initial=last + 1)), last + 1)
        return range(first // window_clusters, -(-(last + 1) // window_clusters))


@dataclass(frozen=True, slots=True)
class Window:
    """Clusters ``first`` and following: stored counts, references, kinds."""

    first: int
    counts: Counts
    references: Counts
    kinds: npt.NDArray[np.uint8]

    def inside(self, clusters: Ints) -> npt.NDArray[np.bool_]:
        """Return which clusters belong to the window."""
        held: npt.NDArray[np.bool_] = clusters >= self.first
        held &= clusters < self.first + len(self.counts)
        return held

    def refer(self, clusters: Ints, weights: Ints | None, kind: np.uint8) -> None:
        """Add references to clusters, wherever they are."""
        chosen = self.inside(clusters)
        if not chosen.all():
            clusters = clusters[chosen]
            weights = None if weights is None else weights[chosen]
        places = clusters - self.first
        add_counts(self.references, places, weights)
        self.kinds[places] |= kind

    def refer_run(self, start: int, count: int) -> None:
        """Add one reference to each of ``count`` clusters, wherever they are."""
        low = max(start - self.first, 0)
        high = min(start - self.first + count, len(self.counts))
        if low < high:
            self.references[low:high] += self.references[low:high] < COUNT_MAX
            self.kinds[low:high] |= ALONE

    def excuse(self, clusters: Ints) -> None:
        """Take a refcount without a reference as right for these clusters."""
        places = clusters[self.inside(clusters)] - self.first
        idle = places[(self.references[places] == 0) & (self.counts[places] > 0)]
        self.references[idle] = 1


def add_counts(counts: Counts, places: Ints, weights: Ints | None) -> None:
    """Add to ``counts`` at ``places``, stopping at `COUNT_MAX`."""
    if not len(places):
        return
    low, high = int(places.min()), int(places.max()) + 1
    if high - low <= SPREAD_MAX * len(places):
        sums = np.bincount(places - low, weights, minlength=high - low)
        room = counts[low:high]
        room[:] = np.minimum(room + sums, COUNT_MAX)
        return
    unique, back = np.unique(places, return_inverse=True)
    counts[unique] = np.minimum(counts[unique] + np.bincount(back, weights), COUNT_MAX)
