"""`networks.json`: the networks of a budget as they are built, as stage `architectures` writes it.

It holds all that the pages and drawings beside it show, and they are rendered from it.
"""

from typing import Annotated

from pydantic import Field

from stages.records.record import Count, Natural, NonEmptyStr, Record, Section

NETWORKS = "networks.json"


class Layer(Section):
    """One call of a layer. `output` is the shape of one image; a layer that is called twice counts its weights once."""

    layer: NonEmptyStr
    type: NonEmptyStr
    output: NonEmptyStr
    parameters: Natural
    multiply_adds: Natural
    training_only: bool


class Block(Section):
    """A block of the drawing: its title, what is in it, the shape that it puts out, and its sizes."""

    title: NonEmptyStr
    lines: Annotated[list[NonEmptyStr], Field(min_length=1)]
    shape: NonEmptyStr
    parameters: Natural
    multiply_adds: Natural
    training_only: bool


class Heading(Section):
    """What params.yaml says of a network: its name, and the cells that build it.

    `name` is that of its page and of its drawing: `<name>.md` and `<name>.svg`.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    title: NonEmptyStr
    input: NonEmptyStr
    cells: Annotated[list[NonEmptyStr], Field(min_length=1)]


class Network(Heading):
    """A network as it is built; `multiply_adds` are of one image's forward pass in evaluation."""

    parameters: Count
    multiply_adds: Count
    layers: Annotated[list[Layer], Field(min_length=1)]
    blocks: Annotated[list[Block], Field(min_length=1)]

    @property
    def sizes(self) -> str:
        """Its input and sizes in words."""
        counts = f"{self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds an image"
        return f"input {self.input}, {counts}"


class Networks(Record):
    """Those of a budget."""

    budget: NonEmptyStr
    networks: list[Network]
