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
_OWN_GROUPS = Path("/proc/self/cgroup")
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
    return ThisMachine(
        Machine(name, processor_family(environment().processor)),
        devices,
        bfloat16,
        memory_free(),
        shutil.disk_usage(Path()).free,
    )


def cores() -> int:
    """How many cores this process may use: those it is bound to, or as many as a container's quota of CPU time is."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return bound if quota is None else max(1, min(bound, math.floor(quota + 0.01)))


def memory_limit() -> int | None:
    """The bytes of memory that a container allows this process, if there is such a limit (cgroup v2 and v1)."""
    limits = [
        _numbers(folder / name) for folder in _groups("memory") for name in ("memory.max", "memory.limit_in_bytes")
    ]
    found = [int(numbers[0]) for numbers in limits if numbers and numbers[0] < 2**60]  # v1 says near 2**63 for none
    return min(found, default=None)


def memory_free() -> int:
    """The bytes of memory that trainings can take: what the machine has free, and what the container has left."""
    free = [psutil.virtual_memory().available]
    for folder in _groups("memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            allowed, taken = _numbers(folder / limit), _numbers(folder / used)
            if allowed and allowed[0] < 2**60:
                cached = _statistic(folder / "memory.stat", ("inactive_file", "total_inactive_file"))
                free.append(max(0, int(allowed[0] - (taken[0] if taken else 0) + cached)))
    return min(free)


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
    """Cores' worth of CPU time that the container has (cgroup v2 and v1), the least on the way up; None without one."""
    quotas = []
    for folder in _groups("cpu"):
        for found in (
            _numbers(folder / "cpu.max"),
            [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")],
        ):
            if len(found) == 2 and found[0] > 0 and found[1] > 0:
                quotas.append(found[0] / found[1])
    return min(quotas, default=None)


def _groups(controller: str) -> list[Path]:
    """The folders of this process's control group and of those around it: v2's own, v1's below its controller.

    A container sees its own group as the root; a batch system's job or a systemd service sees the whole tree.
    """
    try:
        lines = _OWN_GROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    own = {v1: path for _, _, rest in (line.partition(":") for line in lines) for v1, _, path in [rest.partition(":")]}
    found = []
    for root, path in (
        (_CGROUP, own.get("", "/")),
        (_CGROUP / controller, next((path for names, path in own.items() if controller in names.split(",")), "/")),
    ):
        parts = [part for part in path.split("/") if part and part != ".."]
        found += [root.joinpath(*parts[:length]) for length in range(len(parts) + 1)]
    return found


def _statistic(path: Path, names: tuple[str, ...]) -> int:
    """The last of some statistics that a file of the kernel has; 0 without it. Page cache is given back when needed."""
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, ValueError):
        return 0
    values = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    return next((values[name] for name in reversed(names) if name in values), 0)


def _numbers(path: Path) -> list[float]:
    """The numbers in a file of the kernel; none where it says `max`, or where there is no such file."""
    try:
        return [float(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
