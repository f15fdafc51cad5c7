"""How programs name their backups: a pattern for whole names, and what its groups mean."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from formats.core.model import Kind
from scanner.judge.names.words import (
    BLANKS,
    SUFFIX_KINDS,
    WORDS,
    Found,
    by_words,
    stamp_of,
    without_suffixes,
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """A pattern for whole names without their folder, and what its groups mean.

    ``suffixes`` are those it can end in, in lower case; none stands for any.
    """

    name: str
    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], Found | None]
    suffixes: frozenset[str]


def by_program(name: str, path: str) -> tuple[str, Found] | None:
    """Read a name by the first program's grammar that fits it."""
    suffix = name.rpartition(".")[2].lower()
    for grammar in GRAMMARS:
        if grammar.suffixes and suffix not in grammar.suffixes:
            continue
        match = grammar.pattern.fullmatch(path if grammar.name == "windows-image" else name)
        found = grammar.read(match) if match else None
        if found is not None:
            return grammar.name, found
    return None


def macrium(found: re.Match[str]) -> Found:
    """``IMAGEID[-text]-II-FF``: increment and file of the set (Macrium's knowledge base).

    Number 0 is the full. Whether another one is an incremental or a differential the name does not
    tell: to need the one before it is the stricter reading. The text names the job, so its words
    say nothing of this file. Without one each set stands alone: machines may share the folder.
    """
    job = by_words(found["text"] or "", (), "").stem
    kind = Kind.FULL if int(found["increment"]) == 0 else Kind.INCREMENTAL
    return Found(job or found["set"], kind, found["set"].upper(), int(found["file"]))


def veeam(found: re.Match[str]) -> Found | None:
    """``<job or machine>[D]<time>[_XXXX]``: newer programs write both the D and the suffix."""
    at = stamp_of(found["at"])
    if at is None:
        return None
    stem = found["stem"].removesuffix("D") if found["tail"] else found["stem"]
    suffix = found["suffix"].lower()
    return Found(stem.rstrip(BLANKS), SUFFIX_KINDS[suffix], at=at, backwards=suffix == "vrb")


def vzdump(found: re.Match[str]) -> Found | None:
    """``vzdump-qemu-100-<time>``: always a full; the number is the guest's (Proxmox VE)."""
    at = stamp_of(found["at"])
    return Found(found["stem"], Kind.FULL, at=at) if at else None


def acronis(found: re.Match[str]) -> Found:
    """``<name>_<kind>_b<chain>_s<slice>_v<volume>``: slices are numbered from the full on, 1."""
    stem, kind = found["stem"], WORDS[found["kind"].lower()]
    return Found(stem, kind, f"b{int(found['chain'])}", int(found["slice"]))


def acronis_archive(found: re.Match[str]) -> Found:
    """``<name>[-NNNN].tibx``: files of one archive, full and incrementals mixed."""
    return Found(found["stem"], number=int(found["number"]))


def shadowprotect(found: re.Match[str]) -> Found:
    """``<volume>-bNNN[-dNNN][-iNNN][-cX]``: base, differential and incremental numbers (vendor).

    An incremental on a differential is of a set of its own, whose start is that differential.
    """
    differential, incremental = int(found["d"] or 0), int(found["i"] or 0)
    base = f"b{int(found['b'])}"
    if incremental:
        set_id = f"{base}-d{differential}" if differential else base
        return Found(found["stem"], Kind.INCREMENTAL, set_id, incremental)
    kind = Kind.DIFFERENTIAL if differential else Kind.FULL
    return Found(found["stem"], kind, base, differential)


def veritas(found: re.Match[str]) -> Found:
    """``<name>NNN[_iMMM][_Sxx]``: base number, incremental number (Veritas)."""
    number = int(found["i"] or 0)
    kind = Kind.INCREMENTAL if number else Kind.FULL
    return Found(found["stem"].rstrip(BLANKS), kind, found["base"], number)


def urbackup(found: re.Match[str]) -> Found | None:
    """``Image_<volume>_YYMMDD-HHMM`` (UrBackup, ImageBackup.cpp); the kind is not in the name."""
    at = stamp_of("20" + found["at"])
    return Found(found["stem"], at=at) if at else None


def windows_image(found: re.Match[str]) -> Found | None:
    """``WindowsImageBackup/<computer>/Backup <time>/<volume>.vhdx``: the volume as it is."""
    at = stamp_of(found["at"])
    return Found(without_suffixes(found["name"])[0], at=at) if at else None


def ola_hallengren(found: re.Match[str]) -> Found | None:
    """``<server>_<database>_<kind>[_COPY_ONLY]_<time>[_file]``.

    A copy is no base of differentials, so it stands for itself.
    """
    at = stamp_of(found["at"])
    stem = found["stem"] + (found["copy"] or "")
    return Found(stem, WORDS[found["kind"].lower()], at=at) if at else None


