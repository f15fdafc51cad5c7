"""What the numbers were measured on."""

import os
import platform
import sys
from pathlib import Path

MIB = 1 << 20


def described(work: Path) -> tuple[str, ...]:
    """Return one line per fact; ``work`` is where the measured files lie."""
    device, kind = file_system(work)
    return (
        f"processor: {processor()}, {os.cpu_count()} cores",
        f"memory: {memory_bytes() // MIB} MiB",
        f"kernel: {platform.system()} {platform.release()}",
        f"Python: {platform.python_implementation()} {platform.python_version()}",
        f"file system: {kind} on a {spinning(work)} ({device})",
        f"bytecode cache: {'off' if sys.dont_write_bytecode else 'on'}",
        f"load before the run: {os.getloadavg()[0]:.2f}",
    )


def processor() -> str:
    """Return the processor's name, or unknown."""
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return "unknown"


def memory_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def file_system(path: Path) -> tuple[str, str]:
    """Return source and kind of the file system a path lies on."""
    real = str(path.resolve())
    best = ("", "unknown", "unknown")
    for line in Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines():
        source, mount_point, kind = line.split(" ")[:3]
        over = real == mount_point or real.startswith(mount_point.rstrip("/") + "/")
        if over and len(mount_point) >= len(best[0]):
            best = (mount_point, source, kind)
    return best[1], best[2]


def spinning(path: Path) -> str:
    """Say what kind of disk the kernel takes the device for; virtual disks often say rotational."""
    number = path.stat().st_dev
    folder = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    for place in (folder, folder.parent):
        flag = place / "queue/rotational"
        if flag.is_file():
            rotational = flag.read_text("ascii").strip() == "1"
            return "disk the kernel calls rotational" if rotational else "non-rotational disk"
    return "device of unknown kind"
