"""How much room there is where a repository lies: the file system's, and the owner's quota in it.

Project quotas of ext4 and XFS and the limits of ZFS and Btrfs datasets show in statvfs already.
User and group quotas do not: the kernel is asked for them, and a refusal means that nobody knows.
"""

import ctypes
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from scanner.survey.filesystems import (
    SYSTEM_ROOT,
    block_number,
    device_text,
    mount_for,
    read_mounts,
)

# linux/quota.h: USRQUOTA, GRPQUOTA, Q_GETQUOTA, QCMD; quotactl(2).
# Seen on Linux 6.1: ext4 with the quota feature and XFS answer alike; project quotas show in
# statvfs for a folder that hands its project on.
OF_USER = 0
OF_GROUP = 1
GET_QUOTA = 0x800007
COMMAND_SHIFT = 8
TYPE_MASK = 0xFF

# linux/quota.h, struct if_dqblk: hard and soft limit of blocks, space, hard and soft limit of
# inodes, inodes, two times, and a mask of which of them are valid. Eight u64, one u32, padding.
ANSWER = struct.Struct("=8QI4x")
BLOCK_LIMITS_VALID = 1  # QIF_BLIMITS
SPACE_VALID = 2  # QIF_SPACE
LIMIT_UNIT_BYTES = 1024
"""QIF_DQBLKSIZE: limits of blocks are counted in this unit, space in bytes (linux/quota.h)."""


@dataclass(frozen=True, slots=True)
class Space:
    """Room on the file system that a path lies on, in bytes. Unknown is None.

    ``available_bytes`` is what a writer without privileges may still use. ``quota_bytes`` is the
    limit, and ``quota_used_bytes`` what is used of it, of the quota with the least left among the
    owner's and the group's; both are None where there is no limit or nobody says.
    """

    total_bytes: int
    available_bytes: int
    quota_bytes: int | None
    quota_used_bytes: int | None
    read_only: bool


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit and what is used of it, in bytes."""

    limit_bytes: int
    used_bytes: int


AskQuota: TypeAlias = Callable[[int, Path, int], bytes | None]
"""Asks for the quota of a user or group (``OF_USER``, ``OF_GROUP``) on a block device, by its id.
Answers with ``ANSWER`` packed, or None."""


def space_at(path: Path, owner: int | None = None) -> Space | None:
    """Return the room where a path lies; None where the file system does not say.

    ``owner`` is whose user quota counts, the path's owner where it is None. The group is the
    path's. Only root may ask for the quota of another user.
    """
    try:
        room = os.statvfs(path)
        status = path.stat()
    except OSError:
        return None
    user = status.st_uid if owner is None else owner
    return space_of(room, tightest(quotas(path, status.st_dev, user, status.st_gid, ask_kernel)))


def space_of(room: os.statvfs_result, quota: Quota | None) -> Space | None:
    """Return what statvfs and a quota say together.

    A file system that names no blocks knows no size (FUSE without statfs, proc). One that has more
    available than there is has told nonsense: seen as -1 where a reserve is overdrawn.
    """
    unit = room.f_frsize or room.f_bsize
    if room.f_blocks == 0 or unit == 0 or room.f_bavail > room.f_blocks:
        return None
    return Space(
        total_bytes=room.f_blocks * unit,
        available_bytes=room.f_bavail * unit,
        quota_bytes=quota.limit_bytes if quota else None,
        quota_used_bytes=quota.used_bytes if quota else None,
        read_only=bool(room.f_flag & os.ST_RDONLY),
    )


def quotas(path: Path, st_dev: int, user: int, group: int, ask: AskQuota) -> Iterable[Quota]:
    """Yield the limited quotas that apply to what a user writes below a path."""
    device = device_of(path, st_dev, SYSTEM_ROOT)
    if device is None:
        return
    for holder, number in ((OF_USER, user), (OF_GROUP, group)):
        answer = ask(holder, device, number)
        quota = decode(answer) if answer is not None else None
        if quota is not None:
            yield quota


def tightest(found: Iterable[Quota]) -> Quota | None:
    """Return the quota that stops a writer first."""
    return min(found, key=lambda quota: quota.limit_bytes - quota.used_bytes, default=None)


def device_of(path: Path, st_dev: int, system_root: Path) -> Path | None:
    """Return the block device a path lies on, as a name that leads there; None where none does.

    The mount's own name for it may lead nowhere (``/dev/root``), or elsewhere in a container.
    """
    number = device_text(st_dev)
    source = mount_for(read_mounts(system_root), os.path.realpath(path), number).source
    for name in (source.lstrip("/"), f"dev/block/{number}"):
        device = system_root / name
        if block_number(device) == number:
            return device
    return None


def decode(answer: bytes) -> Quota | None:
    """Return the quota in an answer of the kernel; None where it sets no limit.

    The hard limit counts, because a soft one may be exceeded for a while; without it the soft one.
    """
    hard, soft, used, _, _, _, _, _, fields = ANSWER.unpack(answer)
    limit = hard or soft
    if limit == 0 or not fields & BLOCK_LIMITS_VALID or not fields & SPACE_VALID:
        return None
    return Quota(limit * LIMIT_UNIT_BYTES, used)


def ask_kernel(holder: int, device: Path, number: int) -> bytes | None:
    """Ask quotactl(2). Any refusal is None: no quota there, not allowed, not built in."""
    command = ctypes.c_int(GET_QUOTA << COMMAND_SHIFT | holder & TYPE_MASK)
    answer = ctypes.create_string_buffer(ANSWER.size)
    try:
        quotactl = ctypes.CDLL(None).quotactl
    except (OSError, AttributeError):
        return None  # no such function in this C library
    refused = quotactl(command, os.fsencode(device), ctypes.c_int(number), answer)
    return None if refused else answer.raw
