"""One JSON object a line: files while they are read, then the parts of the document."""

import threading
from collections.abc import Callable, Iterator, Mapping

import msgspec

from scanner.outlets import document, wording
from scanner.outlets.report import Report
from scanner.outlets.shapes import (
    VERSION,
    ChainOut,
    FileOut,
    ImageOut,
    NoteOut,
    OtherOut,
    RepositoryOut,
    RunOut,
    SourceOut,
    SummaryOut,
    WarningOut,
)
from scanner.results import FileResult

LINES: Mapping[str, type[msgspec.Struct]] = {
    "file": FileOut,
    "note": NoteOut,
    "run": RunOut,
    "repository": RepositoryOut,
    "image": ImageOut,
    "chain": ChainOut,
    "source": SourceOut,
    "other": OtherOut,
    "warning": WarningOut,
    "summary": SummaryOut,
}
"""What each ``type`` of line holds."""


def line(out: msgspec.Struct) -> bytes:
    """Return one line: the type's name, the version, and the fields."""
    kind = next(name for name, shape in LINES.items() if isinstance(out, shape))
    return msgspec.json.encode({"type": kind, "v": VERSION, **msgspec.structs.asdict(out)}) + b"\n"


def lines(report: Report) -> Iterator[bytes]:
    """Return everything a report says, the summary last."""
    whole = document.build(report)
    if whole.run is not None:
        yield line(whole.run)
    parts = (
        whole.repositories,
        whole.images,
        whole.chains,
        whole.sources,
        whole.others,
        whole.warnings,
    )
    for part in parts:
        yield from map(line, part)
    yield from (line(NoteOut(text=note)) for note in whole.notes)
    yield line(whole.summary)


def file_out(result: FileResult) -> FileOut:
    """Return the event of one file."""
    evidence = [*result.evidence, *(row for image in result.images for row in image.evidence)]
    return FileOut(
        path=wording.encodable(result.path),
        format=result.format,
        state=result.state,
        images=len(result.images),
        findings=sum(row.bad for row in evidence),
        file_bytes=result.stamps.size,
        bytes_read=result.bytes_read,
        bug=None if result.traceback is None else wording.encodable(result.traceback),
    )


class FileEvents:
    """A watcher that writes one line for each file as it is done."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._lock = threading.Lock()

    def surveyed(self, files: int, bytes_to_read: int) -> None:
        """Ignore."""

    def started(self, path: str, size: int) -> None:
        """Ignore."""

    def read(self, path: str, length: int) -> None:
        """Ignore."""

    def finished(self, result: FileResult) -> None:
        """Write the file's line."""
        with self._lock:
            self._write(line(file_out(result)))

    def note(self, text: str) -> None:
        """Ignore: the report repeats every note."""
