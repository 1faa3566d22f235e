"""What a full run must have left: six complete tables, finished MLflow runs for them, and nothing more to do.

.venv/bin/python .ci/verify_run.py        (after `make repro`)
"""

import csv
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = {1: 8, 2: 6, 3: 3, 4: 8, 5: 6, 6: 3}  # of the paper's Tables I-VI
BUDGET = "quick"
SECOND_REPRO_SECONDS = 5.0  # with nothing to do, on a quiet machine; reported, since CI's may be busy


def dvc(*arguments: str) -> str:
    """Run DVC and return what it printed."""
    command = [str(Path(sys.executable).parent / "dvc"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603


def main() -> None:
    """Check everything; the first thing that does not hold ends it with a message and status 1."""
    runs = []
    for number, rows in ROWS.items():
        with (ROOT / f"reports/{BUDGET}/tables/table_{number}.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        complete = [row for row in found if row["paper"] and 0 <= float(row["mean"]) <= 100]
        if len(complete) != rows:
            sys.exit(f"table {number}: {len(complete)} complete rows of {rows}")
        runs += [run for row in found for run in row["runs"].split(";")]
    with sqlite3.connect(ROOT / "mlflow.db") as database:
        finished = {run for (run,) in database.execute("select run_uuid from runs where status = 'FINISHED'")}
    if len(set(runs)) != sum(ROWS.values()) or not set(runs) <= finished:
        sys.exit(f"{len(set(runs) & finished)} of the tables' {len(runs)} MLflow runs are finished")
    start = time.monotonic()
    again = dvc("repro")
    seconds = time.monotonic() - start
    if "Running stage" in again:
        sys.exit(f"a second dvc repro ran something:\n{again}")
    if "up to date" not in (status := dvc("status")):
        sys.exit(f"dvc status is not clean:\n{status}")
    print(f"six tables, {len(set(runs))} finished runs, nothing to do; second dvc repro {seconds:.1f} s", end="")
    print("" if seconds <= SECOND_REPRO_SECONDS else f", over the {SECOND_REPRO_SECONDS:.0f} s it may take when quiet")


if __name__ == "__main__":
    main()
