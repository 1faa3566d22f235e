"""How large the networks of cells are, how much memory a training takes, and how much disk."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import prod

from stages.config.params import Params, resolve_count
from stages.config.settings import OPTIMIZERS, OptimizerSettings, TrainingSettings
from stages.core.imports import without_collection
from stages.records.run import NetworkSize, RecordedSettings, TrainingRun
from stages.records.spec import Spec

_PROCESS = 512 << 20  # bytes of a process with PyTorch before it has any data
_STATE = 16  # bytes a parameter: weight, gradient, and the optimizer's two, in float32
_CHECKPOINT = 12  # bytes a parameter: weight, and the optimizer's two
_ACTIVATION = 150  # multiply-adds of a forward pass for one activation that is kept, roughly: VGG, ResNet, GoogLeNet
_RAW = {"mnist": 55_000_000, "cifar10": 185_000_000}  # bytes of data/raw


def recorded_sizes(specs: Mapping[str, Spec], finished: Iterable[TrainingRun]) -> dict[str, NetworkSize]:
    """The sizes of those cells' networks that a record has; nothing is counted, and torch not imported."""
    known = {_network(run.config): run.network for run in finished}
    return {cell: known[_network(spec.settings)] for cell, spec in specs.items() if _network(spec.settings) in known}


def network_sizes(specs: Mapping[str, Spec], params: Params, finished: Iterable[TrainingRun]) -> dict[str, NetworkSize]:
    """The sizes of all cells' networks: from records of the same networks, else counted, which imports torch."""
    known = recorded_sizes(specs, finished)
    counted: dict[str, NetworkSize] = {}
    for cell, spec in specs.items():
        network = _network(spec.settings)
        if cell not in known and network not in counted:
            counted[network] = _count(spec.settings, params)
    return {cell: known.get(cell) or counted[_network(spec.settings)] for cell, spec in specs.items()}


def memory_needed(size: NetworkSize, spec: Spec, params: Params) -> int:
    """The bytes that a training takes, roughly."""
    activations = spec.settings.cell.batch_size * size.multiply_adds // _ACTIVATION
    return (
        _PROCESS + _STATE * size.parameters + 2 * 4 * activations + arrays(params, spec.budget, spec.settings.dataset)
    )


def at_once(needed: Iterable[int], memory: int) -> int:
    """How many trainings fit into so many bytes of memory, whichever of them run beside each other; at least one."""
    largest_first = sorted(needed, reverse=True)
    together = accumulate(largest_first)
    return max(1, sum(bytes_ <= memory for bytes_ in together))


def weights_size(size: NetworkSize) -> int:
    """The bytes of a training's weights."""
    return 4 * size.parameters


def checkpoint_size(size: NetworkSize) -> int:
    """The bytes of a training's checkpoint."""
    return _CHECKPOINT * size.parameters


def raw_size(dataset: str) -> int:
    """The bytes of a data set as it is downloaded."""
    return _RAW.get(dataset, 0)


def arrays(params: Params, budget: str, dataset: str) -> int:
    """The bytes of a data set's arrays, with their augmented copies."""
    sizes = params.datasets.of(dataset)
    copies = resolve_count(params.chosen_budget(budget).augmented_images.of(dataset), sizes.train_images)
    images = sizes.train_images + sizes.validation_images + sizes.test_images + copies
    return images * prod((sizes.channels, sizes.size, sizes.size))


def _network(settings: TrainingSettings | RecordedSettings) -> str:
    """What a network's size follows from."""
    cell = settings.cell
    of_training = {"batch_size", "augment", "init", *OPTIMIZERS.get(cell.optimizer, OptimizerSettings).model_fields}
    return f"{settings.dataset} {sorted(cell.model_dump(exclude=of_training).items())}"


def _count(settings: TrainingSettings, params: Params) -> NetworkSize:
    with without_collection():
        import torch

        from stages.engine.network import multiply_adds, network_of, parameter_count

    dataset = params.datasets.of(settings.dataset)
    with torch.device("meta"):
        model = network_of(settings.cell, {"channels": dataset.channels, "classes": dataset.classes})
    operations = multiply_adds(model, dataset.channels, settings.cell.input_size)
    return NetworkSize(parameters=parameter_count(model), multiply_adds=operations)
