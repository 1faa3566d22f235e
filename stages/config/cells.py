"""From what `params.yaml` writes of a cell to its settings.

A cell is written as a mapping that names a network and an optimizer and sets what differs:

    vgg16-lr1e-2:      {network: vgg16, optimizer: rmsprop, lr: 0.01}
    vgg16-lr1e-2-sgd:  {base: vgg16-lr1e-2, optimizer: sgd}                 an alternative: all of its base's, but this

Its settings are those of the network, of the optimizer, of `inputs` for its data set and family, and its own; the later
win. An `input_size` that is said for all families is raised to the smallest that the cell's family takes. What a base
sets for its own optimizer (network) alone does not reach an alternative that names another one. An alternative may have
no base: it then names a network and an optimizer, as a cell does. It may also name `epochs` (it then trains for no more
than these) and `precision`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from stages.config.reading import param_error
from stages.config.settings import OPTIMIZERS, Cell, Epochs, Precision, family_settings
from stages.core.errors import ParamError, StageError
from stages.core.validation import refused_keys
from stages.engine.networks import families

NETWORK, OPTIMIZER, BASE, EPOCHS, PRECISION, DEFAULT = "network", "optimizer", "base", "epochs", "precision", "default"
INPUT_SIZE = "input_size"
REFERENCES = (NETWORK, OPTIMIZER, BASE, EPOCHS, PRECISION)
_OWN: dict[str, TypeAdapter[Any]] = {EPOCHS: TypeAdapter(Epochs), PRECISION: TypeAdapter(Precision)}
# Settings that mean something together only: a study that changes several of one group changes one thing.
GROUPS = (
    {"optimizer", "lr", "momentum", "weight_decay", "alpha", "beta1", "beta2", "eps"},
    {"batch_norm", "batch_norm_eps", "batch_norm_momentum", "init"},
    {"stem", "input_size"},
)


class CellKey(NamedTuple):
    """Where a cell stands: its section (`cells` or `alternatives`), data set and name."""

    section: str
    dataset: str
    name: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.name}"


@dataclass(frozen=True)
class ResolvedCell:
    """A cell with all its settings; `epochs` and `precision` are those it names itself, if it does."""

    key: CellKey
    cell: Cell
    base: str | None
    epochs: int | None
    precision: str | None


class Layer(NamedTuple):
    """Settings that stand in one section of params.yaml, at `place`."""

    place: str
    settings: Mapping[str, Any]


def resolve_cell(key: CellKey, raw: Mapping[str, Any], dataset: Mapping[str, Mapping[str, Any]]) -> ResolvedCell:
    """The settings of a cell. `raw` is all of params.yaml, `dataset` its cells and alternatives of that data set.

    Raises ParamError or StageError, naming the place in params.yaml that is wrong.
    """
    own = _layers(key, dataset)
    network = _reference(raw["networks"], "networks", NETWORK, own)
    optimizer = _reference(raw["optimizers"], "optimizers", OPTIMIZER, own)
    inputs, family = raw["inputs"][key.dataset], network.settings.get("family")
    foreign = _settings_of_others(family, optimizer.settings.get("optimizer"))
    layers = [network, optimizer]
    layers.append(Layer(f"inputs.{key.dataset}.{DEFAULT}", large_enough(inputs.get(DEFAULT, {}), family)))
    layers.append(Layer(f"inputs.{key.dataset}.{family}", inputs.get(str(family), {})))
    layers += [Layer(layer.place, _without(layer.settings, {*REFERENCES, *foreign})) for layer in own[:-1]]
    layers += [Layer(own[-1].place, _without(own[-1].settings, REFERENCES))]
    for layer in layers[2:]:
        for name in ("family", "optimizer"):
            if name in layer.settings:
                allowed = "no such key here; a cell's network and optimizer have it"
                raise ParamError(f"params.yaml: {layer.place}.{name}", layer.settings[name], allowed)
    settings = {name: value for layer in layers for name, value in layer.settings.items()}
    try:
        cell = Cell.of(settings)
    except ValidationError as error:
        raise _placed(error, settings, layers) from None
    base = own[-1].settings.get(BASE)
    return ResolvedCell(key, cell, base, *(_of_an_alternative(key, name, own) for name in (EPOCHS, PRECISION)))


def large_enough(settings: Mapping[str, Any], family: Any) -> Mapping[str, Any]:
    """Settings for all families as a family takes them: `input_size` raised to its smallest, where that is larger."""
    size = settings.get(INPUT_SIZE)
    if type(size) is not int or size < 1 or family not in families():
        return settings  # refused where the cell is validated
    return {**settings, INPUT_SIZE: max(size, family_settings(family).SMALLEST_INPUT)}


def changed_settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names of the settings in which two cells differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def is_one_change(changed: Iterable[str]) -> bool:
    """Whether changed settings are one thing: a single one, or several of one group."""
    names = set(changed)
    return len(names) == 1 or any(names and names <= group for group in GROUPS)


def _layers(key: CellKey, dataset: Mapping[str, Mapping[str, Any]]) -> list[Layer]:
    """What a cell and its bases say, the last base first. Raises ParamError for no such base, or a circle of them."""
    layers: list[Layer] = []
    section, name, seen = key.section, key.name, list[str]()
    while True:
        settings = dataset[section][name]
        place = f"{section}.{key.dataset}.{name}"
        if not isinstance(settings, dict):
            raise ParamError(f"params.yaml: {place}", settings, "a mapping of keys to values")
        layers.insert(0, Layer(place, settings))
        seen.append(name)
        if BASE not in settings:
            return layers
        base = settings[BASE]
        sections = [other for other in ("cells", "alternatives") if base in list(dataset[other])]
        if section == "cells" or not sections or base in seen:
            others = [other for part in dataset.values() for other in part if other not in seen]
            allowed = "no base for a table's cell" if section == "cells" else "one of " + ", ".join(others)
            raise ParamError(f"params.yaml: {place}.{BASE}", base, allowed)
        section, name = sections[0], base


def _reference(entries: Mapping[str, Any], section: str, key: str, own: list[Layer]) -> Layer:
    """The entry of a section that a cell, or its base, names by `key`."""
    layer = _last_with(key, own)
    if layer is None:
        raise StageError(f"params.yaml: {own[-1].place}.{key} is missing; allowed: one of {', '.join(entries)}")
    name = layer.settings[key]
    if name not in list(entries):
        raise ParamError(f"params.yaml: {layer.place}.{key}", name, "one of " + ", ".join(entries))
    return Layer(f"{section}.{name}", entries[name])


def _last_with(key: str, layers: list[Layer]) -> Layer | None:
    """The layer that decides a setting: the last one that has it."""
    return next((layer for layer in reversed(layers) if key in layer.settings), None)


def _settings_of_others(family: Any, optimizer: Any) -> set[str]:
    """The settings that other families and optimizers have, and these two have not."""
    networks = {name: family_settings(name).model_fields.keys() for name in families()}
    optimizers = {name: kind.model_fields.keys() for name, kind in OPTIMIZERS.items()}
    every = set().union(*networks.values(), *optimizers.values())
    return every - networks.get(family, set()) - optimizers.get(optimizer, set())


def _without(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    left_out = set(names)
    return {name: value for name, value in settings.items() if name not in left_out}


def _of_an_alternative(key: CellKey, name: str, own: list[Layer]) -> Any:
    """An alternative's `epochs` or `precision`, its own or its base's; None where neither has it."""
    layer = _last_with(name, own)
    if layer is None:
        return None
    value = layer.settings[name]
    if key.section == "cells":
        raise ParamError(
            f"params.yaml: {layer.place}.{name}", value, "no such key in a table's cell; its budget has it"
        )
    try:
        return _OWN[name].validate_python(value, strict=True)
    except ValidationError as error:
        raise param_error(error, value, f"params.yaml: {layer.place}.{name}") from None


def _placed(error: ValidationError, settings: Mapping[str, Any], layers: list[Layer]) -> StageError:
    """pydantic's first finding at the place in params.yaml that the setting comes from."""
    layer = _last_with(refused_keys(error, settings)[0].top, layers) or layers[-1]
    return param_error(error, settings, f"params.yaml: {layer.place}.")
