"""VGG (Simonyan and Zisserman 2014, Table 1): configurations A, D and E, for inputs of any size from 32 up."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from stages.config.settings import Epsilon, Fraction, Momentum, NetworkSettings

if TYPE_CHECKING:
    from torch import nn


class Settings(NetworkSettings):
    """`depth` counts the layers that have weights; dropout follows each hidden layer."""

    SMALLEST_INPUT: ClassVar[int] = 32  # five max-pools halve it to one pixel

    family: Literal["vgg"]
    depth: Literal[11, 16, 19]
    batch_norm: Literal["none", "before_relu", "after_relu"]
    batch_norm_eps: Epsilon
    batch_norm_momentum: Momentum
    hidden_layers: Annotated[list[Annotated[int, Field(ge=1, le=16384)]], Field(max_length=4)]
    dropout: Fraction

    def build(self, *, channels: int, classes: int, input_size: int) -> "nn.Module":
        """See `network.build`."""
        from stages.engine.networks.vgg.network import build

        return build(self, channels, classes, input_size)
