"""The conditions a budget trains under, and where they depart from the paper's: all images, 10 epochs, no overrides."""

from dataclasses import dataclass
from typing import Any

from stages.config.params import counted
from stages.report.evidence import Evidence
from stages.report.formats import listed
from stages.report.markdown import code, escape


@dataclass(frozen=True)
class Conditions:
    """Sizes of a training beside the paper's, and the settings of the cells that the budget replaces."""

    images: int
    all_images: int
    epochs: int
    paper_epochs: int
    test_images: int
    all_test_images: int
    replaced: tuple[str, ...]

    @property
    def as_paper(self) -> bool:
        """Whether the numbers can be held against the paper's."""
        return not self.replaced and (self.images, self.epochs, self.test_images) == (
            self.all_images,
            self.paper_epochs,
            self.all_test_images,
        )

    def sizes(self) -> list[str]:
        """Training images, epochs and test images, each beside the paper's where they differ."""
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        return [
            f"{_of(self.images, self.all_images)} training images",
            epochs if self.epochs == self.paper_epochs else f"{epochs} (paper: {self.paper_epochs})",
            f"{_of(self.test_images, self.all_test_images)} test images",
        ]


def conditions(evidence: Evidence, dataset: str, cells: list[str]) -> Conditions:
    """The conditions of cells of one family on one data set."""
    settings = [evidence.params.find(f"{dataset}/{cell}")[1] for cell in cells]
    share = evidence.budget.train.of(dataset).of(settings[0].family)
    sizes = evidence.dataset(dataset)
    return Conditions(
        images=counted(share.images, sizes.train_images),
        all_images=sizes.train_images,
        epochs=share.epochs,
        paper_epochs=evidence.paper.epochs,
        test_images=evidence.test_images(dataset),
        all_test_images=sizes.test_images,
        replaced=tuple(_replacements(share.overrides, [cell.model_dump() for cell in settings])),
    )


def _replacements(overrides: dict[str, Any], cells: list[dict[str, Any]]) -> list[str]:
    """What an override changes; one that says what every cell says anyway changes nothing."""
    lines = []
    for name, value in overrides.items():
        others = sorted({str(cell[name]) for cell in cells if cell[name] != value})
        if others:
            lines.append(f"{code(name)} {escape(str(value))} instead of {escape(listed(others, 'or'))}")
    return lines


def _of(some: int, every: int) -> str:
    return f"all {every}" if some == every else f"{some} of {every}"
