"""Run one cell of every family, over both data sets, at the quick budget, and check what that leaves.

python .ci/run_some.py        (with .venv's programs first in PATH)

The other rows of the tables are then the committed results, which lie in `reports/`.
"""

import csv
import json
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
ROWS = {1: 8, 2: 6, 3: 3, 4: 8, 5: 6, 6: 3}  # of the paper's Tables I-VI
BUDGET = "quick"
PARAMS = ROOT / "params.yaml"
CELLS = [
    ("mnist", "vgg11"),
    ("cifar10", "resnet18"),
    ("mnist", "googlenet-adam"),
]
STAGES = [f"evaluate-{dataset}@{BUDGET}-{name}-0" for dataset, name in CELLS]
TABLES = f"aggregate-tables@{BUDGET}"


def dvc(*arguments: str) -> str:
    """Run DVC, show what it prints, and return it."""
    shown = []
    with subprocess.Popen(["dvc", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603, S607
        assert running.stdout is not None  # noqa: S101
        for line in running.stdout:
            print(line, end="", flush=True)
            shown.append(line)
    if running.returncode:
        sys.exit(f"dvc {' '.join(arguments)}: exit status {running.returncode}")
    return "".join(shown)


def cells() -> set[str]:
    """The cells of the tables, each with its data set."""
    return {f"{dataset}/{name}" for dataset, names in YAML(typ="safe").load(PARAMS)["cells"].items() for name in names}


def main() -> None:
    """Run and check; the first thing that does not hold ends it with a message and status 1."""
    dvc("repro", *STAGES)
    dvc("repro", "--single-item", TABLES)
    runs = [
        json.loads((ROOT / f"reports/{BUDGET}/cells/{dataset}/{name}-s0.json").read_text())["run"]["mlflow"]["run_id"]
        for dataset, name in CELLS
    ]
    listed, numbers = [], 0
    for number, rows in ROWS.items():
        with (ROOT / f"reports/{BUDGET}/tables/table_{number}.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        if len([row for row in found if row["paper"]]) != rows:
            sys.exit(f"table {number}: {len(found)} rows; expected {rows}")
        numbers += len([row for row in found if row["mean"] and 0 <= float(row["mean"]) <= 100])
        listed += [run for row in found for run in row["runs"].split(";")]
    results = [path for path in (ROOT / f"reports/{BUDGET}/cells").glob("*/*.json") if path.stem.endswith("-s0")]
    recorded = len([path for path in results if f"{path.parent.name}/{path.stem[:-3]}" in cells()])
    if numbers != recorded:
        sys.exit(f"the tables have {numbers} numbers of {recorded} results of their cells")
    with sqlite3.connect(ROOT / "mlflow.db") as database:
        finished = {run for (run,) in database.execute("select run_uuid from runs where status = 'FINISHED'")}
    if not set(runs) <= finished or not set(runs) <= set(listed):
        sys.exit(f"of the MLflow runs {runs}, finished are {finished}, and in the tables {listed}")
    start = time.monotonic()
    if "Running stage" in dvc("repro", *STAGES):
        sys.exit("a second dvc repro ran something")
    seconds = time.monotonic() - start
    plan = subprocess.run([sys.executable, "-m", "stages.plan"], cwd=ROOT, capture_output=True, text=True, check=False)
    if plan.returncode or not re.search(r" (\d+) trainings, \1 done", plan.stdout):
        sys.exit(f"make plan does not find every training done:\n{plan.stdout}{plan.stderr}")
    if "up to date" not in dvc("status", *STAGES, TABLES):
        sys.exit("dvc status is not clean")
    done = f"six tables with {numbers} numbers, {len(runs)} fresh MLflow runs"
    print(f"{done}, nothing to do; second dvc repro {seconds:.1f} s")


if __name__ == "__main__":
    main()
