"""The pages of all networks of a budget: a table and a drawing each, one for all cells that build the same network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.architectures.describe import Box, boxes, table_lines
from stages.architectures.trace import trace
from stages.config.params import Params
from stages.config.settings import Cell, family_settings
from stages.engine.network import multiply_adds, network_of, parameter_count
from stages.records.architecture import NETWORKS, Network, Networks

_INIT = "init"  # how the first weights are drawn: no part of the architecture
_WIDTH, _GAP, _MARGIN, _TOP, _INSET, _LINE = 262, 26, 16, 56, 8, 14  # pixels
_IN_A_LINE = 4  # boxes
_LETTER = 6.1  # pixels; a fixed-width typeface of 10 pixels takes at most 6.02 a character
_ROOM = int((_WIDTH - 2 * _INSET) / _LETTER)  # characters in a line of a box
_FIXED = "\N{NO-BREAK SPACE}"
_FILLS = {"conv": "#dbe7ff", "linear": "#ffe3cf", "max-pool": "#e3f4e1", "average-pool": "#e3f4e1"}


@dataclass(frozen=True)
class Placed:
    """A box where it stands in the drawing, in pixels, and its lines of text: title, layers, sizes."""

    box: Box
    title: list[str]
    layers: list[str]
    sizes: list[str]
    x: int
    y: int
    height: int
    fill: str
    width: int = _WIDTH


def architecture_files(params: Params, budget: str) -> dict[str, str]:
    """Every file, by its name: `<data set>-<cell>.md` and `.svg` of each network, `index.md`, networks.json."""
    files: dict[str, str] = {}
    networks = []
    for cells in _groups(params, budget):
        content = _network(params, budget, cells)
        networks.append(content)
        files[f"{content['name']}.md"] = _render("architecture.md.j2", **content)
        files[f"{content['name']}.svg"] = _render("architecture.svg.j2", **content)
    files["index.md"] = _render("index.md.j2", budget=budget, networks=networks)
    files[NETWORKS] = Networks(budget=budget, networks=[_recorded(one) for one in networks]).text()
    return files


def _recorded(content: dict[str, Any]) -> Network:
    """A network as the book reads it."""
    return Network(**{name: content[name] for name in Network.model_fields})


def _groups(params: Params, budget: str) -> list[list[str]]:
    """The cells that build the same network, tables' cells first."""
    groups: dict[str, list[str]] = {}
    for cell in (str(key) for key in params.cell_keys(planned=False)):
        settings = params.settings(cell, budget).cell
        names = [name for name in family_settings(settings.family).model_fields if name != _INIT]
        values = [getattr(settings, name) for name in (*names, "input_size")]
        groups.setdefault(repr((cell.partition("/")[0], values)), []).append(cell)
    return list(groups.values())


def _network(params: Params, budget: str, cells: list[str]) -> dict[str, Any]:
    dataset = cells[0].partition("/")[0]
    settings: Cell = params.settings(cells[0], budget).cell
    data = params.datasets.of(dataset)
    with torch.device("meta"):
        model = network_of(settings, {"channels": data.channels, "classes": data.classes})
    root = trace(model, data.channels, settings.input_size)
    placed, arrows, height = _place(boxes(root))
    size, parameters = settings.input_size, parameter_count(model)
    counted = multiply_adds(model, data.channels, size)
    given = f"{data.channels} x {size} x {size}"
    return {
        "name": cells[0].replace("/", "-"),
        "title": f"{cells[0]}: {settings.family} on {data.title}",
        "sizes": f"input {given}, {parameters:,} parameters, {counted:,} multiply-adds an image",
        "input": given,
        "budget": budget,
        "cells": cells,
        "lines": table_lines(root),
        "parameters": parameters,
        "multiply_adds": counted,
        "placed": placed,
        "arrows": arrows,
        "width": 2 * _MARGIN + _IN_A_LINE * _WIDTH + (_IN_A_LINE - 1) * _GAP,
        "height": height,
        "inset": _INSET,
        "line_height": _LINE,
    }


def _place(found: Sequence[Box]) -> tuple[list[Placed], list[str], int]:
    """The boxes in lines from left to right, the arrows between them, and the drawing's height."""
    placed: list[Placed] = []
    y = _TOP
    for start in range(0, len(found), _IN_A_LINE):
        line = [(box, _texts(box)) for box in found[start : start + _IN_A_LINE]]
        height = 2 * _INSET + _LINE * max(sum(map(len, texts)) for _, texts in line)
        for place, (box, texts) in enumerate(line):
            placed.append(Placed(box, *texts, _MARGIN + place * (_WIDTH + _GAP), y, height, _fill(box)))
        y += height + _GAP
    return placed, [_arrow(one, other) for one, other in _steps(placed)], y


def _texts(box: Box) -> tuple[list[str], list[str], list[str]]:
    """Title, layers and sizes of a box, in lines that fit into it."""
    sizes = (f"{box.multiply_adds:,} multiply-adds", f"{box.parameters:,} parameters", f"out {box.shape}")
    layers = [part for line in box.lines for part in _wrapped(line)]
    return _wrapped(box.title), layers, [part for line in sizes for part in _wrapped(line)]


def _wrapped(text: str) -> list[str]:
    """A line of a box as lines that fit: broken between layers, or within a word where one layer is too long."""
    joined = text.replace(" ", _FIXED).replace(f"{_FIXED}>{_FIXED}", f" >{_FIXED}")
    first, *others = (line.replace(_FIXED, " ") for line in wrap(joined, _ROOM - 2, break_on_hyphens=False))
    return [first, *(f"{2 * _FIXED}{line}" for line in others)]  # SVG drops spaces at the start


def _steps(placed: Sequence[Placed]) -> list[tuple[Placed, Placed]]:
    """Which box leads to which: each to the next of evaluation's, and to those of training alone before it."""
    steps, last = [], placed[0]
    for _, box in pairwise(placed):
        steps.append((last, box))
        last = last if box.box.training_only else box
    return steps


def _arrow(one: Placed, other: Placed) -> str:
    """A path with a small head, from the right of a box to the left of the next, over the gap between two lines."""
    out, into = (one.x + one.width, one.y + one.height // 2), (other.x, other.y + other.height // 2)
    head = f"M{into[0] - 6} {into[1] - 4}L{into[0]} {into[1]}L{into[0] - 6} {into[1] + 4}"
    if one.y == other.y and other.x - out[0] == _GAP:
        return f"M{out[0]} {out[1]}H{into[0]}{head}"
    over = other.y - (_GAP // 2 if one.y != other.y else _GAP // 4)
    return f"M{out[0]} {out[1]}h10V{over}H{into[0] - 10}V{into[1]}H{into[0]}{head}"


def _fill(box: Box) -> str:
    if ":" in box.title:
        return "#f3e8ff"  # a block of several layers
    return next((fill for word, fill in _FILLS.items() if box.lines[0].startswith(word)), "#f4f4f4")


def _render(template: str, **content: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=template.endswith(".svg.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(**content)
