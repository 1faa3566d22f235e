"""Wide residual networks (Zagoruyko and Komodakis 2016) for small images, of any input size."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from stages.config.settings import Epsilon, Fraction, Momentum, NetworkSettings

if TYPE_CHECKING:
    from torch import nn


class Settings(NetworkSettings):
    """`depth` counts the convolutions, as the publication does: 4 and 6 for each block of a stage; `width` is its k.

    Dropout stands between the two convolutions of a block.
    """

    SMALLEST_INPUT: ClassVar[int] = 1  # every strided layer is padded, so one pixel stays one pixel

    family: Literal["wideresnet"]
    depth: Literal[10, 16, 22, 28, 40]
    width: Annotated[int, Field(ge=1, le=16)]
    dropout: Fraction
    batch_norm_eps: Epsilon
    batch_norm_momentum: Momentum

    def build(self, *, channels: int, classes: int, input_size: int) -> "nn.Module":
        """See `network.build`; the network is the same for every input size."""
        from stages.engine.networks.wideresnet.network import build

        return build(self, channels, classes)
