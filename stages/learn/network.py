"""The network of a run, on a data set."""

from typing import Any

from torch import nn

from stages.core.settings import Run
from stages.learn.models import build_model


def network_of(run: Run, description: dict[str, Any]) -> nn.Module:
    """Build the run's network for the data set that `description` (preprocess's dataset.json) describes."""
    return build_model(
        run.cell.family,
        run.cell.architecture(),
        channels=description["channels"],
        classes=len(description["classes"]),
        input_size=run.cell.input_size,
    )
