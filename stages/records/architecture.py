"""`networks.json`: the networks of a budget as they are built, as stage `architectures` writes it.

It holds all that the pages and drawings beside it show, and they are rendered from it. Each layer and each block is one
line of the file, and has `training_only` only where that is true.
"""

import json
from typing import Annotated, Any

from pydantic import Field

from stages.records.record import Count, Natural, NonEmptyStr, Record, Section

NETWORKS = "networks.json"
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]
_LINE_DEPTH = 4  # the depth of a layer and of a block: networks, a network, its layers, a layer


class Layer(Section):
    """One call of a layer. Shape and multiply-adds are of one image; a second call has the same parameters again."""

    name: Text
    type: Text
    output_shape: Text
    parameters: Natural
    multiply_adds: Natural
    training_only: bool = False


class Block(Section):
    """A block of the drawing: its title, its layers or branches in words, its output's shape, and its sizes."""

    title: Text
    layers: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    output_shape: Text
    parameters: Natural
    multiply_adds: Natural
    training_only: bool = False


class NetworkGroup(Section):
    """The cells that build one network, by params.yaml, with the network's name, title and input.

    `name` is that of its page and of its drawing: `<name>.md` and `<name>.svg`.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    title: Text
    input: Text
    cells: Annotated[list[Text], Field(min_length=1, max_length=1000)]


class Network(NetworkGroup):
    """A network as it is built; `multiply_adds` are of one image's forward pass in evaluation."""

    parameters: Count
    multiply_adds: Count
    layers: Annotated[list[Layer], Field(min_length=1, max_length=10_000)]
    blocks: Annotated[list[Block], Field(min_length=1, max_length=1000)]

    @property
    def sizes(self) -> str:
        """Its input and sizes in words."""
        counts = f"{self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds an image"
        return f"input {self.input}, {counts}"


class Networks(Record):
    """Those of a budget."""

    budget: NonEmptyStr
    networks: Annotated[list[Network], Field(max_length=1000)]

    @classmethod
    def text_of(cls, content: dict[str, Any]) -> str:
        """The text of a content, with a line for each layer and block."""
        return _indented(content) + "\n"


def _indented(value: Any, depth: int = 0) -> str:
    """JSON with one line for each value at `_LINE_DEPTH`, and as in every record above that."""
    if depth == _LINE_DEPTH or not isinstance(value, dict | list) or not value:
        return json.dumps(_without_default(value), ensure_ascii=False, allow_nan=False)
    if isinstance(value, dict):
        opened, closed = "{}"
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_indented(one, depth + 1)}" for key, one in value.items()]
    else:
        opened, closed = "[]"
        parts = [_indented(one, depth + 1) for one in value]
    inner = f",\n{' ' * (depth + 1)}".join(parts)
    return f"{opened}\n{' ' * (depth + 1)}{inner}\n{' ' * depth}{closed}"


def _without_default(value: Any) -> Any:
    """A layer or block without `training_only` where that is false; any other value as it is."""
    if isinstance(value, dict) and value.get("training_only") is False:
        return {name: one for name, one in value.items() if name != "training_only"}
    return value
