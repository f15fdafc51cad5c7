"""The stage: a file system of limited size that nobody else sees, and that dies with the story.

The story runs again in a mount namespace of its own and mounts everything it writes to there. When
its process ends, however it ends, the kernel takes the mounts away and all that was in them: there
is nothing left to clean up, not even after SIGKILL. Two ways lead there, the first that is allowed
is taken: a tmpfs in a user namespace (no root needed), or, for root, a loop file with ext4.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TMPFS = "tmpfs"
LOOP = "loop"
PLACES = ("/mnt", "/media", "/srv")
"""Folders that every Linux has, and that may be covered in a namespace of one's own."""

NAMESPACES: Mapping[str, Sequence[str]] = {
    TMPFS: ("unshare", "--user", "--map-root-user", "--mount"),
    LOOP: ("unshare", "--mount"),
}
TOOLS = ("unshare", "setpriv", "mount", "qemu-img", "qemu-io")
# The same for each size of it, so that it stays the same file system to whoever looks.
LOOP_UUID = "0bacb00f-0000-4000-8000-000000000001"
EXT4_OWN_BYTES = 1 << 20


class StageError(Exception):
    """There is no stage to be had; the message says why."""


@dataclass(frozen=True)
class Stage:
    """``backups`` is of limited size; the rest of ``root`` is as large as memory allows."""

    root: Path
    kind: str

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def machine(self) -> Path:
        """Where the disks lie that are backed up."""
        return self.root / "machine"

    @property
    def state(self) -> Path:
        return self.root / "state"


# Outside


def missing_tool() -> str | None:
    """Return why the story cannot be told at all, or None."""
    lacking = [name for name in TOOLS if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def choose_kind() -> str:
    """Return what the stage can be made of here, or raise `StageError`."""
    reasons = []
    for kind in (TMPFS, LOOP):
        reason = refused(kind)
        if reason is None:
            return kind
        reasons.append(f"{kind}: {reason}")
    raise StageError("; ".join(reasons))


def refused(kind: str) -> str | None:
    """Try a stage of a kind and return why it is refused; None where it is not."""
    if kind == LOOP and os.geteuid() != 0:
        return "not root"
    trial = (sys.executable, "-m", "tests.story", "--try", kind)
    done = subprocess.run((*NAMESPACES[kind], *trial), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"exit code {done.returncode}"


def enter(kind: str, arguments: Sequence[str]) -> None:
    """Become the same program inside a namespace of its own; does not return."""
    command = (*NAMESPACES[kind], sys.executable, "-m", "tests.story", *arguments)
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted


# Inside


def build(kind: str, room_bytes: int) -> Stage:
    """Mount everything; only inside a namespace of one's own."""
    root = place()
    mount("-t", "tmpfs", "none", str(root))
    stage = Stage(root, kind)
    for folder in (stage.backups, stage.machine, stage.state):
        folder.mkdir()
    if kind == TMPFS:
        mount("-t", "tmpfs", "-o", f"size={room_bytes}", "none", str(stage.backups))
    else:
        mount("-o", "loop", str(formatted(root / "backups.ext4", room_bytes)), str(stage.backups))
    return stage


def place() -> Path:
    """Return a folder that can be covered without hiding this program or its Python."""
    needed = [Path.cwd(), Path(__file__), *map(Path, sysconfig.get_paths().values())]
    real = [path.resolve() for path in (*needed, Path(sys.executable))]
    for name in PLACES:
        folder = Path(name)
        if folder.is_dir() and not any(path.is_relative_to(folder) for path in real):
            return folder
    message = f"none of {', '.join(PLACES)} can be mounted over"
    raise StageError(message)


def formatted(file: Path, room_bytes: int) -> Path:
    """Make a file with an ext4 in it."""
    with file.open("wb") as opened:
        opened.truncate(room_bytes + EXT4_OWN_BYTES)
    # Nearly all of it is room for backups: no reserve, no journal, few inodes.
    lean = ("-m", "0", "-O", "^has_journal", "-N", "256")
    call("mkfs.ext4", "-q", "-F", *lean, "-U", LOOP_UUID, str(file))
    return file


def resize(stage: Stage, room_bytes: int) -> None:
    """Give the backups more room. A loop file is replaced by a larger one with the same files."""
    if stage.kind == TMPFS:
        mount("-o", f"remount,size={room_bytes}", str(stage.backups))
        return
    old, new = stage.root / "backups.ext4", stage.root / "larger.ext4"
    fresh = stage.root / "larger"
    fresh.mkdir()
    mount("-o", "loop", str(formatted(new, room_bytes)), str(fresh))
    call("cp", "-a", f"{stage.backups}/.", str(fresh))
    call("umount", str(fresh))
    call("umount", str(stage.backups))
    fresh.rmdir()
    new.replace(old)
    mount("-o", "loop", str(old), str(stage.backups))


def mount(*arguments: str) -> None:
    """Mount, or raise `StageError` with what mount says."""
    call("mount", *arguments)


def call(*command: str) -> None:
    """Run a command of the stage's own, or raise `StageError`."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(command)}: {done.stderr.strip() or done.returncode}"
        raise StageError(message)
