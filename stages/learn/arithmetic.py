"""Where and how the arithmetic is done: device, threads, precision, memory layout, determinism."""

import os
from typing import Any, Literal, NamedTuple

import torch


class Arithmetic(NamedTuple):
    """The device and the number format of one process; recorded with the run."""

    device: torch.device
    dtype: torch.dtype
    threads: int

    @property
    def precision(self) -> str:
        """The format of products, as it stands in the run record."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def layout(self) -> torch.memory_format:
        """Channels last, but for float32 on a CPU: the plain layout is up to 1.6 times faster on small batches."""
        plain = self.device.type == "cpu" and self.dtype == torch.float32
        return torch.contiguous_format if plain else torch.channels_last

    def describe(self) -> dict[str, Any]:
        """What the run record says of it. Instructions decide bits, and a processor's name hides them."""
        on_cpu = self.device.type == "cpu"
        capabilities = torch.cpu.get_capabilities()
        return {
            "device": "cpu" if on_cpu else f"{self.device.type}: {torch.cuda.get_device_name(self.device)}",
            "precision": self.precision,
            "threads": self.threads,
            "backend": {
                "torch": torch.__version__,
                "cuda": None if on_cpu else torch.version.cuda,
                "cudnn": None if on_cpu else torch.backends.cudnn.version(),
                "capability": torch.backends.cpu.get_cpu_capability(),
                "instructions": sorted(name for name, there in capabilities.items() if there is True),
            },
        }

    def autocast(self) -> torch.autocast:
        """The context in which forward passes run."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)


def set_up(precision: Literal["auto", "bfloat16", "float32"], threads: int | Literal["auto"]) -> Arithmetic:
    """Fix the arithmetic of this process. `auto` precision is bfloat16 where the device multiplies it natively."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products; read when CUDA starts
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if threads != "auto":
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # denormals slow a CPU many times over; on for every run, since it changes bits
    torch.use_deterministic_algorithms(True)
    # bit-identical without, and most of that mode's cost
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if precision == "auto":
        precision = "bfloat16" if multiplies_bfloat16(device) else "float32"
    return Arithmetic(device, getattr(torch, precision), torch.get_num_threads())


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are native there; emulated ones are several times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
