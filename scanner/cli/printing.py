"""Write results to standard output, whoever reads it and however it is encoded."""

import os
import sys

import msgspec
from rich.console import RenderableType

from scanner.outlets import document, text


def write_bytes(content: bytes) -> None:
    """Write to standard output. A reader that went away (``| head``) is no error."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends; give it something that takes it.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def write_struct(out: msgspec.Struct) -> None:
    """Write one JSON document."""
    write_bytes(document.encode(out))


def write_text(said: str) -> None:
    """Write text; what the terminal's encoding lacks is shown as an escape."""
    write_bytes(said.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def write_rendered(rendered: RenderableType) -> None:
    """Write a report for people, folded and coloured as far as standard output allows."""
    write_text(text.as_lines(rendered, text.console(sys.stdout)))
