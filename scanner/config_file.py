"""Find the configuration and read it: the only code that opens the file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from scanner.config import CONFIG_BYTES_MAX
from scanner.errors import ConfigError
from scanner.expectations import Expectations, parse

VARIABLE = "BAKPROOF_CONFIG"
SYSTEM_FILE = Path("/etc/bakproof/config.toml")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What holds, and the file that says so; None where there is none and the defaults hold."""

    file: Path | None
    expectations: Expectations


def default_files() -> tuple[Path, ...]:
    """Return where a configuration is looked for if nobody names one; the first is used."""
    return (platformdirs.user_config_path("bakproof", appauthor=False) / "config.toml", SYSTEM_FILE)


def load(explicit: Path | None, environment: Mapping[str, str]) -> Configuration:
    """Return the configuration. Raises `ConfigError` where one is named and cannot be used.

    A file that nobody named need not be there; where it is, it must be right.
    """
    named = explicit or environment.get(VARIABLE) or None
    if named is not None:
        return read(Path(named))
    for file in default_files():
        # Not `exists`: that says no where it may not look, and the file would be passed over.
        try:
            file.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(str(file), [str(error.strerror)]) from error
        return read(file)
    return Configuration(None, Expectations())


def read(file: Path) -> Configuration:
    """Read one file."""
    name = str(file)
    try:
        with file.open("rb") as opened:
            content = opened.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(name, [str(error.strerror)]) from error
    if len(content) > CONFIG_BYTES_MAX:
        problem = f"expected at most {CONFIG_BYTES_MAX} bytes, found more"
        raise ConfigError(name, [problem])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"no UTF-8 at 0x{error.start:x}: found byte 0x{content[error.start]:02x}"
        raise ConfigError(name, [problem]) from error
    return Configuration(Path(os.path.abspath(file)), parse(text, name))  # noqa: PTH100 - links stay
