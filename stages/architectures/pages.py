"""The files of all networks of a budget, rendered from their record: a table and a drawing each, a list of them all.

No PyTorch: `verify` renders them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from stages.records.architecture import NETWORKS, Block, Networks

_WIDTH, _GAP, _MARGIN, _TOP, _INSET, _LINE = 262, 26, 16, 56, 8, 14  # pixels
_IN_A_LINE = 4  # boxes
_LETTER = 6.1  # pixels; a fixed-width typeface of 10 pixels takes at most 6.02 a character
_ROOM = int((_WIDTH - 2 * _INSET) / _LETTER)  # characters in a line of a box
_FIXED = "\N{NO-BREAK SPACE}"
_FILLS = {"conv": "#dbe7ff", "linear": "#ffe3cf", "max-pool": "#e3f4e1", "average-pool": "#e3f4e1"}


@dataclass(frozen=True)
class Placed:
    """A box where it stands in the drawing, in pixels, and its lines of text: title, layers, sizes."""

    box: Block
    title: list[str]
    layers: list[str]
    sizes: list[str]
    x: int
    y: int
    height: int
    fill: str
    width: int = _WIDTH


def architecture_files(found: Networks) -> dict[str, str]:
    """Every file, by its name: `<data set>-<cell>.md` and `.svg` of each network, `index.md`, networks.json."""
    files: dict[str, str] = {}
    for network in found.networks:
        placed, arrows, height = _place(network.blocks)
        width = 2 * _MARGIN + _IN_A_LINE * _WIDTH + (_IN_A_LINE - 1) * _GAP
        drawing = {"placed": placed, "arrows": arrows, "width": width, "height": height}
        drawing |= {"inset": _INSET, "line_height": _LINE}
        of_network = {"budget": found.budget, "network": network}
        files[f"{network.name}.md"] = _render("architecture.md.j2", **of_network)
        files[f"{network.name}.svg"] = _render("architecture.svg.j2", **of_network, **drawing)
    files["index.md"] = _render("index.md.j2", budget=found.budget, networks=found.networks)
    files[NETWORKS] = found.text()
    return files


def _place(found: Sequence[Block]) -> tuple[list[Placed], list[str], int]:
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


def _texts(box: Block) -> tuple[list[str], list[str], list[str]]:
    """Title, layers and sizes of a box, in lines that fit into it."""
    sizes = (f"{box.multiply_adds:,} multiply-adds", f"{box.parameters:,} parameters", f"out {box.output_shape}")
    layers = [part for line in box.layers for part in _wrapped(line)]
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


def _fill(box: Block) -> str:
    if ":" in box.title:
        return "#f3e8ff"  # a block of several layers
    return next((fill for word, fill in _FILLS.items() if box.layers[0].startswith(word)), "#f4f4f4")


def _render(template: str, **content: Any) -> str:
    return _template(template).render(**content)


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=name.endswith(".svg.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(name)
