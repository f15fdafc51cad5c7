"""The JSON Schema of the document, generated from its types.

``python -m scanner.outlets.json_schema`` prints it; ``schema-v1.json`` beside this file is that
text, and a test compares the two. A line of ``--ndjson`` is the definition its ``type`` names, with
``type`` and ``v`` added.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from scanner.outlets.ndjson import LINES
from scanner.outlets.shapes import VERSION, Document

FILE_NAME = f"schema-v{VERSION}.json"


def schema() -> dict[str, Any]:  # JSON Schema is itself any JSON
    """Return the schema of one document; lines of NDJSON are among its definitions."""
    (top,), definitions = msgspec.json.schema_components([Document], ref_template="#/$defs/{name}")
    _, line_definitions = msgspec.json.schema_components(
        list(LINES.values()), ref_template="#/$defs/{name}"
    )
    every: Mapping[str, Any] = {**definitions, **line_definitions}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"bakproof document, version {VERSION}",
        **top,
        "$defs": dict(sorted(every.items())),
    }


def text() -> str:
    """Return the schema as it is shipped."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
