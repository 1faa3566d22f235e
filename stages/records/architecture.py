"""`networks.json`: the networks of a budget as they are built, as stage `architectures` writes it."""

from typing import Annotated

from pydantic import Field

from stages.records.record import Count, NonEmptyStr, Record, Section

NETWORKS = "networks.json"


class Network(Section):
    """A network, and the cells that build it; `multiply_adds` are of one image's forward pass in evaluation.

    `name` is that of its page, which has its layers, and of its drawing: `<name>.md` and `<name>.svg`.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    title: NonEmptyStr
    input: NonEmptyStr
    cells: Annotated[list[NonEmptyStr], Field(min_length=1)]
    parameters: Count
    multiply_adds: Count


class Networks(Record):
    """Those of a budget."""

    budget: NonEmptyStr
    networks: list[Network]
