"""What is compared with what, family by family, and what is made of the rates."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any, NamedTuple

import torch

from benchmarks.families import INPUT_SIZE, OPTIMIZERS, PARTS, description, run_of
from benchmarks.operations import Layer, count, training
from benchmarks.ours import ours, saving, without
from benchmarks.products import SIZES, products
from benchmarks.race import Entrant, race
from benchmarks.rates import paired_ratio, paired_ratios, significant
from benchmarks.reference import reference
from stages.engine.network import network_of

Rates = dict[str, list[float]]
PROCESSES = 2  # trainings at once, in `throughput`


class Conditions(NamedTuple):
    """How everything is measured; `dtype` is the format of the engine's products on this machine."""

    threads: int
    repetitions: int
    seconds: float
    dtype: torch.dtype


def speed(family: str, conditions: Conditions) -> dict[str, Any]:
    """Ours against the reference, against the reference with our head, and against plain matrix products."""
    threads = conditions.threads
    entrants = {
        "ours": Entrant((partial(ours, family, threads),)),
        "reference": Entrant((partial(reference, family, threads),)),
    }
    if family == "vgg16":
        entrants["reference_same_head"] = Entrant((partial(reference, family, threads, same_head=True),))
    for size in SIZES:
        multiply = partial(products, size, conditions.dtype, threads)
        entrants[f"products_{size}"] = Entrant((multiply,), share=1 / len(SIZES))
    return speed_of(race(entrants, conditions.repetitions, conditions.seconds), layers_of(family), conditions.dtype)


def speed_of(rates: Rates, layers: list[Layer], dtype: torch.dtype) -> dict[str, Any]:
    """Medians, ratios within repetitions, and the share of the best size's product rate, in the engine's format."""
    same_head = rates.get("reference_same_head", rates["reference"])
    measured = {size: median(rates[f"products_{size}"]) for size in SIZES}
    best = max(measured, key=measured.__getitem__)
    of_products = paired_ratio(rates["ours"], rates[f"products_{best}"])
    operations = {kind: training([getattr(layer, kind) for layer in layers]) for kind in Layer._fields}
    return {
        "ours": significant(median(rates["ours"])),
        "reference": significant(median(rates["reference"])),
        "reference_same_head": significant(median(same_head)),
        "ratio": significant(paired_ratio(rates["ours"], rates["reference"])),
        "ratio_same_head": significant(paired_ratio(rates["ours"], same_head)),
        "gemm_share": significant(of_products * operations["macs"]),
        "gemm_share_executed": significant(of_products * operations["executed"]),
        "gemm_format": str(dtype).removeprefix("torch."),
        "gemm_size": best,
        "gemm_flops": {str(size): significant(rate) for size, rate in measured.items()},
        "operations_per_image": {"all": operations["macs"], "executed": operations["executed"]},
        **of_repetitions(rates),
    }


def optimizers(family: str, conditions: Conditions) -> dict[str, Any]:
    """Ours with each of the paper's optimizers."""
    entrants = {name: Entrant((partial(ours, family, conditions.threads, name),)) for name in OPTIMIZERS}
    return optimizers_of(race(entrants, conditions.repetitions, conditions.seconds))


def optimizers_of(rates: Rates) -> dict[str, Any]:
    """Medians."""
    return {name: significant(median(values)) for name, values in rates.items()} | of_repetitions(rates)


def throughput(family: str, conditions: Conditions) -> dict[str, Any]:
    """Two trainings at once, one thread each, against one training with two threads, whatever the cores."""
    entrants = {
        "one_thread_each": Entrant((partial(ours, family, 1),) * PROCESSES),
        "one_process": Entrant((partial(ours, family, PROCESSES),)),
    }
    return throughput_of(race(entrants, conditions.repetitions, conditions.seconds))


