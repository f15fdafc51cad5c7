"""Formats that are records only: what tables and explanations say of a format."""

from formats.core.model import Format, WriteModel, no_conclusion, no_extents


def toy_format(name: str, **changes: object) -> Format:
    """Return a format that recognises nothing."""
    fields: dict[str, object] = {
        "name": name,
        "title": name.title(),
        "suffixes": (f".{name}",),
        "references": (),
        "revision": 1,
        "write_model": WriteModel.WRITE_ONCE,
        "integrity": "a sum | per block",
        "limitations": "",
        "samples": "Toy 1.0",
        "checks": {f"{name}.header.magic": "the first bytes are right"},
        "probe": lambda _source: False,
        "inspect": lambda _source, _neighbours: (),
        "extents": no_extents,
        "conclude": no_conclusion,
        "supported": True,
    }
    return Format(**(fields | changes))  # type: ignore[arg-type]
