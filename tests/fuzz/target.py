"""The loop a fuzzer runs: recipe in, file made, format driven, findings written down.

Findings do not end the loop: each is kept once, under a name made of where it went wrong.
"""

import hashlib
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from formats.core.model import Format, Source
from tests.fuzz import findings, recipe
from tests.fuzz.seeds import Seed, seeds_of, subject_named
from tests.fuzz.trial import alarm, put_to_trial
from tests.strategies import seeded

MEMORY_BYTES_MAX = 256 << 20
INPUT_BYTES_MAX = 4096
PAGE_BYTES = resource.getpagesize()
RAW_HEAD_BYTES = 1024


@dataclass
class Target:
    """One format under fuzzing."""

    subject: Format
    seeds: tuple[Seed, ...]
    crashes: Path
    recipes: Path
    seen: set[str] = field(default_factory=set)

    def one_input(self, content: bytes) -> None:
        """Try one recipe."""
        seed, source = recipe.decode(content, self.seeds)
        neighbours = None if seed is None else seed.neighbours
        try:
            with limited_memory(), alarm():
                put_to_trial(self.subject, source, neighbours)
        except Exception as error:  # noqa: BLE001 - any exception is what is looked for
            self.keep(error, source, "raw bytes" if seed is None else seed.label, content)

    def keep(self, error: Exception, source: Source, label: str, content: bytes) -> None:
        """Write a finding down, and say so, unless it is known."""
        name = findings.signature(error)
        if name in self.seen:
            return
        self.seen.add(name)
        told = f"{self.subject.name}, from {label}, recipe {content.hex()}"
        if path := findings.keep(self.crashes, error, source, told):
            print(f"found: {path}", file=sys.stderr, flush=True)  # noqa: T201

    def mutate(self, content: bytes, random: Random, blind: Callable[[bytes], bytes]) -> bytes:
        """Change a recipe, now and then without understanding it."""
        raw = content[:1] == bytes([recipe.RAW])
        if raw or random.random() < recipe.BLIND_SHARE:
            return blind(content)
        return recipe.mutate(content, self.seeds, random)

    def first_recipes(self) -> None:
        """Write one recipe per seed that changes nothing, and one with its head as raw bytes."""
        self.recipes.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(self.seeds):
            head = seed.source.read_at(0, min(seed.source.size, RAW_HEAD_BYTES))
            (self.recipes / f"seed-{number}").write_bytes(bytes([number, 1]))
            (self.recipes / f"head-{number}").write_bytes(bytes([recipe.RAW, 0]) + head)


def target_named(name: str, workshop: Path, label: str = "") -> Target:
    """Return a target whose findings and recipes lie in ``workshop``.

    With a ``label`` only seeds that have it in theirs are used. Recipes name seeds by number, so
    each choice of seeds has recipes of its own.
    """
    subject = subject_named(name)
    seeds = tuple(item for item in seeds_of(subject) if label in item.label)
    assert seeds, f"no seed of {name} is called {label!r}"
    folder = workshop / name
    labels = "\n".join(item.label for item in seeds)
    chosen = hashlib.sha256(labels.encode()).hexdigest()[:8]
    target = Target(subject, seeds, folder / "crashes", folder / f"recipes-{chosen}")
    target.first_recipes()
    return target


@contextmanager
def limited_memory() -> Iterator[None]:
    """Let allocations fail that go far beyond what the process has now."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * PAGE_BYTES + MEMORY_BYTES_MAX
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def mutator(target: Target, blind: Callable[[bytes, int], bytes]) -> Callable[..., bytes]:
    """Return a custom mutator as libFuzzer wants it."""

    def mutate(content: bytes, max_size: int, seed: int) -> bytes:
        changed = target.mutate(content, seeded(seed), lambda plain: blind(plain, max_size))
        return changed[:max_size]

    return mutate
