"""ResNets (He et al. 2015, Table 1), with the stem of the text or the one usual for small images."""

from typing import TYPE_CHECKING, ClassVar, Literal

from stages.config.settings import Epsilon, Momentum, NetworkSettings

if TYPE_CHECKING:
    from torch import nn


class Settings(NetworkSettings):
    """`depth` counts the layers with weights.

    `stem` is a 7x7/2 convolution and a 3x3/2 max-pool, or a 3x3/1 convolution and no max-pool.
    """

    SMALLEST_INPUT: ClassVar[int] = 1  # every strided layer is padded, so one pixel stays one pixel

    family: Literal["resnet"]
    depth: Literal[18, 34, 50, 101]
    stem: Literal["7x7", "3x3"]
    batch_norm_eps: Epsilon
    batch_norm_momentum: Momentum

    def build(self, *, channels: int, classes: int, input_size: int) -> "nn.Module":
        """See `network.build`; the network is the same for every input size."""
        from stages.engine.networks.resnet.network import build

        return build(self, channels, classes)
