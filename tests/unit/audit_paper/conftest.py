"""A paper that adds up: every number printed by rounding one that was counted, with scikit-learn's own reports."""

import csv
from collections.abc import Callable, Iterator
from math import ceil, log
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import classification_report

from stages.config.params import Params
from stages.paper.reading import read_paper
from stages.paper.schema import Paper
from tests.shipped import shipped_params

REPOSITORY = Path(__file__).resolve().parents[3]
SHARES = {"mnist": (0.96, 0.995), "cifar10": (0.66, 0.86)}  # of recognised images, in every row
EPOCHS = 10

# Claims that hold of every such paper, one for each quantity and relation that a rule tests.
CLAIMS = """\
section,says,quantity,relation,value,reading,dataset,families,where,exceptions
I,scores of digits,every score,at least,60,printed,mnist,,,
I,scores of objects,f1,above,80,printed,cifar10,,,airplane;automobile;bird;cat;deer;dog;frog;horse;ship;truck
I,digits are easier,accuracy,mostly above,cifar10,ours,mnist,,,
I,depth,accuracy spread,at most,30,printed,,vgg,VGG16;VGG11;VGG19,
I,augmentation,accuracy gain,at most,30,printed,,vgg,VGG16 with Data Augmentation;VGG16,
I,momentum,accuracy gain,at least,-30,printed,,resnet,ResNet18 with SGD and momentum;ResNet18,
I,plain VGG,row,is printed,VGG16,printed,,vgg,,
I,augmented,row,is named,data augmentation,printed,,,,
I,gap,train-validation gap,at most,claims.overfitting.gap,ours,,,,
I,batches,batch size,at most,128,printed,,,,
I,epochs,epochs,equals,10,printed,,,,
I,ResNet is fast,training minutes,lowest,resnet,ours,,,,
I,images of MNIST,training images,equals,60000,printed,mnist,,,
I,tests of CIFAR10,test images,equals,10000,printed,cifar10,,,
I,classes of MNIST,classes,equals,10,printed,mnist,,,
I,size of CIFAR10,image side,equals,32,printed,cifar10,,,
I,colours,channels,equals,3,printed,cifar10,,,
I,heading over IV,data set,equals,cifar10,printed,,,IV;V,
II,text over IV,data set,equals,cifar10,printed,,,IV,
II,input of VGG,input side,equals,224,printed,,vgg,VGG16,
II,size of VGG,parameters,equals,140M,printed,,vgg,VGG16,
"""
PUBLISHED = """\
network,quantity,value,source
VGG16,parameters,138357544,counted
VGG16,input side,224,published
"""


@pytest.fixture(scope="session")
def params() -> Params:
    return shipped_params()


@pytest.fixture(scope="session")
def clean(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Paper]:
    """Makes the clean paper of a seed, and reads it back."""

    def make(seed: int) -> Paper:
        folder = tmp_path_factory.mktemp("paper")
        write_clean_paper(folder, params, np.random.default_rng(seed))
        return read_paper(folder)

    return make


@pytest.fixture(scope="session")
def paper(clean: Callable[[int], Paper]) -> Paper:
    """One clean paper, to plant errors into."""
    return clean(0)


@pytest.fixture(scope="session")
def real() -> Paper:
    return read_paper(REPOSITORY / "data" / "paper")


