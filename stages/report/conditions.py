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

    images: int  # of the family that has fewest
    most_images: int
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

    def counted(self, factor: int = 1) -> str:
        """The training images times a factor: one number, or the fewest and the most where families differ."""
        return " to ".join(str(factor * images) for images in sorted({self.images, self.most_images}))

    def sizes(self) -> list[str]:
        """Training images, epochs and test images, each beside the paper's where they differ."""
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        return [
            f"{_of(self.counted(), self.all_images)} training images",
            epochs if self.epochs == self.paper_epochs else f"{epochs} (paper: {self.paper_epochs})",
            f"{_of(str(self.test_images), self.all_test_images)} test images",
        ]


def conditions(evidence: Evidence, dataset: str, cells: Sequence[str]) -> Conditions:
    """The conditions of cells of one data set. The epochs are those of the cell that has fewest."""
    settings = [evidence.params.settings(f"{dataset}/{cell}", evidence.budget_name) for cell in cells]
    sizes = evidence.dataset(dataset)
    images = [resolve_count(one.images, sizes.train_images) for one in settings]
    return Conditions(
        images=min(images),
        most_images=max(images),
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
    params, replaced = evidence.params, dict[tuple[str, str], set[str]]()
    for cell in cells:
        own = params.find(f"{dataset}/{cell}")[1].model_dump()
        run = params.settings(f"{dataset}/{cell}", evidence.budget_name).cell.model_dump()
        for name, value in params.share(evidence.budget_name, dataset, own["family"]).overrides.items():
            changed = replaced.setdefault((name, str(value)), set())
            if own[name] != run[name]:
                changed.add(str(own[name]))
    for (name, value), others in replaced.items():
        if others:
            yield f"{code(name)} {escape(value)} instead of {escape(listed(sorted(others), 'or'))}"


def _of(some: str, every: int) -> str:
    return f"all {every}" if some == str(every) else f"{some} of {every}"
