"""What one run of the benchmarks is told. Sizes are bytes, times seconds."""

from dataclasses import dataclass
from pathlib import Path

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

SEED = 20_240_229
"""All generated content follows from it."""


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes and limits of one run.

    ``work`` is where files are made. ``keep`` leaves them there for the next run. ``states`` are
    the states of the page cache to measure in. ``drop_all`` allows to empty the whole machine's
    cache, where that is permitted; otherwise only the measured files are dropped from it.
    """

    work: Path
    size: int = 4 * GIB
    repeat: int = 5
    keep: bool = False
    files: int = 50_000
    images: int = 100_000
    sparse: int = TIB
    kernel_seconds: float = 0.05
    kernel_buffers: tuple[int, ...] = (64 * KIB, 256 * KIB, MIB, 4 * MIB)
    states: tuple[str, ...] = ("warm", "cold")
    drop_all: bool = True
