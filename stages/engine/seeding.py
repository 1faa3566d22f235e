"""Stateless randomness: every draw comes from a seed derived from (run seed, purpose, epoch), never from history."""

import numpy as np
import torch

_PURPOSES = ("weights", "order", "dropout")


def derive(seed: int, purpose: str, epoch: int = 0) -> int:
    """A 63-bit seed for one purpose (`weights`, `order` or `dropout`) and epoch of a run."""
    sequence = np.random.SeedSequence([seed, _PURPOSES.index(purpose), epoch])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def epoch_order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of `count` images in an epoch, drawn on the CPU so that every device sees the same: shape (count,)."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)
