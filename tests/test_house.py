"""House rules as tests: who may import whom, what `formats` may touch, how long things may be.

Each rule is a function from a parsed module to what breaks it, so that it can be tried on a module
that does.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 600

# All of these compute; none knows of files, threads, the clock, the log or the environment.
FORMATS_MAY_IMPORT = frozenset({
    "abc", "binascii", "bisect", "collections", "contextlib", "dataclasses", "datetime", "enum",
    "functools", "hashlib", "itertools", "json", "math", "operator", "re", "string", "struct",
    "types", "typing", "uuid", "xml", "zlib",
    "google_crc32c", "isal", "lz4", "numba", "numpy", "pyzstd", "xxhash",
    "formats",
})  # fmt: skip
# `formats/__init__.py` finds the formats, by name.
DISCOVERY_MAY_IMPORT = FORMATS_MAY_IMPORT | {"importlib", "pkgutil"}

CALLS_THAT_TOUCH_THE_WORLD = frozenset({
    "open", "print", "input", "exec", "eval", "breakpoint", "__import__",
    "uuid.uuid1", "uuid.uuid4",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
    "np.random.default_rng", "np.load", "np.save", "np.memmap", "np.fromfile",
})  # fmt: skip
CALLS_THAT_REMEMBER = frozenset({
    "functools.cache", "functools.lru_cache", "cache", "lru_cache",
})  # fmt: skip

# What each room of the scanner must not know of. Steering knows the steered, never the reverse.
STEERING = frozenset({"cli", "__main__", "service"})
ROOMS_MUST_NOT_IMPORT = {
    "judge": STEERING | {"engine", "ledger", "survey", "outlets"},  # but see OPEN_MODULES
    "survey": STEERING | {"engine", "ledger", "judge", "outlets"},
    "engine": STEERING | {"judge", "outlets"},
    "ledger": STEERING | {"engine", "survey", "outlets"},
    "outlets": STEERING | {"engine", "survey"},
    "service": frozenset({"cli", "__main__"}),
}
# Plain rows that pass between rooms; importing them is not looking inside.
OPEN_MODULES = ("scanner.ledger.rows",)
JUDGE_MUST_NOT_IMPORT = frozenset({
    "click", "rich", "os", "io", "pathlib", "shutil", "socket", "sqlite3", "sqlite_utils",
    "subprocess", "threading", "time", "logging",
})  # fmt: skip

MUTABLE_TYPES = frozenset({
    "list", "dict", "set", "bytearray", "defaultdict", "Counter", "deque", "OrderedDict",
})  # fmt: skip
IMMUTABLE_VIEWS = frozenset({"Mapping", "Sequence", "Collection", "Set", "Final"})


@dataclass(frozen=True)
class Module:
    """One file of ours: its dotted name and its syntax tree."""

    name: str
    text: str
    path: Path = Path()

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return self.name.split(".")[1] if "." in self.name else ""


def modules_of(package: str) -> list[Module]:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path.read_text("utf-8"), path))
    return found


FORMATS = modules_of("formats")
SCANNER = modules_of("scanner")
OURS = [*FORMATS, *SCANNER]


def named(modules: list[Module]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("module", modules, ids=lambda item: item.name)


def imports_of(module: Module) -> Iterator[str]:
    """Yield the dotted name of everything a module imports."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name}: relative import"
            yield from (f"{node.module}.{item.name}" for item in node.names)


def foreign_imports(module: Module) -> list[str]:
    """Return what a module of `formats` imports and may not."""
    allowed = DISCOVERY_MAY_IMPORT if module.name == "formats" else FORMATS_MAY_IMPORT
    return [name for name in imports_of(module) if name.split(".")[0] not in allowed]


def forbidden_calls(module: Module, forbidden: frozenset[str]) -> list[str]:
    """Return the forbidden functions that a module calls or decorates with."""
    names = [ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names += [ast.unparse(item) for item in node.decorator_list]
    return [name for name in names if name in forbidden]


def rooms_imported(module: Module) -> set[str]:
    """Return the scanner's rooms that a module imports."""
    names = [name for name in imports_of(module) if not name.startswith(OPEN_MODULES)]
    dotted = [name.split(".") for name in names]
    return {name[1] for name in dotted if name[0] == "scanner" and len(name) > 1}


def wrong_rooms(module: Module) -> set[str]:
    """Return the rooms a module imports and may not."""
    forbidden = ROOMS_MUST_NOT_IMPORT.get(module.room, frozenset())
    if module.room not in {"__main__", "cli"}:
        forbidden = forbidden | {"cli", "__main__"}
    return rooms_imported(module) & forbidden


def long_functions(module: Module) -> list[str]:
    """Return the functions that are longer than a screen or two."""
    return [
        node.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]


def mutable_state(module: Module) -> list[str]:
    """Return module-level names bound to something that can change, and every ``global``."""
    found = [ast.unparse(node) for node in ast.walk(module.tree) if isinstance(node, ast.Global)]
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                constant = name.startswith("__")
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                view = ast.unparse(annotation).split("[")[0].split(".")[-1]
                constant = view in IMMUTABLE_VIEWS and name.isupper()
            case _:
                continue
        if value is not None and is_mutable(value) and not constant:
            found.append(name)
    return found


def is_mutable(value: ast.expr) -> bool:
    """Whether an expression makes a fresh container that can change."""
    displays = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    if isinstance(value, displays):
        return True
    called = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
    return called.split(".")[-1] in MUTABLE_TYPES


def broad_handlers(module: Module) -> int:
    """Return how many handlers swallow what they cannot name.

    ``except BaseException`` is how something is undone before the error goes on; it counts where
    nothing is raised behind it, unless it is kept for another thread to raise.
    """
    handlers = [node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler)]
    return sum(is_broad(node) for node in handlers)


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether a handler swallows every exception."""
    caught = ast.unparse(handler.type) if handler.type else "Exception"
    goes_on = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    kept = caught == "BaseException" and handler.name is not None
    return caught in {"Exception", "BaseException"} and not goes_on and not kept


def cycles(edges: dict[str, set[str]]) -> set[str]:
    """Return the rooms that reach themselves."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = set(edges.get(start, ()))
        while ahead:
            room = ahead.pop()
            seen.add(room)
            ahead |= edges.get(room, set()) - seen
        return seen

    return {room for room in edges if room in reached(room)}


