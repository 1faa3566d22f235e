"""The one reader of `params.yaml`: types, ranges, and what only the whole file can tell.

Every stage calls `load_params` before anything else, so a mistake anywhere in the file stops the pipeline with one
line that names the key, the value and what is allowed. Tables, verdicts, claims, studies and assumptions are described
here and the settings that decide a number in `settings`, so that editing this file re-trains nothing.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

from stages.config.settings import (
    DATASETS,
    AnyCell,
    Cell,
    Count,
    Dataset,
    Family,
    Fraction,
    GoogLeNetCell,
    Images,
    PerDataset,
    PerFamily,
    ResNetCell,
    Run,
    Share,
    Strict,
    Training,
    VggCell,
    override,
    resolve,
)
from stages.core.errors import MissingFileError, ParamError, StageError

PARAMS_FILE = Path("params.yaml")
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
CELL_TYPES: dict[str, type[Cell]] = {"vgg": VggCell, "resnet": ResNetCell, "googlenet": GoogLeNetCell}
Table = Literal["I", "II", "III", "IV", "V", "VI"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Points = Annotated[float, Field(gt=0, le=100)]  # between two accuracies in percent


class Augmentation(Strict):
    """How the appended copy of each training image is transformed (torchvision.transforms.v2's parameters)."""

    seed: Seed
    rotation_degrees: Annotated[float, Field(ge=0, le=180)]
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    hue: Annotated[float, Field(ge=0, le=0.5)]
    flip_probability: Annotated[float, Field(ge=0, le=1)]


class DatasetSettings(Strict):
    """A data set: its size, its split and its augmented copy. A dependency of its preprocess stage."""

    title: str
    channels: Literal[1, 3]
    size: Count
    classes: Annotated[list[str], Field(min_length=2, max_length=256)]
    train_images: Count
    validation_images: Count
    test_images: Count
    split_seed: Seed
    augmentation: Augmentation


class Budget(Strict):
    """How much work a run of the pipeline is.

    `threads` and `device` may change bits and stale nothing; the run record has them.
    """

    caption: str
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"]
    device: Device
    train: PerDataset[PerFamily[Share]]
    augmented_images: PerDataset[Images]  # of the training split, that preprocess makes a transformed copy of
    test_images: PerDataset[Images]  # evaluated on, spread evenly over the test split


class Row(Strict):
    """One printed number: its label in the paper's table and the cell that regenerates it."""

    row: str
    cell: str


class TableSettings(Strict):
    """One of the paper's tables."""

    caption: str
    dataset: Dataset
    family: Family
    rows: Annotated[list[Row], Field(min_length=1)]


class Figures(Strict):
    """The paper's appendix figures of one family on one data set, and the cell that stands for them here."""

    dataset: Dataset
    cell: str
    report: str | None
    log: str | None
    confusion: str


class Printed(Strict):
    """What a study is held against: a log's validation curve, or the accuracy of a table's row."""

    log: str | None
    table: Table
    row: str


class Study(Strict):
    """A question the paper leaves open: a table's cell and alternatives that differ from it in one setting."""

    question: str
    assumption: str
    dataset: Dataset
    base: str
    alternatives: Annotated[list[str], Field(min_length=1)]
    printed: Printed


class Applies(Strict):
    """Which numbers rest on an assumption: those of these families and data sets whose cell has these settings.

    Of their printed row labels, one of the words in `row_names` must stand there, if there is any, and none of those in
    `row_omits`, in large or small letters.
    """

    families: Annotated[list[Family], Field(min_length=1)]
    datasets: Annotated[list[Dataset], Field(min_length=1)]
    settings: dict[str, Any]
    row_names: list[str]
    row_omits: list[str]

    def to(self, dataset: str, cell: Cell, row: str) -> bool:
        """Whether they choose the number of a cell whose row has this label."""
        words = row.casefold().split()
        named = not self.row_names or any(word.casefold() in words for word in self.row_names)
        omitted = not any(word.casefold() in words for word in self.row_omits)
        settings = cell.model_dump()
        chosen = settings["family"] in self.families and dataset in self.datasets
        return chosen and named and omitted and all(settings[name] == value for name, value in self.settings.items())


class Assumption(Strict):
    """One line of the assumption ledger: what the paper leaves out, what we assume, why, and where to change it.

    `decides` names the settings of a cell that stand for it, and `applies` the numbers that rest on it.
    """

    id: Annotated[str, Field(pattern=r"^A[0-9]+$")]
    point: str
    assumption: str
    reason: str
    change: str
    decides: list[str]
    applies: Applies


class Verdicts(Strict):
    """When a number counts as the paper's, and how sure the intervals beside it are."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    close: PerDataset[Points]
    near: PerDataset[Points]


class Margin(Strict):
    """How many points still count as little, on each data set."""

    margin: PerDataset[Points]


class OverfittingClaim(Strict):
    """Families that are said not to overfit, and from which gap of training over validation accuracy on they do."""

    families: Annotated[list[Family], Field(min_length=1)]
    gap: PerDataset[Points]


class ClassesClaim(Strict):
    """What every class's F1 is said to be above, and the classes of which it is not said."""

    f1: PerDataset[Fraction]
    excepted: PerDataset[list[str]]


class CostClaim(Strict):
    """The family that is said to be the cheapest to train."""

    cheapest: Family


class Claims(Strict):
    """The thresholds of the paper's claims, as tests. C5 has none."""

    level: Annotated[float, Field(gt=0, lt=0.5)]
    depth: Margin  # C1
    optimizer: Margin  # C2
    augmentation: Margin  # C3
    overfitting: OverfittingClaim  # C4
    classes: ClassesClaim  # C6
    cost: CostClaim  # C7


class CellKey(NamedTuple):
    """Where a cell stands: its section (`cells` or `alternatives`), data set and name."""

    section: str
    dataset: str
    name: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.name}"

    @property
    def stage_suffix(self) -> str:
        """The data set as it stands in the names of the DVC stages, studies apart from tables."""
        return self.dataset if self.section == "cells" else f"study-{self.dataset}"


