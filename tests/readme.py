"""The generated parts of README.md; ``python -m tests.readme`` brings them up to date."""

from collections.abc import Callable, Mapping
from pathlib import Path

import formats
from scanner.ledger.views import views_markdown
from scanner.outlets.exit_codes import MEANINGS
from scanner.outlets.formats_table import markdown

README = Path(__file__).parents[1] / "README.md"
DEMO_OUTPUT = Path(__file__).parent / "scanner" / "outlets" / "golden" / "demo.txt"


def exit_codes() -> str:
    """Return the table of exit codes."""
    rows = [f"| {code} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["| code | means |", "|---|---|", *rows]) + "\n"


def demo() -> str:
    """Return the first finding of the demonstration, as a test of the command line keeps it."""
    first, _ = DEMO_OUTPUT.read_text("utf-8").split("\n\n", 1)
    return f"```\n{first}\n```\n"


PARTS: Mapping[str, Callable[[], str]] = {
    "demo": demo,
    "exit codes": exit_codes,
    "formats": lambda: markdown(formats.FORMATS),
    "views": views_markdown,
}


def brought_up_to_date(text: str) -> str:
    """Return the README with every generated part made anew."""
    for name, part in PARTS.items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n{part()}\n{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(brought_up_to_date(README.read_text("utf-8")), "utf-8")
