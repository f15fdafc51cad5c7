"""What a fuzzer found, as files: the damaged file, and the traceback beside it."""

import hashlib
import lzma
import re
import traceback
from pathlib import Path

from formats.core.model import Source

STORED_BYTES_MAX = 64 << 20
PIECE_BYTES = 1 << 20
ROOT = str(Path(__file__).parents[2])


def signature(error: BaseException) -> str:
    """Return a name for what went wrong: the kind of error and where; for a promise, which one."""
    frames = [item for item in traceback.extract_tb(error.__traceback__) if ROOT in item.filename]
    own = [item for item in frames if item.filename.startswith(f"{ROOT}/formats/")]
    # A broken promise shows in the contract; what the code did wrong is told by the check's id.
    broken = isinstance(error, AssertionError) and (not own or frames[-1] is not own[-1])
    place = frames[-1] if broken or not own else own[-1]
    module = Path(place.filename).relative_to(ROOT).with_suffix("")
    check = re.search(r"check='([^']+)'", str(error))
    parts = [type(error).__name__, *module.parts[1:], f"{place.name}_{place.lineno}"]
    return "-".join([*parts, check[1]] if check else parts)


def keep(folder: Path, error: BaseException, source: Source, told: str) -> Path | None:
    """Write a finding down unless one like it is there; return its path if it is new."""
    name = signature(error)
    path = folder / f"{name}.bin.xz"
    if path.exists() or source.size > STORED_BYTES_MAX:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(traceback.format_exception(error))
    path.with_name(f"{name}.txt").write_text(f"{told}\n\n{text}", "utf-8")
    write(path, source)
    return path


def write(path: Path, source: Source) -> None:
    """Write a source compressed."""
    with lzma.open(path, "wb", preset=1) as file:
        for offset in range(0, source.size, PIECE_BYTES):
            file.write(source.read_at(offset, min(PIECE_BYTES, source.size - offset)))


def digest(source: Source) -> str:
    """Return a short name for the bytes."""
    whole = hashlib.sha256()
    for offset in range(0, source.size, PIECE_BYTES):
        whole.update(source.read_at(offset, min(PIECE_BYTES, source.size - offset)))
    return whole.hexdigest()[:12]