def maintenance_plan(found: re.Match[str]) -> Found | None:
    """``<database>_backup_<time>_<fraction>`` (SQL Server): a .bak is a full or a differential."""
    at = stamp_of(found["at"])
    return Found(found["stem"], SUFFIX_KINDS.get(found["suffix"].lower()), at=at) if at else None


def hyper_v(found: re.Match[str]) -> Found:
    """``<disk>_<GUID>.avhdx``: a checkpoint of a disk, with another GUID each time."""
    return Found(found["stem"])


def grammar(
    name: str, pattern: str, read: Callable[[re.Match[str]], Found | None], suffixes: str = ""
) -> Grammar:
    """Return a grammar whose pattern does not care for case, nor for what a name may hold."""
    compiled = re.compile(pattern, re.IGNORECASE | re.DOTALL | re.ASCII)
    return Grammar(name, compiled, read, frozenset(suffixes.split()))


GRAMMARS: tuple[Grammar, ...] = (
    grammar(
        "macrium",
        r"(?P<set>[0-9A-F]{16})(?:-(?P<text>.+))?-(?P<increment>[0-9]{2,5})-(?P<file>[0-9]{2,5})"
        r"\.mr(?:img|bak)x?",
        macrium,
        "mrimg mrimgx mrbak mrbakx",
    ),
    grammar(
        "veeam",
        r"(?P<stem>.*?)(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6})(?P<tail>_[0-9A-F]{4})?"
        r"\.(?P<suffix>vbk|vib|vrb)",
        veeam,
        "vbk vib vrb",
    ),
    grammar(
        "proxmox",
        r"(?P<stem>vzdump-(?:qemu|lxc|openvz)-[0-9]{1,10})"
        r"-(?P<at>[0-9]{4}_[0-9]{2}_[0-9]{2}-[0-9]{2}_[0-9]{2}_[0-9]{2})(?:\..*)?",
        vzdump,
    ),
    grammar(
        "acronis",
        r"(?P<stem>.+)_(?P<kind>full|inc|diff)_b(?P<chain>[0-9]{1,6})_s(?P<slice>[0-9]{1,6})"
        r"_v[0-9]{1,6}(?:[-.][0-9_.-]{1,40})?\.tib",
        acronis,
        "tib",
    ),
    grammar("acronis-archive", r"(?P<stem>.+)-(?P<number>[0-9]{4})\.tibx", acronis_archive, "tibx"),
    grammar(
        "shadowprotect",
        r"(?P<stem>.+)-b(?P<b>[0-9]{3,9})(?:-d(?P<d>[0-9]{3,9}))?(?:-i(?P<i>[0-9]{3,9}))?"
        r"(?:-c[dwmr]){0,8}\.sp[fi]",
        shadowprotect,
        "spf spi",
    ),
    grammar(
        "veritas",
        r"(?P<stem>.+?)(?P<base>[0-9]{3})(?:_i(?P<i>[0-9]{3,5}))?(?:_s[0-9]{2,4})?\.i?v2i",
        veritas,
        "v2i iv2i",
    ),
    grammar(
        "urbackup",
        r"(?P<stem>Image_[A-Z]+)_(?P<at>[0-9]{6}-[0-9]{4}(?:[0-9]{2})?)\.(?:vhdx?z?|raw)",
        urbackup,
        "vhd vhdx vhdz vhdxz raw",
    ),
    grammar(
        "windows-image",
        r"(?:.*/)?WindowsImageBackup/[^/]+/Backup (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{6})"
        r"/(?P<name>[^/]+\.vhdx?)",
        windows_image,
        "vhd vhdx",
    ),
    grammar(
        "hyper-v",
        r"(?P<stem>.+)_[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}\.avhdx?",
        hyper_v,
        "avhd avhdx",
    ),
    grammar(
        "ola-hallengren",
        r"(?P<stem>.+)_(?P<kind>full|diff|log)(?P<copy>_copy_only)?"
        r"_(?P<at>[0-9]{8}_[0-9]{6})(?:_[0-9]{1,3})?\.(?:bak|trn|dif)",
        ola_hallengren,
        "bak trn dif",
    ),
    grammar(
        "maintenance-plan",
        r"(?P<stem>.+)_backup_(?P<at>[0-9]{4}_[0-9]{2}_[0-9]{2}_[0-9]{6})_[0-9]{7}"
        r"\.(?P<suffix>bak|trn|dif)",
        maintenance_plan,
        "bak trn dif",
    ),
)
# Programs that number full and increments in one sequence, and the number of the full.
FIRST_NUMBERS: Mapping[str, int] = {"macrium": 0, "acronis": 1, "shadowprotect": 0, "veritas": 0}
