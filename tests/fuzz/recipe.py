"""A fuzzer's input: which seed file, and a short list of damages done to it.

Seeds are megabytes and a fuzzer thinks in a few hundred bytes, so its input names a seed and says
what to change. Any bytes are a recipe; decoding never fails.

    byte 0      number of the seed; 255: what follows byte 1 is the file itself
    byte 1      bit 0: make the sums of touched structures right again
    14 bytes    a damage each: kind, argument, place (u32), value (u64)
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random

from formats.core.model import Source
from formats.core.source import BytesSource, Window
from tests.fuzz.seals import resealed
from tests.fuzz.seeds import Seed
from tests.sources import Extended, Overlay
from tests.strategies import extremes

RAW = 255
HEAD_BYTES = 2
STEP = struct.Struct("<BBIQ")
STEPS_MAX = 12
WIDTHS = (2, 4, 8)
PIECE_BYTES_MAX = 1 << 16
GROWTH_BYTES_MAX = 64 << 20
BLIND_SHARE = 0.2
SMALL_MAX = 32


class Damage(IntEnum):
    """What one step does."""

    PUT = 0  # a number of 2, 4 or 8 bytes in either order
    ADD = 1  # to such a number
    FLIP = 2  # one bit
    FILL = 3  # a range with one byte
    COPY = 4  # a range over another
    CUT = 5  # the end off
    GROW = 6  # a hole behind the end
    REMOVE = 7  # a range, so that all behind it moves
    INSERT = 8  # zeros


LIKELY = (*[Damage.PUT] * 8, *[Damage.ADD] * 3, *[Damage.FLIP] * 3, *Damage)


@dataclass(frozen=True)
class Step:
    """One damage, as it stands in a recipe."""

    kind: int
    argument: int
    place: int
    value: int

    @property
    def width(self) -> int:
        return WIDTHS[(self.argument & 0x7F) % len(WIDTHS)]

    @property
    def order(self) -> str:
        return "big" if self.argument & 0x80 else "little"

    @property
    def length(self) -> int:
        return min(1 << (self.argument % 17), PIECE_BYTES_MAX)


class Spliced:
    """Another source with a range taken out and zeros put in."""

    def __init__(self, source: Source, at: int, removed: int, inserted: int) -> None:
        self._source = source
        self._at = at
        self._inserted = inserted
        self._shift = inserted - removed
        self.size = source.size + self._shift

    def read_at(self, offset: int, length: int) -> bytes:
        """Put the three parts together."""
        window = Window(self, offset, length)  # for its range check
        end, middle = offset + window.size, self._at + self._inserted
        head = self._part(offset, min(end, self._at), 0)
        zeros = bytes(max(0, min(end, middle) - max(offset, self._at)))
        return head + zeros + self._part(max(offset, middle), end, -self._shift)

    def _part(self, start: int, end: int, shift: int) -> bytes:
        return self._source.read_at(start + shift, end - start) if start < end else b""


@dataclass
class Bench:
    """A file under damage: its bytes so far, and the ranges touched."""

    source: Source
    touched: list[tuple[int, int]] = field(default_factory=list)
    steady_bytes: int = 1 << 62

    def patch(self, offset: int, content: bytes) -> None:
        content = content[: self.source.size - offset]
        self.source = Overlay(self.source, {offset: content})
        self.touched.append((offset, offset + len(content)))

    def splice(self, at: int, removed: int, inserted: int) -> None:
        self.steady_bytes = min(self.steady_bytes, at)
        self.source = Spliced(self.source, at, removed, inserted)


def decode(content: bytes, seeds: Sequence[Seed]) -> tuple[Seed | None, Source]:
    """Return the file a recipe makes, and the seed it is made of."""
    number, flags = (*content[:HEAD_BYTES], 0, 0)[:HEAD_BYTES]
    if number == RAW or not seeds:
        return None, BytesSource(content[HEAD_BYTES:])
    seed = seeds[number % len(seeds)]
    bench = Bench(seed.source)
    for step in steps_of(content):
        if bench.source.size:
            apply(bench, step)
    seals = [item for item in seed.seals if item.offset + item.length <= bench.steady_bytes]
    return seed, resealed(bench.source, seals if flags & 1 else (), bench.touched)


def steps_of(content: bytes) -> Iterator[Step]:
    """Yield the steps; what is left over is ignored."""
    body = content[HEAD_BYTES : HEAD_BYTES + STEP.size * STEPS_MAX]
    for fields in STEP.iter_unpack(body[: len(body) // STEP.size * STEP.size]):
        yield Step(*fields)


def apply(bench: Bench, step: Step) -> None:
    """Do one damage."""
    size = bench.source.size
    at = step.place % size
    left = min(step.length, size - at)
    match step.kind % len(Damage):
        case Damage.PUT:
            bench.patch(at, (step.value % (1 << 8 * step.width)).to_bytes(step.width, step.order))
        case Damage.ADD:
            bench.patch(at, added(bench.source.read_at(at, min(step.width, size - at)), step))
        case Damage.FLIP:
            (byte,) = bench.source.read_at(at, 1)
            bench.patch(at, bytes([byte ^ 1 << step.argument % 8]))
        case Damage.FILL:
            bench.patch(at, bytes([step.value & 0xFF]) * left)
        case Damage.COPY:
            start = step.value % size
            bench.patch(at, bench.source.read_at(start, min(left, size - start)))
        case Damage.CUT:
            bench.source = Window(bench.source, 0, at)
        case Damage.GROW:
            bench.source = Extended(bench.source, size + step.value % GROWTH_BYTES_MAX)
        case Damage.REMOVE:
            bench.splice(at, left, 0)
        case Damage.INSERT:
            bench.splice(at, 0, step.length)


def added(stored: bytes, step: Step) -> bytes:
    """Return a number changed by less than 128."""
    delta = (step.value & 0xFF) - 128
    value = int.from_bytes(stored, step.order) + delta
    return (value % (1 << 8 * len(stored))).to_bytes(len(stored), step.order)


def mutate(content: bytes, seeds: Sequence[Seed], random: Random) -> bytes:
    """Change a recipe: another seed or flag, one step more, one less, or another one."""
    number, flags = (*content[:HEAD_BYTES], 0, 0)[:HEAD_BYTES]
    steps = list(steps_of(content))
    roll = random.random()
    if roll < 0.05:
        number = random.randrange(len(seeds))
    elif roll < 0.15:
        flags ^= 1
    elif steps and roll < 0.3:
        steps.pop(random.randrange(len(steps)))
    else:
        keep = len(steps) >= STEPS_MAX or (steps and random.random() < 0.4)
        if keep:
            steps.pop(random.randrange(len(steps)))
        steps.append(random_step(seeds[number % len(seeds)], steps, random))
    return bytes([number, flags]) + b"".join(
        STEP.pack(item.kind, item.argument, item.place, item.value) for item in steps
    )


def random_step(seed: Seed, steps: Sequence[Step], random: Random) -> Step:
    """Return a damage where structures stand, with a number at which code goes wrong."""
    kind, argument = random.choice(LIKELY), random.randrange(256)
    return Step(kind, argument, random_place(seed, steps, random), random_value(seed, random))


def random_place(seed: Seed, steps: Sequence[Step], random: Random) -> int:
    """Return an aligned place: where something was found, at an edge, near another damage."""
    size = max(1, seed.source.size)
    choices: list[Callable[[], int]] = [
        lambda: random.choice(seed.hot),
        lambda: random.choice(seed.hot),
        lambda: random.randrange(min(size, 256 << 10)) & ~3,
        lambda: max(0, size - 4 - (random.randrange(min(size, 64 << 10)) & ~3)),
        lambda: random.randrange(size) & ~7,
    ]
    if steps:
        near = random.choice(steps).place
        choices += [lambda: max(0, near + 4 * random.randrange(-8, 9))] * 2
    return random.choice(choices)() & 0xFFFFFFFF


def random_value(seed: Seed, random: Random) -> int:
    """Return an extreme number, a small one, or one that is a place in the file."""
    size = seed.source.size
    place = random.choice(seed.hot)
    unit = random.choice((1, 512, 4096, 65536, 1 << 20))
    choices = (
        random.choice(sorted(extremes(random.choice(WIDTHS)))),
        random.randrange(SMALL_MAX),
        1 << random.randrange(64),
        max(0, size // unit + random.randrange(-1, 2)),
        place // unit,
        place // unit * unit,
        random.getrandbits(64),
    )
    return random.choice(choices)
