"""The networks of a budget as they are built: one for all cells that build the same."""

from collections.abc import Collection

import torch

from stages.architectures.describe import blocks, layers
from stages.architectures.groups import groups_of_cells
from stages.architectures.trace import trace
from stages.config.params import Params
from stages.engine.network import network_of, parameter_count
from stages.records.architecture import Network, NetworkGroup, Networks


def built_networks(params: Params, budget: str, cells: Collection[str] | None = None) -> Networks:
    """Build each network of a budget on PyTorch's meta device and read it off the modules; nothing is computed.

    With `cells`, those alone that one of them builds.
    """
    asked = [one for one in groups_of_cells(params, budget) if cells is None or not {*cells}.isdisjoint(one.cells)]
    return Networks(budget=budget, networks=[_built(params, budget, group) for group in asked])


def _built(params: Params, budget: str, group: NetworkGroup) -> Network:
    cell = group.cells[0]
    settings, data = params.settings(cell, budget).cell, params.datasets.of(cell.partition("/")[0])
    with torch.device("meta"):
        model = network_of(settings, {"channels": data.channels, "classes": data.classes})
    root = trace(model, data.channels, settings.input_size)
    return Network(
        **group.model_dump(),
        parameters=parameter_count(model),
        multiply_adds=root.total_multiply_adds,
        layers=layers(root),
        blocks=blocks(root),
    )