class Params(Strict):
    """All of `params.yaml`."""

    budget: str
    seeds: Annotated[list[Seed], Field(min_length=1)]
    study_cells: PerDataset[list[Name]]
    budgets: dict[Name, Budget]
    training: Training
    datasets: PerDataset[DatasetSettings]
    architectures: dict[str, Any]
    cells: PerDataset[dict[Name, AnyCell]]
    alternatives: PerDataset[dict[Name, AnyCell]]
    tables: dict[Table, TableSettings]
    verdicts: Verdicts
    claims: Claims
    figures: list[Figures]
    studies: dict[Name, Study]
    assumptions: list[Assumption]

    def find(self, cell: str) -> tuple[CellKey, AnyCell]:
        """The cell of a name like `cifar10/vgg16`. Raises ParamError, naming those there are."""
        for key in self.cell_keys(planned=False):
            if str(key) == cell:
                return key, getattr(self, key.section).of(key.dataset)[key.name]
        raise ParamError("cell", cell, "one of " + ", ".join(map(str, self.cell_keys(planned=False))))

    def cell_keys(self, planned: bool = True) -> list[CellKey]:
        """Every table cell, then the study cells: those that run (`planned`), or all there are."""
        keys = [CellKey("cells", dataset, name) for dataset in DATASETS for name in self.cells.of(dataset)]
        for dataset in DATASETS:
            names = self.study_cells.of(dataset) if planned else list(self.alternatives.of(dataset))
            keys += [CellKey("alternatives", dataset, name) for name in names]
        return keys

    def chosen_budget(self, name: str | None = None) -> Budget:
        """A budget by its name, or the one chosen at the top of the file."""
        name = name or self.budget
        if name not in self.budgets:
            raise ParamError("budget", name, "one of " + ", ".join(self.budgets))
        return self.budgets[name]

    def run(self, cell: str, budget: str | None, seed: int) -> Run:
        """The resolved training of a cell under a budget with a seed."""
        key, settings = self.find(cell)
        share = self.chosen_budget(budget).train.of(key.dataset).of(settings.family)
        return resolve(key.dataset, settings, share, seed, self.training)


