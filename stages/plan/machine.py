"""This machine, as far as a plan needs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

from stages.launch.machine import gpus, memory_limit, multiplies_bfloat16
from stages.records.eta import Machine, processor_family
from stages.records.provenance import environment

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


def _gpu() -> tuple[str, bool]:
    """The first GPU as a run record names it, and whether it multiplies bfloat16."""
    asked = [sys.executable, "-c", _GPU]
    found = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True, env=os.environ)  # noqa: S603
    name, native = found.stdout.splitlines()
    return f"cuda: {name}", native == "True"