def throughput_of(rates: Rates) -> dict[str, Any]:
    """Images per second of both processes together, and the ratio."""
    return {
        "processes": PROCESSES,
        "one_thread_each": significant(median(rates["one_thread_each"])),
        "one_process": significant(median(rates["one_process"])),
        "ratio": significant(paired_ratio(rates["one_thread_each"], rates["one_process"])),
        **of_repetitions(rates),
    }


def determinism(family: str, conditions: Conditions) -> dict[str, Any]:
    """Ours as it is, and with PyTorch's deterministic mode switched off."""
    modes = {"on": True, "off": False}
    entrants = {
        name: Entrant((partial(ours, family, conditions.threads, deterministic=mode),)) for name, mode in modes.items()
    }
    return determinism_of(race(entrants, conditions.repetitions, conditions.seconds))


def determinism_of(rates: Rates) -> dict[str, Any]:
    """Images per second with and without, and how much of the speed the mode costs (below 0: noise)."""
    return {
        "on": significant(median(rates["on"])),
        "off": significant(median(rates["off"])),
        "cost": round(1 - paired_ratio(rates["on"], rates["off"]), 4),
        **of_repetitions(rates),
    }


def ablation(family: str, conditions: Conditions) -> dict[str, Any]:
    """Ours, and without each of `PARTS`, one at a time: what they gain overlaps, and does not multiply."""
    threads = conditions.threads
    entrants = {"ours": Entrant((partial(ours, family, threads),))}
    for part in parts_of(family, conditions.dtype):
        entrants[part] = Entrant((partial(without, part, family, threads),))
    return ablation_of(race(entrants, conditions.repetitions, conditions.seconds))


def parts_of(family: str, dtype: torch.dtype) -> list[str]:
    """The parts that the family has, with products in that format."""
    absent = {"dropout"} if not getattr(run_of(family).cell, "dropout", 0) else set()
    if dtype == torch.float32:
        absent |= {"bfloat16", "chunks"}
    return [part for part in PARTS if part not in absent]


def ablation_of(rates: Rates) -> dict[str, Any]:
    """How many times as fast ours is as without each part: the median, the least and the most of the repetitions."""
    ratios = {part: paired_ratios(rates["ours"], rates[part]) for part in rates if part != "ours"}
    gains = {part: [significant(of(found), 3) for of in (median, min, max)] for part, found in ratios.items()}
    return {"gains": gains, **of_repetitions(rates)}


def checkpoint(family: str, conditions: Conditions) -> dict[str, Any]:
    """The checkpoint that is written after each epoch, against an epoch's training steps with all images."""
    threads, repetitions, seconds, _ = conditions
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        measured = pool.submit(saving, family, threads, repetitions, seconds).result()
    return checkpoint_of(measured, description()["images"]["train"])


def checkpoint_of(measured: Rates, images: int) -> dict[str, Any]:
    """How long a checkpoint takes, and which share of an epoch of so many images that is."""
    pairs = zip(measured["checkpoint"], measured["images"], strict=True)
    return {
        "seconds": significant(median(measured["checkpoint"])),
        "epoch_images": images,
        "cost": round(median(seconds * rate / images for seconds, rate in pairs), 4),
        **of_repetitions(measured),
    }


def of_repetitions(rates: Rates) -> dict[str, Any]:
    """Every rate there was, for whoever wants to see how they spread."""
    return {"repetitions": {name: [significant(rate) for rate in values] for name, values in rates.items()}}


def layers_of(family: str) -> list[Layer]:
    """The layers of our network as it trains, counted without giving it memory."""
    described = description()
    with torch.device("meta"):
        model = network_of(run_of(family).cell, described)
    return count(model.train(), described["channels"], INPUT_SIZE)


SECTIONS: dict[str, Callable[[str, Conditions], dict[str, Any]]] = {
    "speed": speed,
    "optimizers": optimizers,
    "throughput": throughput,
    "determinism": determinism,
    "ablation": ablation,
    "checkpoint": checkpoint,
}