def load_params(path: Path | str = PARAMS_FILE) -> Params:
    """Read and check `params.yaml`. Raises ParamError or StageError with one line that says what is wrong."""
    raw = read_yaml(path)
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise _one_line(error, raw, "params.yaml: ") from None
    _check_names(params)
    _check_tables(params)
    _check_verdicts(params)
    _check_studies(params)
    _check_assumptions(params)
    _check_budgets(params)
    return params


def read_yaml(path: Path | str) -> Any:
    """Read a YAML 1.2 file; a key that stands twice is refused. Raises MissingFileError or StageError."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(path, "git (run from the top folder of the repository)")
    try:
        return YAML(typ="safe").load(path.read_text())
    except DuplicateKeyError as error:
        where = f"{path}, line {error.problem_mark.line + 1}" if error.problem_mark else path
        raise StageError(f"{where}: {str(error.problem).splitlines()[0]}; allowed: every key once") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def _one_line(error: ValidationError, raw: Any, prefix: str) -> StageError:
    """The first key that pydantic refuses, as one line, and how many more there are.

    `raw` is what was validated and `prefix` stands before the key. A union has a finding for each of its members.
    """
    places: dict[str, list[Any]] = {}
    for finding in error.errors(include_url=False):
        places.setdefault(_dotted(finding, raw), []).append(finding)
    key, findings = next(iter(places.items()))
    first, more = findings[0], f" (and {len(places) - 1} more findings)" if len(places) > 1 else ""
    place = f"{prefix}{key}" if key else prefix.rstrip(": ")
    if first["type"] in ("missing", "union_tag_not_found"):
        return StageError(f"{place} is missing" + more)
    value = first["input"]
    if first["type"] == "unknown_key":
        value = value[first["ctx"]["key"]]
    elif first["type"] == "union_tag_invalid":
        value = value["family"]
    return ParamError(place, value, " or ".join(dict.fromkeys(map(_allowed, findings))) + more)


def _dotted(finding: Any, raw: Any) -> str:
    """Where in `raw` a finding is; pydantic's location also names members of unions, which are no keys of the file."""
    parts, here = [], raw
    for part in finding["loc"]:
        tag = isinstance(here, dict) and part == here.get("family")
        known = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if known and not tag:
            parts.append(part)
            here = here[part]
    if finding["type"] == "missing":
        parts.append(finding["loc"][-1])
    elif finding["type"] == "unknown_key":
        parts.append(finding["ctx"]["key"])
    elif finding["type"].startswith("union_tag"):
        parts.append("family")
    return ".".join(map(str, parts))


