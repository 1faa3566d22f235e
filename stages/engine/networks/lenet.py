"""LeNet-5 (LeCun et al. 1998), for inputs of any size from 28 up.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition, Proceedings of the
IEEE 86 (11), section II-B and Fig. 2. Its 60,000 trainable parameters are those of C1 to F6. Two things differ here.
The output layer is linear, as the loss is the cross-entropy: there it compares F6 with fixed bitmaps of the characters.
The activation is tanh: there it is 1.7159 tanh(2/3 x).
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from stages.config.settings import NetworkSettings

if TYPE_CHECKING:
    from torch import nn

# Table I there: the maps of S2 that each map of C3 reads, by how many these are.
CONNECTIONS = (
    [[(first + step) % 6 for step in range(3)] for first in range(6)],
    [[(first + step) % 6 for step in (0, 1, 2, 3)] for first in range(6)]
    + [[(first + step) % 6 for step in (0, 1, 3, 4)] for first in range(3)],
    [[0, 1, 2, 3, 4, 5]],
)


class Settings(NetworkSettings):
    """LeNet-5 has no settings of its own."""

    SMALLEST_INPUT: ClassVar[int] = 28  # C5 then reads maps of 4 x 4 pixels; of 5 x 5 at the publication's 32

    family: Literal["lenet"]

    def build(self, *, channels: int, classes: int, input_size: int) -> "nn.Module":
        """Build LeNet-5: (N, channels, input_size, input_size) -> logits (N, classes), float32, in train mode."""
        import torch
        from torch import Tensor, nn

        from stages.engine.construction import materialise, pytorch_default

        class Connected(nn.Module):
            """C3: each map reads some maps of S2, (N, 6, side, side) -> (N, 16, side - 4, side - 4)."""

            def __init__(self) -> None:
                super().__init__()
                self.parts = nn.ModuleList(
                    nn.Conv2d(len(part) * len(part[0]), len(part), kernel_size=5, groups=len(part))
                    for part in CONNECTIONS
                )

            def forward(self, x: Tensor) -> Tensor:
                """Convolve the maps that each output reads."""
                maps = x.unbind(1)
                read = [torch.stack([maps[index] for one in part for index in one], 1) for part in CONNECTIONS]
                return torch.cat([convolve(x) for convolve, x in zip(self.parts, read, strict=True)], 1)

        def subsampling(maps: int) -> list[nn.Module]:
            """The mean of 2 x 2 pixels, times a weight and plus a bias for each map."""
            return [nn.AvgPool2d(2), nn.Conv2d(maps, maps, kernel_size=1, groups=maps), nn.Tanh()]

        side = ((input_size - 4) // 2 - 4) // 2
        with torch.device("meta"):
            model = nn.Sequential(
                *(nn.Conv2d(channels, 6, kernel_size=5), nn.Tanh(), *subsampling(6)),  # C1, S2
                *(Connected(), nn.Tanh(), *subsampling(16)),  # C3, S4
                *(nn.Conv2d(16, 120, kernel_size=side), nn.Tanh(), nn.Flatten()),  # C5
                *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, classes)),  # F6, output
            )
        return materialise(model, self.init, pytorch_default)
