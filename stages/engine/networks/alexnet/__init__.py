"""AlexNet (Krizhevsky et al. 2012) and ZFNet (Zeiler and Fergus 2013), for inputs of any size from 63 up."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from stages.config.settings import Fraction, NetworkSettings

if TYPE_CHECKING:
    from torch import nn


class Settings(NetworkSettings):
    """`layout` says whose first two convolutions: 11x11/4 and 5x5 (alexnet), or 7x7/2 and 5x5/2 (zfnet).

    `groups` splits the channels of the second, fourth and fifth convolution, as AlexNet's publication does for two
    GPUs. Dropout comes before each hidden layer.
    """

    SMALLEST_INPUT: ClassVar[int] = 63  # the third max-pool of `alexnet` then leaves one pixel

    family: Literal["alexnet"]
    layout: Literal["alexnet", "zfnet"]
    groups: Literal[1, 2]
    hidden_layers: Annotated[list[Annotated[int, Field(ge=1, le=16384)]], Field(max_length=4)]
    dropout: Fraction

    def build(self, *, channels: int, classes: int, input_size: int) -> "nn.Module":
        """See `network.build`."""
        from stages.engine.networks.alexnet.network import build

        return build(self, channels, classes, input_size)
