"""What a log's counts say of the data set it was trained on."""

from collections.abc import Iterator

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.rounding import percent
from stages.config.params import Params
from stages.config.schema import DATASETS
from stages.paper.schema import Paper, PrintedLog

STEPS = "steps"
VALIDATION_IMAGES = "validation-images"


def batches(images: int, steps: int) -> list[int]:
    """The powers of two that, as batch size, take so many steps through so many images: ceil(images / batch) = steps.

    Twice the images in batches of twice the size take the same steps, so augmented copies change nothing of it.
    """
    sizes = [2**power for power in range(images.bit_length())]
    return [size for size in sizes if -(-images // size) == steps]


def steps(paper: Paper, params: Params) -> Iterator[Finding]:
    """Steps per epoch that fit no batch size on the data set of the figure's caption."""
    for log in paper.logs:
        for count in dict.fromkeys(epoch.steps for epoch in log.epochs):
            own = params.datasets.of(log.dataset)
            if batches(own.train_images, count):
                continue
            fitting = [
                f"{params.datasets.of(name).title} ({params.datasets.of(name).train_images} images, batches of {size})"
                for name in DATASETS
                for size in batches(params.datasets.of(name).train_images, count)
            ]
            sentence = f"It would fit {' or '.join(fitting)}." if fitting else "It fits none of the data sets."
            yield Finding(
                STEPS,
                Confidence.LIKELY,
                (log.place,),
                f"{count} steps an epoch",
                f"{own.title}: {own.train_images} training images in batches of any power of two",
                sentence,
            )


def validation_images(paper: Paper, params: Params) -> Iterator[Finding]:
    """Validation accuracies that are no whole number of the validation images of the caption's data set."""
    for log in paper.logs:
        own = params.datasets.of(log.dataset)
        found = _broken(log, own.validation_images)
        if not found:
            continue
        fitting = [
            f"{params.datasets.of(name).title} ({params.datasets.of(name).validation_images})"
            for name in DATASETS
            if not _broken(log, params.datasets.of(name).validation_images)
        ]
        yield Finding(
            VALIDATION_IMAGES,
            Confidence.LIKELY,
            (log.place,),
            f"validation accuracies {', '.join(found)} %",
            f"{own.title}: {own.validation_images} validation images",
            "These shares are no whole numbers of images"
            + (f"; the log would fit {' or '.join(fitting)}." if fitting else "."),
        )


def _broken(log: PrintedLog, images: int) -> list[str]:
    values = [epoch.validation_accuracy for epoch in log.epochs]
    return [value for value in values if not percent(value).scaled(images).integers()]
