"""What this machine offers: cores, GPUs, memory, instructions. Nothing here imports torch."""

import math
import os
import subprocess
import sys
from pathlib import Path

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # flags in /proc/cpuinfo of processors that multiply it natively
_CGROUP = Path("/sys/fs/cgroup")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_CPUINFO = Path("/proc/cpuinfo")


def cores() -> int:
    """How many cores this process may use: those it is bound to, or as many as a container's quota of CPU time is."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return bound if quota is None else max(1, min(bound, math.floor(quota + 0.01)))


def memory_limit() -> int | None:
    """The bytes of memory that a container allows this process, if there is such a limit (cgroup v2, then v1)."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        found = _numbers(_CGROUP / name)
        if found and found[0] < 2**60:  # v1 says a number near 2**63 for none
            return int(found[0])
    return None


def gpus() -> list[str]:
    """The CUDA devices that this process may use, each as `CUDA_VISIBLE_DEVICES` names it."""
    if not _NVIDIA.is_dir() or not any(_NVIDIA.iterdir()):
        return []
    asked = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]  # it knows what the driver allows
    found = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)  # noqa: S603
    count = int(found.stdout) if found.returncode == 0 else 0
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def multiplies_bfloat16() -> bool | None:
    """Whether the processor multiplies bfloat16 natively, by the flags that Linux lists; None where there are none."""
    flags = _flags()
    return None if flags is None else not flags.isdisjoint(BFLOAT16)


def _flags() -> set[str] | None:
    if not _CPUINFO.is_file():
        return None
    for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):  # x86, ARM
            return set(value.split())
    return None


def _quota() -> float | None:
    """Cores' worth of CPU time that the container has (cgroup v2, then v1); None without a limit."""
    found = _numbers(_CGROUP / "cpu.max")
    if not found:
        found = [*_numbers(_CGROUP / "cpu/cpu.cfs_quota_us"), *_numbers(_CGROUP / "cpu/cpu.cfs_period_us")]
    return found[0] / found[1] if len(found) == 2 and found[0] > 0 else None


def _numbers(path: Path) -> list[float]:
    """The numbers in a file of the kernel; none where it says `max`, or where there is no such file."""
    try:
        return [float(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
