"""Names for findings: the same in every run that finds the same thing in the same place."""

import xxhash

FINDING_ID_DIGITS = 10


def finding_id(
    repository: str, path: str, member: str, image_index: int | None, check: str, offset: int | None
) -> str:
    """Return a short name for bad evidence; ``repository`` says which repository it lies in."""
    parts = (repository, path, member, str(image_index), check, str(offset))
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    return xxhash.xxh3_64_hexdigest(text)[:FINDING_ID_DIGITS]