@named(FORMATS)
def test_formats_import_only_what_computes(module):
    assert foreign_imports(module) == []


@named(FORMATS)
def test_formats_touch_nothing_and_remember_nothing(module):
    assert forbidden_calls(module, CALLS_THAT_TOUCH_THE_WORLD | CALLS_THAT_REMEMBER) == []


@named(FORMATS)
def test_formats_name_what_they_catch(module):
    assert broad_handlers(module) == 0


@named(SCANNER)
def test_rooms_import_only_what_they_steer(module):
    assert wrong_rooms(module) == set()


@named([item for item in SCANNER if item.room == "judge"] or [Module("scanner.judge", "")])
def test_judge_is_pure(module):
    touched = {name.split(".")[0] for name in imports_of(module)}
    assert touched & JUDGE_MUST_NOT_IMPORT == set()
    assert forbidden_calls(module, CALLS_THAT_TOUCH_THE_WORLD) == []


def test_rooms_do_not_import_each_other_in_circles():
    edges: dict[str, set[str]] = {}
    for module in SCANNER:
        if module.room:
            edges.setdefault(module.room, set()).update(rooms_imported(module) - {module.room})
    assert cycles(edges) == set()


def test_everything_is_caught_in_one_place_only():
    catching = {item.name: broad_handlers(item) for item in SCANNER if broad_handlers(item)}
    assert sum(catching.values()) <= 1, catching
    assert all(name.startswith("scanner.engine") for name in catching), catching


@named(OURS)
def test_functions_fit_a_reader(module):
    assert long_functions(module) == []


@named(OURS)
def test_files_fit_a_reader(module):
    assert len(module.text.splitlines()) <= FILE_LINES_MAX


@named(OURS)
def test_modules_hold_no_state(module):
    assert mutable_state(module) == []


@named(OURS)
def test_every_module_says_what_it_is(module):
    assert not module.tree.body or ast.get_docstring(module.tree)


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "import io",
        "import threading",
        "import time",
        "import logging",
        "import socket",
        "import sqlite3",
        "import mmap",
        "import pickle",
        "import subprocess",
        "import pathlib",
        "from scanner.config import Settings",
        "import importlib",
    ],
)
def test_foreign_import_is_seen(line):
    assert foreign_imports(Module("formats.toy", line))
    assert foreign_imports(Module("formats.toy", f"def inside():\n    {line}"))


@pytest.mark.parametrize(
    "text",
    [
        "open('x')",
        "value = datetime.now(UTC)",
        "@functools.lru_cache\ndef kept(): pass",
        "@cache\ndef kept(): pass",
        "@lru_cache(maxsize=1)\ndef kept(): pass",
    ],
)
def test_forbidden_call_is_seen(text):
    module = Module("formats.toy", text)
    assert forbidden_calls(module, CALLS_THAT_TOUCH_THE_WORLD | CALLS_THAT_REMEMBER)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scanner.judge.rules", "from scanner.engine.work import Unit"),
        ("scanner.judge.rules", "from scanner.ledger import writer"),
        ("scanner.judge.rules", "from scanner import ledger"),
        ("scanner.engine.work", "import scanner.cli"),
        ("scanner.progress", "from scanner.cli import main"),
        ("scanner.service.daemon", "from scanner.cli import main"),
    ],
)
def test_import_against_the_direction_is_seen(name, text):
    assert wrong_rooms(Module(name, text))


def test_judge_may_import_plain_rows():
    assert not wrong_rooms(Module("scanner.judge.rules", "from scanner.ledger.rows import FileRow"))


def test_main_may_import_the_commands():
    assert not wrong_rooms(Module("scanner.__main__", "from scanner.cli import main"))


@pytest.mark.parametrize(
    "text",
    [
        "seen = []",
        "SEEN = {}",
        "SEEN: dict[str, int] = {}",
        "seen: Mapping[str, int] = {}",
        "counts = collections.Counter()",
        "def count():\n    global total\n    total = 1",
    ],
)
def test_state_is_seen(text):
    assert mutable_state(Module("formats.toy", text))


def test_constants_are_no_state():
    text = "__all__ = ['one']\nNAMES: Mapping[int, str] = {1: 'one'}\nKNOWN = frozenset({1})\n"
    assert not mutable_state(Module("formats.toy", text))


def test_long_function_is_seen():
    lines = ["def long():", *["    pass"] * FUNCTION_LINES_MAX]
    assert long_functions(Module("formats.toy", "\n".join(lines)))
    assert not long_functions(Module("formats.toy", "\n".join(lines[:-1])))


def test_broad_handler_is_seen():
    for caught in ("", " Exception", " Exception as error", " BaseException"):
        assert broad_handlers(Module("formats.toy", f"try:\n    pass\nexcept{caught}:\n    pass"))
    undoing = "try:\n    pass\nexcept BaseException:\n    undo()\n    raise"
    assert not broad_handlers(Module("scanner.toy", undoing))


def test_circle_is_seen():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c"}
    assert cycles({"a": {"b"}, "b": {"c"}}) == set()
