"""Backup formats: bytes in, facts out. Nothing here opens a file, logs, or knows the time.

Every module of this package that has a ``FORMAT`` (or a tuple ``FORMATS``) is found on import; a
new format is one new file.
"""

import importlib
import pkgutil
from collections.abc import Mapping

from formats.core.model import Format, Source

__all__ = ["FORMATS", "by_name", "identify", "suffixes"]


def _discover() -> tuple[Format, ...]:
    found: list[Format] = []
    for module_info in pkgutil.iter_modules(__path__):
        if module_info.name == "core":
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        single = getattr(module, "FORMAT", None)
        found.extend(getattr(module, "FORMATS", ()) if single is None else (single,))
    # Formats that are read come before those that are only recognised.
    return tuple(sorted(found, key=lambda item: (not item.supported, item.name)))


FORMATS = _discover()


def identify(source: Source) -> Format | None:
    """Return the format of ``source`` by its content, or None."""
    # A repository may hold a million files of no format at all: most probes need not be asked.
    first = source.read_at(0, 1)[0] if source.size else None
    likely = (item for item in FORMATS if item.first_bytes is None or first in item.first_bytes)
    return next((item for item in likely if item.probe(source)), None)


def by_name(name: str) -> Format | None:
    """Return the format called ``name``, or None."""
    return next((item for item in FORMATS if item.name == name), None)


def suffixes() -> Mapping[str, tuple[Format, ...]]:
    """Map each file name suffix to the formats usually seen under it.

    A suffix decides nothing; it lets the survey say "named like a VHD, but is none".
    """
    known = sorted({suffix for item in FORMATS for suffix in item.suffixes})
    return {suffix: tuple(item for item in FORMATS if suffix in item.suffixes) for suffix in known}
