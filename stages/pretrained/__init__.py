"""The trained networks: `from stages.pretrained import load`."""

from stages.pretrained.network import Pretrained, load

__all__ = ["Pretrained", "load"]
