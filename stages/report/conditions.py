"""The conditions a budget trains under, and where they depart from the paper's: all images, 10 epochs, no overrides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stages.config.params import resolve_count
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


def conditions(evidence: Evidence, dataset: str, cells: Sequence[str]) -> Conditions:
    """The conditions of cells of one family on one data set. The epochs are those of the cell that has fewest."""
    settings = [evidence.params.settings(f"{dataset}/{cell}", evidence.budget_name) for cell in cells]
    sizes = evidence.dataset(dataset)
    return Conditions(
        images=resolve_count(settings[0].images, sizes.train_images),
        all_images=sizes.train_images,
        epochs=min(one.epochs for one in settings),
        paper_epochs=evidence.paper.epochs,
        test_images=evidence.test_images(dataset),
        all_test_images=sizes.test_images,
        replaced=tuple(_replacements(evidence, dataset, cells)),
    )


def own_epochs(evidence: Evidence, cell: str) -> int | None:
    """The epochs of a cell that trains for fewer than its budget gives; None where it does not."""
    key, settings = evidence.params.find(cell)
    share = evidence.params.share(evidence.budget_name, key.dataset, settings.family)
    epochs = evidence.params.settings(cell, evidence.budget_name).epochs
    return epochs if epochs < share.epochs else None


def _replacements(evidence: Evidence, dataset: str, cells: Sequence[str]) -> Iterator[str]:
    """What the budget's overrides change; one that says what every cell says anyway changes nothing."""
    params, names = evidence.params, [f"{dataset}/{cell}" for cell in cells]
    own = [params.find(name)[1].model_dump() for name in names]
    run = [params.settings(name, evidence.budget_name).cell.model_dump() for name in names]
    share = params.share(evidence.budget_name, dataset, own[0]["family"])
    for name, value in share.overrides.items():
        changed = [before[name] for before, after in zip(own, run, strict=True) if before[name] != after[name]]
        if changed:
            others = sorted({str(before) for before in changed})
            yield f"{code(name)} {escape(str(value))} instead of {escape(listed(others, 'or'))}"


def _of(some: int, every: int) -> str:
    return f"all {every}" if some == every else f"{some} of {every}"