def write_clean_paper(folder: Path, params: Params, random: np.random.Generator) -> None:
    """Six files, as the real ones are."""
    shares = {dataset: evenly_spread(*ends, random) for dataset, ends in SHARES.items()}
    reports, logs, finals, shown = [], [], [], {}
    for entry in params.figures:
        assert entry.report
        assert entry.log
        family = params.find(f"{entry.dataset}/{entry.cell}")[1].family
        head = {"dataset": entry.dataset, "family": family}
        labels, predictions = tested(entry.dataset, next(shares[entry.dataset]), random)
        shown[entry.dataset, entry.cell] = 100 * float(np.mean(labels == predictions))
        reports += [{"figure": entry.report, **head, **line} for line in report_lines(labels, predictions)]
        lines = log_lines(params, entry.dataset, family, random)
        logs += [{"figure": entry.log, **head, **line} for line in lines]
        accuracy = f"{shown[entry.dataset, entry.cell]:.2f}"
        finals.append({"figure": entry.log, "total_minutes": lines[-1]["elapsed_minutes"], "test_accuracy": accuracy})
    rows = [
        {"table": number, "row": row.row, "accuracy": printed(accuracy, random)}
        for number, table in params.tables.items()
        for row in table.rows
        for accuracy in [shown.get((table.dataset, row.cell)) or 100 * next(shares[table.dataset])]
    ]
    for name, content in (("tables", rows), ("reports", reports), ("logs", logs), ("finals", finals)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(content[0]))
            writer.writeheader()
            writer.writerows(content)
    (folder / "claims.csv").write_text(CLAIMS)
    (folder / "published.csv").write_text(PUBLISHED)


def evenly_spread(low: float, high: float, random: np.random.Generator) -> Iterator[float]:
    """Shares of recognised images, one a row, in no order: drawn freely, some papers would have an outlier."""
    rows = 17
    odds = np.linspace(log(low / (1 - low)), log(high / (1 - high)), rows) + random.uniform(-0.02, 0.02, rows)
    yield from 1 / (1 + np.exp(-random.permutation(odds)))


def tested(dataset: str, share: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of 10,000 images, with classes of one size on CIFAR10 and of several on MNIST."""
    sizes = random.multinomial(10000, [0.1] * 10) if dataset == "mnist" else [1000] * 10
    labels = np.repeat(np.arange(10), sizes)
    recognised = random.random(10000) < (share - 0.1) / 0.9  # the rest is guessed, and every tenth guess is right
    return labels, np.where(recognised, labels, random.integers(0, 10, 10000))


def report_lines(labels: np.ndarray, predictions: np.ndarray) -> list[dict[str, str]]:
    """What scikit-learn prints to three digits, as reports.csv has it."""
    lines = []
    for line in classification_report(labels, predictions, digits=3).splitlines()[1:]:
        if line.strip():
            label, *scores = line.replace(" avg", "_avg").split()
            scores = ["", "", *scores] if label == "accuracy" else scores
            names = ("precision", "recall", "f1", "support")
            lines.append({"label": label.replace("_", " "), **dict(zip(names, scores, strict=True))})
    return lines


def log_lines(params: Params, dataset: str, family: str, random: np.random.Generator) -> list[dict[str, str]]:
    """Epochs of one length, their steps those of a batch that is a power of two, accuracies whole numbers of images."""
    settings = params.datasets.of(dataset)
    steps = ceil(settings.train_images / int(random.choice([32, 64, 128])))
    minutes = random.uniform(0.5, 1) if family == "resnet" else random.uniform(1.5, 3)
    lines = []
    for epoch in range(1, EPOCHS + 1):
        right = int(settings.validation_images * random.uniform(0.4, 0.9))
        validation = 100 * right / settings.validation_images
        elapsed = minutes * (epoch + random.uniform(-0.001, 0.001))
        numbers = {"train_accuracy": validation + random.uniform(0, 1.9), "validation_accuracy": validation}
        printed_numbers = {name: f"{number:.2f}" for name, number in numbers.items()}
        lines.append({"epoch": str(epoch), "steps": str(steps), **printed_numbers, "elapsed_minutes": f"{elapsed:.2f}"})
    return lines


def printed(accuracy: float, random: np.random.Generator) -> str:
    """One or two decimals, or one less where that is a zero, as the paper's tables have them."""
    text = f"{accuracy:.{random.integers(1, 3)}f}"
    return text.removesuffix("0").removesuffix(".") if random.random() < 0.5 else text
