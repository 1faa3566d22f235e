"""The reference: PyTorch training as most people write it.

torchvision's networks as they are, a Dataset of PIL images with torchvision's transforms, a DataLoader with two
workers, float32, PyTorch's default Adam, and `.item()` on the loss in every step.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import googlenet, resnet18, vgg16_bn

from benchmarks.families import DATA, FAMILIES, LR, description
from benchmarks.race import Steps

WORKERS = 2
AUXILIARY_WEIGHT = 0.3


class Cifar10(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR10 gives them: a PIL image each, then the transforms."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8], described: dict[str, Any]) -> None:
        self.images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        self.labels = labels.tolist()
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(described["mean"], described["std"])]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def network(family: str, same_head: bool = False) -> nn.Module:
    """torchvision's network for ten classes; `same_head` gives VGG16 the head that ours has at 32x32."""
    if family == "resnet18":
        return resnet18(num_classes=10)
    if family == "googlenet":
        return googlenet(num_classes=10, aux_logits=True, init_weights=True)
    model = vgg16_bn(num_classes=10)
    if same_head:
        model.avgpool = nn.Identity()
        model.classifier[0] = nn.Linear(512, 4096)
    return model


def total_loss(outputs: Any, labels: Tensor) -> Tensor:
    """Cross-entropy, with GoogLeNet's auxiliary heads weighted."""
    if isinstance(outputs, Tensor):
        return F.cross_entropy(outputs, labels)
    auxiliary = F.cross_entropy(outputs.aux_logits1, labels) + F.cross_entropy(outputs.aux_logits2, labels)
    return F.cross_entropy(outputs.logits, labels) + AUXILIARY_WEIGHT * auxiliary


def reference(family: str, threads: int, same_head: bool = False) -> Callable[[], Steps]:
    """Build the loader, network and optimizer; the loader's workers live as long as the steps do."""
    torch.set_num_threads(threads)
    images, labels = (np.load(DATA / f"train_{name}.npy") for name in ("images", "labels"))
    dataset = Cifar10(images, labels, description())
    loader = DataLoader(dataset, batch_size=FAMILIES[family].batch_size, shuffle=True, num_workers=WORKERS)
    model = network(family, same_head)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    def steps() -> Steps:
        model.train()
        running_loss = 0.0
        while True:
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = total_loss(model(inputs), targets)
                loss.backward()
                optimizer.step()
                running_loss += loss.item()
                yield len(targets)

    return steps
