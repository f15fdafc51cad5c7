"""Which version of the program this is."""

from importlib import metadata


def version() -> str:
    """Return the installed version; unknown where the program runs from its source tree."""
    try:
        return metadata.version("bakproof")
    except metadata.PackageNotFoundError:
        return "unknown"
