"""GoogLeNet (Szegedy et al. 2014, Table 1) with both auxiliary heads, for inputs of any size from 15 up."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from stages.config.settings import Epsilon, Fraction, Momentum, NetworkSettings

if TYPE_CHECKING:
    from torch import nn


class Settings(NetworkSettings):
    """The loss is that of the logits plus `auxiliary_weight` times that of each auxiliary head.

    `batch_norm_eps` and `batch_norm_momentum` have no effect without batch norm.
    """

    SMALLEST_INPUT: ClassVar[int] = 15  # one pixel at the inception modules 4a to 4e

    family: Literal["googlenet"]
    batch_norm: Literal["none", "before_relu"]
    batch_norm_eps: Epsilon
    batch_norm_momentum: Momentum
    dropout: Fraction
    auxiliary_dropout: Fraction
    auxiliary_weight: Annotated[float, Field(ge=0, le=1)]

    @property
    def loss_weight_of_heads(self) -> float:
        """The weight of each auxiliary head's loss (III-A.2: 0.3)."""
        return self.auxiliary_weight

    def build(self, *, channels: int, classes: int, input_size: int) -> "nn.Module":
        """See `network.build`."""
        from stages.engine.networks.googlenet.network import build

        return build(self, channels, classes, input_size)
