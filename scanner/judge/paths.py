"""What each image owes to the images it needs: the worst ruling along its path of parents.

Every image is looked at a fixed number of times however long the paths are: images that need one
another in a circle are found first (Tarjan's strongly connected components, without recursion),
and they come out parents before children.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from scanner.judge.model import Ruling, Verdict

Links: TypeAlias = Mapping[int, Sequence[int]]
"""Which images each image needs, by key; every key is there."""

CYCLE = Ruling(Verdict.INCOMPLETE, "parent-cycle")


def along_paths(own: Mapping[int, Ruling], links: Links) -> dict[int, tuple[Ruling, int]]:
    """Return the ruling that decides about each image, and whose it is.

    The image itself decides unless a parent is worse; of equally bad ones the nearest does. Images
    in a circle can be restored by none of them, nor can what needs them.
    """
    decided: dict[int, tuple[Ruling, int]] = {}
    for group in circles(links):
        inside = frozenset(group)
        circular = len(group) > 1 or group[0] in links[group[0]]
        for key in group:
            worst = (own[key], key)
            if circular and own[key].verdict < CYCLE.verdict:
                worst = (CYCLE, key)
            for parent in links[key]:
                if parent not in inside and decided[parent][0].verdict > worst[0].verdict:
                    worst = decided[parent]
            decided[key] = worst
        if len(group) > 1:
            spread(group, decided)
    return decided


def spread(group: Sequence[int], decided: dict[int, tuple[Ruling, int]]) -> None:
    """Let the worst ruling in a circle decide about all of it."""
    worst = max(group, key=lambda key: (decided[key][0].verdict, -key))
    for key in group:
        if decided[key][0].verdict < decided[worst][0].verdict:
            decided[key] = decided[worst]


@dataclass
class Search:
    """The state of the search for circles."""

    number: dict[int, int] = field(default_factory=dict)
    lowest: dict[int, int] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    on_stack: set[int] = field(default_factory=set)

    def enter(self, key: int) -> None:
        """Meet an image for the first time."""
        self.number[key] = self.lowest[key] = len(self.number)
        self.waiting.append(key)
        self.on_stack.add(key)

    def leave(self, key: int) -> list[int]:
        """Return the circle an image closes, smallest key first; nothing if it closes none."""
        if self.lowest[key] != self.number[key]:
            return []
        group: list[int] = []
        while not group or group[-1] != key:
            group.append(self.waiting.pop())
            self.on_stack.discard(group[-1])
        return sorted(group)


def circles(links: Links) -> Iterator[list[int]]:
    """Yield groups of images that need one another, parents first; most groups are one image."""
    search = Search()
    for start in links:
        if start in search.number:
            continue
        if all(parent in search.number for parent in links[start]):
            # Whatever it needs was met, with all that needs: it is in no circle.
            search.number[start] = len(search.number)
            yield [start]
            continue
        search.enter(start)
        path = [(start, iter(links[start]))]
        while path:
            key, parents = path[-1]
            parent = next(parents, None)
            if parent is None:
                path.pop()
                if path:
                    above = path[-1][0]
                    search.lowest[above] = min(search.lowest[above], search.lowest[key])
                if group := search.leave(key):
                    yield group
            elif parent not in search.number:
                search.enter(parent)
                path.append((parent, iter(links[parent])))
            elif parent in search.on_stack:
                search.lowest[key] = min(search.lowest[key], search.number[parent])
