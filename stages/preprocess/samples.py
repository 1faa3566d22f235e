"""Sample sheets (the paper's Figs. 1 and 2): the first training images of each class, plain or augmented."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.utils import make_grid

PER_CLASS = 10
SCALE = 2  # pixels of the sheet per pixel of an image


def sample_sheet(images: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int) -> Image.Image:
    """One row a class, `PER_CLASS` images each; a class with fewer leaves its row short."""
    rows = np.zeros((classes, PER_CLASS, *images.shape[1:]), np.uint8)
    for label in range(classes):
        found = images[np.flatnonzero(labels == label)[:PER_CLASS]]
        rows[label, : len(found)] = found
    tiles = torch.from_numpy(rows.reshape(-1, *images.shape[1:]))
    grid = make_grid(tiles, nrow=PER_CLASS, padding=2, pad_value=255)
    sheet = Image.fromarray(grid.permute(1, 2, 0).numpy())
    return sheet.resize((sheet.width * SCALE, sheet.height * SCALE), Image.Resampling.NEAREST)
