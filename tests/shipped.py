"""params.yaml as it ships, whatever the user of a clone has added to it: what the tests hold their numbers against.

The user's switches (`budget`, `seeds`, `study_cells`, `more_cells`, `more_seeds`) are put back. Tables and rows that
the paper does not have, studies that do not ship (`STUDIES`), and the cells, alternatives and networks that only these
name are taken out, and so is what `inputs` and budgets say of other families. So nothing of a user's own fails a test;
what is wrong in it is said by `stages.config` before anything runs.
"""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stages.config.loading import load_params
from stages.config.params import Params
from stages.config.reading import read_yaml
from stages.config.schema import PAPER_TABLES
from stages.paper.reading import read_paper

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ("mnist", "cifar10")
STUDIES = (
    *("vgg16-plain-optimizer", "resnet18-plain-optimizer", "resnet18-lr1e-2-optimizer", "vgg16-lr1e-2-optimizer"),
    *("vgg16-head", "vgg16-batch-norm", "vgg16-input", "vgg16-augmentation", "resnet18-augmentation", "resnet18-stem"),
    *("resnet18-mnist-stem", "resnet18-mnist-precision", "resnet18-precision", "googlenet-input", "googlenet-init"),
    *("googlenet-optimizer", "googlenet-batch-norm", "vgg16-mnist-lr1e-2-optimizer"),
    *("resnet18-mnist-lr1e-2-optimizer", "resnet18-mnist-augmented-optimizer"),
)
NETWORKS = ("vgg16", "vgg11", "vgg19", "resnet18", "googlenet")


def shipped() -> dict[str, Any]:
    """The file as plain data, to be changed."""
    data: dict[str, Any] = json.loads(shipped_text())
    return data


@cache
def shipped_params() -> Params:
    """The file, read and checked."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_text(shipped_text(), encoding="utf-8")
        return load_params(path)


@cache
def shipped_text() -> str:
    """The file as text: YAML 1.2 includes JSON."""
    return json.dumps(without_additions(read_yaml(ROOT / "params.yaml")))


def without_additions(raw: dict[str, Any]) -> dict[str, Any]:
    """The data of a params.yaml without what a user adds."""
    printed = {(line.table, line.row) for line in read_paper(ROOT / "data" / "paper").rows}
    tables = {
        number: table | {"rows": [row for row in table["rows"] if (number, row["row"]) in printed]}
        for number, table in raw["tables"].items()
        if number in PAPER_TABLES
    }
    networks = {name: network for name, network in raw["networks"].items() if name in NETWORKS}
    known = {"default", *(network["family"] for network in networks.values())}
    budgets = {
        name: budget | {"train": {dataset: _of(known, budget["train"][dataset]) for dataset in DATASETS}}
        for name, budget in raw["budgets"].items()
    }
    studies = {name: study for name, study in raw["studies"].items() if name in STUDIES}
    return raw | {
        "budget": "quick",
        "seeds": [0],
        "study_cells": {"mnist": [], "cifar10": ["resnet18-lr1e-2-sgd"]},
        "more_cells": {dataset: [] for dataset in DATASETS},
        "more_seeds": {dataset: {"cells": [], "seeds": []} for dataset in DATASETS},
        "networks": networks,
        "inputs": {dataset: _of(known, raw["inputs"][dataset]) for dataset in DATASETS},
        "budgets": budgets,
        "tables": tables,
        "studies": studies,
        **{
            section: {
                dataset: {
                    name: cell
                    for name, cell in raw[section][dataset].items()
                    if name in _named(dataset, tables, studies)
                }
                for dataset in DATASETS
            }
            for section in ("cells", "alternatives")
        },
    }


def _of(families: set[str], section: dict[str, Any]) -> dict[str, Any]:
    """What a section says of some families."""
    return {name: settings for name, settings in section.items() if name in families}


def _named(dataset: str, tables: dict[str, Any], studies: dict[str, Any]) -> set[str | None]:
    """The cells and alternatives of a data set that rows and studies name."""
    rows = [row for table in tables.values() if table["dataset"] == dataset for row in table["rows"]]
    tried = [name for study in studies.values() if study["dataset"] == dataset for name in study["alternatives"]]
    return {*tried, *(row["cell"] for row in rows), *(row.get("as_logged") for row in rows)}
