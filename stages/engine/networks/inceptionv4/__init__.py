"""Inception-v4 (Szegedy et al. 2016) for inputs of any size from 75 up."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from stages.config.settings import Epsilon, Fraction, Momentum, NetworkSettings

if TYPE_CHECKING:
    from torch import nn


class Settings(NetworkSettings):
    """`modules` is how many Inception-A, B and C modules there are: 4, 7 and 3 in the publication.

    Dropout comes before the last layer.
    """

    SMALLEST_INPUT: ClassVar[int] = 75  # the second reduction then leaves one pixel

    family: Literal["inceptionv4"]
    modules: Annotated[list[Annotated[int, Field(ge=1, le=16)]], Field(min_length=3, max_length=3)]
    dropout: Fraction
    batch_norm_eps: Epsilon
    batch_norm_momentum: Momentum

    def build(self, *, channels: int, classes: int, input_size: int) -> "nn.Module":
        """See `network.build`; the network is the same for every input size."""
        from stages.engine.networks.inceptionv4.network import build

        return build(self, channels, classes)
