"""Run one cell of every family, over both data sets, at the quick budget, and check what that leaves.

python .ci/run_some.py        (with .venv's programs first in PATH)

The other rows of the tables are then the committed results, which lie in `reports/`.
"""

import csv
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = {1: 8, 2: 6, 3: 3, 4: 8, 5: 6, 6: 3}  # of the paper's Tables I-VI
BUDGET = "quick"
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


def main() -> None:
    """Run and check; the first thing that does not hold ends it with a message and status 1."""
    dvc("repro", *STAGES)
    dvc("repro", "--single-item", TABLES)
    runs = [
        json.loads((ROOT / f"reports/{BUDGET}/cells/{dataset}/{name}-s0.json").read_text())["run"]["mlflow"]["run_id"]
        for dataset, name in CELLS
    ]
    listed = []
    for number, rows in ROWS.items():
        with (ROOT / f"reports/{BUDGET}/tables/table_{number}.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        complete = [row for row in found if row["paper"] and 0 <= float(row["mean"] or -1) <= 100]
        if len(complete) != rows:
            sys.exit(f"table {number}: {len(complete)} complete rows of {rows}")
        listed += [run for row in found for run in row["runs"].split(";")]
    with sqlite3.connect(ROOT / "mlflow.db") as database:
        finished = {run for (run,) in database.execute("select run_uuid from runs where status = 'FINISHED'")}
    if not set(runs) <= finished or not set(runs) <= set(listed):
        sys.exit(f"of the MLflow runs {runs}, finished are {finished}, and in the tables {listed}")
    start = time.monotonic()
    if "Running stage" in dvc("repro", *STAGES):
        sys.exit("a second dvc repro ran something")
    seconds = time.monotonic() - start
    plan = subprocess.run([sys.executable, "-m", "stages.plan"], cwd=ROOT, capture_output=True, text=True, check=False)
    if plan.returncode or "time left: none" not in plan.stdout:
        sys.exit(f"make plan finds something left:\n{plan.stdout}{plan.stderr}")
    if "up to date" not in dvc("status", *STAGES, TABLES):
        sys.exit("dvc status is not clean")
    print(f"six tables, {len(runs)} fresh MLflow runs, nothing to do; second dvc repro {seconds:.1f} s")


if __name__ == "__main__":
    main()
