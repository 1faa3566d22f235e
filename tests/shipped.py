"""params.yaml as it ships, whatever the user of a clone has added to it: what the tests hold their numbers against.

The user's switches (`budget`, `seeds`, `study_cells`, `more_seeds`) are put back, and rows that the paper does not have
are taken out with their cells. So no row, cell, study or seed of a user's own fails a test; what is wrong in it is said
by `stages.config` before anything runs.
"""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stages.config.params import Params, load_params
from stages.config.reading import read_yaml
from stages.report.paper import read_paper

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ("mnist", "cifar10")


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
    """The data of a params.yaml without what a user adds, and without what rests on that."""
    printed = read_paper(ROOT / "data" / "paper").accuracies
    tables = {
        number: table | {"rows": [row for row in table["rows"] if (number, row["row"]) in printed]}
        for number, table in raw["tables"].items()
    }
    rows = {(table["dataset"], row["cell"]) for table in tables.values() for row in table["rows"]}
    sections: dict[str, Any] = {"cells": {}, "alternatives": {}}
    for dataset in DATASETS:
        alternatives = raw["alternatives"][dataset]
        cells = {name: cell for name, cell in raw["cells"][dataset].items() if (dataset, name) in rows}
        sections["cells"][dataset] = cells
        sections["alternatives"][dataset] = {
            name: one for name, one in alternatives.items() if _root(name, alternatives) in {*cells, None}
        }
    return {
        **raw,
        **sections,
        "budget": "quick",
        "seeds": [0],
        "study_cells": {"mnist": [], "cifar10": ["resnet18-lr1e-2-sgd"]},
        "more_seeds": {dataset: {"cells": [], "seeds": []} for dataset in DATASETS},
        "tables": tables,
        "studies": {
            name: study
            for name, study in raw["studies"].items()
            if (study["printed"]["table"], study["printed"]["row"]) in printed
            and study["base"] in sections["cells"][study["dataset"]]
        },
    }


def _root(name: str, alternatives: dict[str, Any]) -> str | None:
    """What a chain of bases ends in: a table's cell, or None for an alternative without a base."""
    while name in alternatives:
        if "base" not in alternatives[name]:
            return None
        name = alternatives[name]["base"]
    return name
