"""The networks as they are built, read from what stage `architectures` wrote (the paper's Figs. 3-5)."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import CorruptFileError
from stages.core.regular import LARGEST_TEXT, is_there, read_regular
from stages.records.architecture import NETWORKS, Network, Networks

_COLUMNS = 5  # of a page's table: layer, type, output, parameters, multiply-adds
_LAYER = "| `"  # how a layer's line begins


@dataclass(frozen=True)
class NetworkPage:
    """A network, the lines of its table, and its drawing: an SVG in base64, a picture in which no script runs."""

    network: Network
    layers: list[list[str]]
    drawing: str


def read_networks(folder: Path | None, budget: str) -> list[NetworkPage]:
    """The networks of a budget; none where they were not written. Raises StageError for files that are not theirs."""
    if folder is None or not is_there(folder / NETWORKS):
        return []
    made_by = f"dvc repro architectures@{budget}"
    pages = []
    for network in Networks.read(folder / NETWORKS, made_by).networks:
        drawing = read_regular(folder / f"{network.name}.svg", made_by, LARGEST_TEXT)
        layers = list(_layers(folder / f"{network.name}.md", made_by))
        pages.append(NetworkPage(network, layers, base64.b64encode(drawing).decode()))
    return pages


def _layers(page: Path, made_by: str) -> Iterator[list[str]]:
    """The cells of each layer's line, without marks of code."""
    for line in read_regular(page, made_by, LARGEST_TEXT).decode(errors="replace").splitlines():
        if line.startswith(_LAYER):
            cells = line.strip("| ").split(" | ")
            if len(cells) != _COLUMNS:
                raise CorruptFileError(page, f"a line of {len(cells)} columns", f"{_COLUMNS} ({made_by})")
            yield [cell.strip("`") for cell in cells]
