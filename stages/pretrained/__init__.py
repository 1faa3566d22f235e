"""The trained networks: `from stages.pretrained import load`."""

import stages.core.environment  # noqa: F401
from stages.pretrained.network import Pretrained, load

__all__ = ["Pretrained", "load"]
