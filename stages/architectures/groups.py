"""Which cells of a budget build the same network, by params.yaml alone."""

from stages.config.params import Params
from stages.config.settings import family_settings
from stages.records.architecture import NetworkGroup

_INIT = "init"  # how the first weights are drawn: no part of the architecture


def groups_of_cells(params: Params, budget: str) -> list[NetworkGroup]:
    """Name, title, input and cells of each distinct network, which is named by its first cell; tables' cells first."""
    groups: dict[str, list[str]] = {}
    for cell in (str(key) for key in params.cell_keys(planned=False)):
        settings = params.settings(cell, budget).cell
        names = [name for name in family_settings(settings.family).model_fields if name != _INIT]
        values = [getattr(settings, name) for name in (*names, "input_size")]
        groups.setdefault(repr((cell.partition("/")[0], values)), []).append(cell)
    return [_group(params, budget, cells) for cells in groups.values()]


def _group(params: Params, budget: str, cells: list[str]) -> NetworkGroup:
    settings, data = params.settings(cells[0], budget).cell, params.datasets.of(cells[0].partition("/")[0])
    return NetworkGroup(
        name=cells[0].replace("/", "-"),
        title=f"{cells[0]}: {settings.family} on {data.title}",
        input=f"{data.channels} x {settings.input_size} x {settings.input_size}",
        cells=cells,
    )
