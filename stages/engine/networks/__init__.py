"""The three networks of the paper behind one function; `params.yaml` names a family and describes it."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torchvision.models.googlenet import GoogLeNetOutputs

from stages.engine.networks.construction import choose
from stages.engine.networks.googlenet import build_googlenet
from stages.engine.networks.resnet import build_resnet
from stages.engine.networks.vgg import build_vgg

__all__ = [
    "build_googlenet",
    "build_model",
    "build_resnet",
    "build_vgg",
    "parameter_count",
    "split_outputs",
]

_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "vgg": build_vgg,
    "resnet": build_resnet,
    "googlenet": build_googlenet,
}


def build_model(
    family: str, architecture: Mapping[str, object], *, channels: int, classes: int, input_size: int
) -> nn.Module:
    """Build a family's network: (N, channels, input_size, input_size) -> logits (N, classes), float32, in train mode.

    `architecture` holds the other keyword arguments of the family's `build_...`. Weights depend on torch.manual_seed
    alone. Raises ParamError for a family or a setting that there is not, and for too small an input.
    """
    builder = choose("family", family, _BUILDERS)
    return builder(**architecture, channels=channels, classes=classes, input_size=input_size)


def split_outputs(outputs: Tensor | GoogLeNetOutputs) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Split what a network returned into its logits and the auxiliary heads', the earliest head first.

    All are (N, classes). Only GoogLeNet in train mode has auxiliary logits; otherwise the tuple is empty.
    """
    if isinstance(outputs, Tensor):
        return outputs, ()
    return outputs.logits, (outputs.aux_logits1, outputs.aux_logits2)


def parameter_count(model: nn.Module) -> int:
    """Count the trainable numbers of a network."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
