"""The networks as they are built, read from what stage `architectures` wrote (the paper's Figs. 3-5)."""

import base64
from dataclasses import dataclass
from pathlib import Path

from stages.core.regular import LARGEST_TEXT, is_there, read_regular
from stages.records.architecture import NETWORKS, Network, Networks


@dataclass(frozen=True)
class NetworkPage:
    """A network, and its drawing: an SVG in base64, a picture in which no script runs."""

    network: Network
    drawing: str


def read_networks(folder: Path | None, budget: str) -> list[NetworkPage]:
    """The networks of a budget; none where they were not written. Raises StageError for files that are not theirs."""
    if folder is None or not is_there(folder / NETWORKS):
        return []
    made_by = f"dvc repro architectures@{budget}"
    pages = []
    for network in Networks.read(folder / NETWORKS, made_by).networks:
        drawing = read_regular(folder / f"{network.name}.svg", made_by, LARGEST_TEXT)
        pages.append(NetworkPage(network, base64.b64encode(drawing).decode()))
    return pages
