"""What this machine, or the slice of it that a container was given, has: cores, memory, open files."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
_UNKNOWN_MEMORY = 4 * 2**30


def cores(cgroup: Path = CGROUP) -> int:
    """Processor cores that this process may keep busy: its affinity, or a container's quota where that is smaller."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = _numbers(cgroup / "cpu.max") or (
        _numbers(cgroup / "cpu" / "cpu.cfs_quota_us") + _numbers(cgroup / "cpu" / "cpu.cfs_period_us")
    )
    if len(quota) != 2 or quota[0] <= 0:
        return usable
    return max(1, min(usable, math.ceil(quota[0] / quota[1])))


def memory(cgroup: Path = CGROUP) -> int:
    """Bytes of memory: the machine's, or a container's limit where that is smaller; 4 GiB where neither is known."""
    limits = [*_numbers(cgroup / "memory.max"), *_numbers(cgroup / "memory" / "memory.limit_in_bytes")]
    if sys.platform != "win32":
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((limit for limit in limits if limit > 0), default=_UNKNOWN_MEMORY)


def allow_many_files(wanted: int = 65_536) -> None:
    """Raise this process's limit of open files, and with it of connections, as far as the machine lets it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _numbers(path: Path) -> tuple[int, ...]:
    """The integers in a control file; none where there is no such file or it says ``max``."""
    try:
        return tuple(int(word) for word in path.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return ()