def _allowed(finding: Any) -> str:
    if finding["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "a mapping of keys to values"
    if finding["type"] == "union_tag_invalid":
        return "one of " + finding["ctx"]["expected_tags"]
    return finding["msg"].removeprefix("Input should be ")


def _check_names(params: Params) -> None:
    params.chosen_budget()
    if len(set(params.seeds)) < len(params.seeds):
        raise ParamError("seeds", params.seeds, "every seed once")
    for dataset in DATASETS:
        both = set(params.cells.of(dataset)) & set(params.alternatives.of(dataset))
        for name in both:
            raise ParamError(f"alternatives.{dataset}.{name}", name, f"a name that cells.{dataset} does not have")
        planned = params.study_cells.of(dataset)
        known = [cell for study in params.studies.values() if study.dataset == dataset for cell in study.alternatives]
        for name in planned:
            if name not in params.alternatives.of(dataset) or name not in known or planned.count(name) > 1:
                allowed = f"once each, the alternatives of a study: {', '.join(known) or 'none'}"
                raise ParamError(f"study_cells.{dataset}", name, allowed)


def _check_tables(params: Params) -> None:
    seen: dict[tuple[str, str], str] = {}
    for number, table in params.tables.items():
        cells = params.cells.of(table.dataset)
        labels = [row.row for row in table.rows]
        for row in table.rows:
            key = f"tables.{number}, row {row.row!r}"
            if labels.count(row.row) > 1:
                raise ParamError(key, row.row, "every row label once in a table")
            if row.cell not in cells or cells[row.cell].family != table.family:
                known = ", ".join(name for name, cell in cells.items() if cell.family == table.family)
                raise ParamError(key, row.cell, f"a {table.family} cell of cells.{table.dataset}: {known}")
            if (table.dataset, row.cell) in seen:
                raise ParamError(key, row.cell, f"a cell for one row; {seen[table.dataset, row.cell]} has it already")
            seen[table.dataset, row.cell] = key
    for dataset in DATASETS:
        for name in params.cells.of(dataset):
            if (dataset, name) not in seen:
                raise ParamError(f"cells.{dataset}.{name}", name, "a cell that a row of tables names")
    for figure in params.figures:
        if figure.cell not in params.cells.of(figure.dataset):
            raise ParamError("figures", figure.cell, f"a cell of cells.{figure.dataset}")


def _check_verdicts(params: Params) -> None:
    for dataset in DATASETS:
        close, near = params.verdicts.close.of(dataset), params.verdicts.near.of(dataset)
        if near <= close:
            raise ParamError(f"verdicts.near.{dataset}", near, f"more than the {close:g} of verdicts.close.{dataset}")
        classes, excepted = params.datasets.of(dataset).classes, params.claims.classes.excepted.of(dataset)
        for name in excepted:
            if name not in classes or excepted.count(name) > 1 or len(excepted) == len(classes):
                allowed = f"once each, some of {', '.join(classes)}"
                raise ParamError(f"claims.classes.excepted.{dataset}", name, allowed)
    families = params.claims.overfitting.families
    if len(set(families)) < len(families):
        raise ParamError("claims.overfitting.families", families, "every family once")


def _check_studies(params: Params) -> None:
    known = {assumption.id for assumption in params.assumptions}
    for name, study in params.studies.items():
        cells, alternatives = params.cells.of(study.dataset), params.alternatives.of(study.dataset)
        if study.assumption not in known:
            raise ParamError(f"studies.{name}.assumption", study.assumption, "one of " + ", ".join(sorted(known)))
        if study.base not in cells:
            raise ParamError(f"studies.{name}.base", study.base, "one of " + ", ".join(cells))
        if study.printed.table not in params.tables:
            raise ParamError(f"studies.{name}.printed.table", study.printed.table, "one of " + ", ".join(params.tables))
        rows = [row.row for row in params.tables[study.printed.table].rows]
        if study.printed.row not in rows:
            raise ParamError(f"studies.{name}.printed.row", study.printed.row, "one of " + ", ".join(rows))
        for alternative in study.alternatives:
            if alternative not in alternatives:
                allowed = "one of " + (", ".join(alternatives) or "none")
                raise ParamError(f"studies.{name}.alternatives", alternative, allowed)
            changed = difference(cells[study.base], alternatives[alternative])
            if len(changed) != 1:
                found = ", ".join(changed) or "nothing"
                raise ParamError(f"alternatives.{study.dataset}.{alternative}", found, "one changed setting")


def _check_assumptions(params: Params) -> None:
    ids = [assumption.id for assumption in params.assumptions]
    cells = [params.find(str(key))[1] for key in params.cell_keys(planned=False)]
    for place, assumption in enumerate(params.assumptions):
        where, families = f"assumptions.{place}", assumption.applies.families
        if ids.count(assumption.id) > 1:
            raise ParamError(f"{where}.id", assumption.id, "every id once")
        common = set.intersection(*(set(CELL_TYPES[family].model_fields) for family in families)) - {"family"}
        allowed = f"one of the settings that {', '.join(families)} have: {', '.join(sorted(common))}"
        for name in assumption.decides:
            if name not in common:
                raise ParamError(f"{where}.decides", name, allowed)
        for name, value in assumption.applies.settings.items():
            if name not in common:
                raise ParamError(f"{where}.applies.settings.{name}", value, allowed)
            _check_setting(
                f"{where}.applies.settings", [cell for cell in cells if cell.family in families], name, value
            )


def _check_setting(where: str, cells: list[Cell], name: str, value: Any) -> None:
    """Refuse a value that no cell can have, since it would choose nothing."""
    for cell in cells:
        try:
            override(cell, {name: value})
        except ValidationError as error:
            raise _one_line(error, {**cell.model_dump(), name: value}, f"{where}.") from None


def _check_budgets(params: Params) -> None:
    for budget_name, budget in params.budgets.items():
        for key in params.cell_keys(planned=False):
            _, cell = params.find(str(key))
            share = budget.train.of(key.dataset).of(cell.family)
            copies = budget.augmented_images.of(key.dataset)
            _check_share(params, f"budgets.{budget_name}.train.{key.dataset}.{cell.family}", key, cell, share, copies)
        for dataset in DATASETS:
            _check_at_most(
                f"budgets.{budget_name}.augmented_images.{dataset}",
                budget.augmented_images.of(dataset),
                params.datasets.of(dataset).train_images,
            )
            _check_at_most(
                f"budgets.{budget_name}.test_images.{dataset}",
                budget.test_images.of(dataset),
                params.datasets.of(dataset).test_images,
            )
    if params.study_cells.mnist or params.study_cells.cifar10:
        _check_alternatives_differ(params)


def _check_share(params: Params, where: str, key: CellKey, cell: Cell, share: Share, copies: Images) -> None:
    dataset = params.datasets.of(key.dataset)
    _check_at_most(f"{where}.images", share.images, dataset.train_images)
    images = counted(share.images, dataset.train_images)
    _check_at_most(f"{where}.sample_images", share.sample_images, images)
    _check_at_most(f"{where}.validation_images", share.validation_images, dataset.validation_images)
    unknown = set(share.overrides) - set(type(cell).model_fields) | set(share.overrides) & {"family"}
    for name in sorted(unknown):
        allowed = ", ".join(sorted(set(type(cell).model_fields) - {"family"}))
        raise ParamError(f"{where}.overrides.{name}", share.overrides[name], f"one of the keys {allowed}")
    try:
        resolved = override(cell, share.overrides)
    except ValidationError as error:
        raise _one_line(error, {**cell.model_dump(), **share.overrides}, f"{where}.overrides.") from None
    if resolved.augment and images > counted(copies, dataset.train_images):
        raise ParamError(f"{where}.images", share.images, f"at most the {copies} of augmented_images, for {key}")
    images *= 2 if resolved.augment else 1
    if images % resolved.batch_size == 1:
        batches = f"{key} takes {images} images in batches of {resolved.batch_size}"
        raise ParamError(f"{where}.images", share.images, f"a number that leaves no last batch of one image: {batches}")


def _check_at_most(key: str, value: int | str, limit: int) -> None:
    if isinstance(value, int) and value > limit:
        raise ParamError(key, value, f"all, or a number from 1 to {limit}")


def _check_alternatives_differ(params: Params) -> None:
    """An override of the budget must not undo the one setting that a study varies."""
    for name, study in params.studies.items():
        base = params.run(f"{study.dataset}/{study.base}", None, 0)
        for alternative in set(study.alternatives) & set(params.study_cells.of(study.dataset)):
            run = params.run(f"{study.dataset}/{alternative}", None, 0)
            if not difference(base.cell, run.cell):
                raise ParamError(
                    f"study_cells.{study.dataset}",
                    alternative,
                    f"a cell that budget {params.budget} leaves different from the base of study {name}",
                )


def counted(images: Images, every: int) -> int:
    """How many images a budget's number is, where `all` is `every`."""
    return every if images == "all" else images


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def difference(one: Cell, other: Cell) -> list[str]:
    """The names of the settings in which two cells differ."""
    left, right = one.model_dump(), other.model_dump()
    return sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
