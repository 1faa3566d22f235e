"""What this machine offers: cores, GPUs, memory, instructions. Nothing here imports torch."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

from stages.records.eta import Machine, processor_family
from stages.records.provenance import environment

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # flags in /proc/cpuinfo of processors that multiply it natively
_CGROUP = Path("/sys/fs/cgroup")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_CPUINFO = Path("/proc/cpuinfo")
_GPU = """
import torch
print(torch.cuda.get_device_name(0)), print(torch.cuda.is_bf16_supported(including_emulation=False))
"""


class ThisMachine(NamedTuple):
    """Device and processor as run records have them, and what there is of memory and disk, in bytes.

    `bfloat16` says whether the device multiplies it natively; None where that is not known without trying.
    """

    machine: Machine
    gpus: list[str]
    bfloat16: bool | None
    memory: int
    disk: int


def this_machine(device: str) -> ThisMachine:
    """The machine with the device that a budget asks for: auto, cpu, cuda or mps."""
    devices = gpus() if device in ("auto", "cuda") else []
    name, bfloat16 = ("mps", False) if device == "mps" else ("cpu", multiplies_bfloat16())
    if devices:
        name, bfloat16 = _gpu()
    free = psutil.virtual_memory().available
    return ThisMachine(
        Machine(name, processor_family(environment().processor)),
        devices,
        bfloat16,
        min(free, memory_limit() or free),
        shutil.disk_usage(Path()).free,
    )


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


def _gpu() -> tuple[str, bool | None]:
    """The first GPU as a run record names it, and whether it multiplies bfloat16; `cuda` where PyTorch cannot say."""
    asked = [sys.executable, "-c", _GPU]
    found = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False, env=os.environ)  # noqa: S603
    if found.returncode != 0:  # another process may have the whole GPU: an estimate must not end a launch
        return "cuda", None
    name, native = found.stdout.splitlines()
    return f"cuda: {name}", native == "True"


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
