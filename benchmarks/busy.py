"""How much of its speed a training keeps beside busy processes.

    python -m benchmarks.busy [--cells mnist/resnet18,cifar10/resnet18] [--busy 1] [--repeats 3] [--nice 0]

In:  the arrays of budget `quick` (dvc repro preprocess), a machine that does nothing else.
Out: images per second alone and beside so many processes that only compute, and their ratio, on standard output. On a
     machine with two cores and one busy process at least 0.45 is wanted; one thread keeps nearly all of it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click

from stages.core.errors import StageError

_SPIN = "while True: pass"


@click.command()
@click.option("--cells", default="mnist/resnet18,cifar10/resnet18", show_default=True)
@click.option("--busy", type=click.IntRange(min=1), default=1, show_default=True, help="processes beside it")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--nice", "niceness", type=click.IntRange(0, 19), default=0, show_default=True, help="of the training")
def main(cells: str, busy: int, repeats: int, niceness: int) -> None:
    """Measure the speed of trainings alone and beside busy processes."""
    click.echo(f"| cell | alone, images/s | beside {busy} | ratio |")
    click.echo("| --- | ---: | ---: | ---: |")
    for cell in cells.split(","):
        alone, beside = [], []
        for _ in range(repeats):  # by turns, since a machine's speed drifts
            alone.append(rate(cell, niceness))
            with spinning(busy):
                beside.append(rate(cell, niceness))
        click.echo(f"| {cell} | {median(alone):.0f} | {median(beside):.0f} | {median(beside) / median(alone):.2f} |")


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """So many processes that only compute."""
    running = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(count)]  # noqa: S603
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def rate(cell: str, niceness: int) -> float:
    """The images per second of one training at budget `quick`, as its run record has them."""
    dataset = cell.partition("/")[0]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        command = [sys.executable, "-m", "stages.train", cell, "--budget", "quick", "--no-mlflow"]
        command += ["--data", f"data/processed/quick/{dataset}/train", "--out", str(out)]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, encoding="utf-8", check=False, preexec_fn=lambda: os.nice(niceness)
        )
        if done.returncode:
            raise StageError(f"{cell}: {done.stderr.strip().splitlines()[-1]}")
        return float(json.loads((out / "run.json").read_bytes())["images_per_second"])


if __name__ == "__main__":
    main()
