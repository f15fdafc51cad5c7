"""How a format reaches a second file: inside the repository, read-only, a bounded number."""

import os
from collections.abc import Sequence
from pathlib import Path

from formats.core.model import Source
from scanner.engine.storage import Opener, Storage

NAMES_MAX = 100_000
OPEN_MAX = 64


class FolderNeighbours:
    """The files around one file. Close it when the format has done with them."""

    def __init__(self, folder: Path, root: Path, opener: Opener) -> None:
        self._folder = folder
        self._root = root
        self._opener = opener
        self._opened: list[Storage] = []

    def names(self) -> Sequence[str]:
        """Return the names of the files in the folder, sorted."""
        names = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    names.append(entry.name)
                if len(names) >= NAMES_MAX:
                    break
        return sorted(names)

    def open(self, name: str) -> Source | None:
        """Open a file by its name relative to the folder.

        None where there is none, where it lies outside the repository, or behind a link.
        """
        if len(self._opened) >= OPEN_MAX:
            return None
        path = Path(os.path.normpath(self._folder / name))
        if not path.is_relative_to(self._root):
            return None
        try:
            if not Path(os.path.realpath(path)).is_relative_to(self._root):
                return None
            storage = self._opener(path)
        except (OSError, ValueError):  # a name that no file can have is a ValueError
            return None
        self._opened.append(storage)
        return storage

    def close(self) -> None:
        """Give all opened files back."""
        for storage in self._opened:
            storage.close()
        self._opened.clear()
