"""Where and in which format numbers are computed: device, threads, precision, determinism."""

import hashlib
import os
from functools import cache
from typing import Any, NamedTuple

import torch

from stages.config.settings import Device, Precision
from stages.core.errors import ParamError
from stages.core.progress import say
from stages.engine.memory import keep_pages


class Numerics(NamedTuple):
    """The device and the number format of one process; recorded with the run."""

    device: torch.device
    dtype: torch.dtype
    threads: int

    @property
    def precision(self) -> str:
        """The format of matrix products, as it stands in the run record: float32, bfloat16 or emulated bfloat16."""
        name = str(self.dtype).removeprefix("torch.")
        native = self.dtype != torch.bfloat16 or multiplies_bfloat16(self.device.type)
        return name if native else f"emulated {name}"

    def describe(self) -> dict[str, Any]:
        """What the run record says of it: caches in bytes, `build` the sha256 of how PyTorch was compiled.

        Instructions and caches choose kernels and their blocks, and so bits; a processor's name hides them.
        """
        on_cuda = self.device.type == "cuda"
        capabilities = torch.cpu.get_capabilities()
        return {
            "device": f"cuda: {torch.cuda.get_device_name(self.device)}" if on_cuda else self.device.type,
            "precision": self.precision,
            "threads": self.threads,
            "backend": {
                "torch": torch.__version__,
                "cuda": torch.version.cuda if on_cuda else None,
                "cudnn": torch.backends.cudnn.version() if on_cuda else None,
                "capability": torch.backends.cpu.get_cpu_capability(),
                "instructions": sorted(name for name, found in capabilities.items() if found is True),
                "processor": capabilities.get("cpu_name"),
                "l1d_cache": capabilities.get("l1d_cache_size"),
                "l2_cache": capabilities.get("l2_cache_size"),
                "build": hashlib.sha256(torch.__config__.show().encode()).hexdigest(),
            },
        }


def set_up(precision: Precision, threads: int, device: Device = "auto") -> Numerics:
    """Fix how this process computes.

    `auto` precision is bfloat16 where the device multiplies it natively, else float32; `bfloat16` is emulated on a
    processor without it (`stages.engine.products`). Both are said. `auto` device is a CUDA GPU if PyTorch finds one,
    else the processor. Raises ParamError for a device that is not there, and for bfloat16 on another device without it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products; read when CUDA starts
    chosen = find_device(device)
    dtype = find_format(precision, chosen)
    keep_pages()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # denormals slow a CPU many times over; on for every run, since it changes bits
    torch.use_deterministic_algorithms(True)
    # bit-identical without, and most of that mode's cost
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32 on a GPU too: TF32 keeps 10 bits of its 23
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False  # sums of bfloat16 products in float32
    torch.backends.cudnn.benchmark = False  # a timing must not choose the kernel
    return Numerics(chosen, dtype, torch.get_num_threads())


def find_device(wanted: Device) -> torch.device:
    """The device of that name. Raises ParamError when this machine, or this PyTorch, has none."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available[wanted]:
        raise ParamError("device", wanted, ", ".join(["auto", *(name for name, found in available.items() if found)]))
    return torch.device(wanted)


def find_format(precision: Precision, device: torch.device) -> torch.dtype:
    """The format of matrix products on a device. Raises ParamError for bfloat16 that the device has no way to."""
    if precision == "float32":
        return torch.float32
    if multiplies_bfloat16(device.type):
        return torch.bfloat16
    name = "processor" if device.type == "cpu" else f"{device.type} device"
    if precision == "auto":
        say(f"this {name} has no native bfloat16: float32, slower and with other bits")
        return torch.float32
    if device.type != "cpu":
        hint = f"float32 (`precision` of the budget in params.yaml), since this {name} has no native bfloat16"
        raise ParamError("precision", precision, hint)
    say(f"this {name} has no native bfloat16: it is emulated, as slow as float32 and with other bits")
    return torch.bfloat16


@cache
def multiplies_bfloat16(device_type: str) -> bool:
    """Whether the device that PyTorch calls cpu, cuda or mps multiplies bfloat16 natively."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "mps":
        return False  # not measured
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
