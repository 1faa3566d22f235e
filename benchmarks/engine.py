"""The training engine against a plain PyTorch loop, on this machine's processor.

    python -m benchmarks.engine [--only speed,optimizers,throughput,determinism,ablation,checkpoint]
        [--families vgg16,resnet18,googlenet]

In:  CIFAR10 as stage `preprocess` leaves it.
Out: reports/bench.json, and its tables on standard output (images per second). Everything that is compared is measured
     in turns within one run; numbers are medians over the repetitions, ratios are taken within each.
What was measured before stays in the file when commit, machine, software and settings are the same; otherwise the file
starts anew. All sections take about half an hour; leave the machine alone meanwhile.
"""

import os
from pathlib import Path

import click

from benchmarks.families import FAMILIES, description
from benchmarks.machine import busy_elsewhere, usage
from benchmarks.options import Names
from benchmarks.report import SHOWN, load, measured_under, merge, tables
from stages.core.files import write_json
from stages.core.progress import say


@click.command()
@click.option("--only", type=Names(list(SHOWN)), default=",".join(SHOWN), show_default=True, help="sections")
@click.option("--families", type=Names(list(FAMILIES)), default=",".join(FAMILIES), show_default=True)
@click.option("--repetitions", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=4.0, show_default=True, help="a piece")
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="by default all cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/bench.json"), show_default=True)
def main(only: list[str], families: list[str], repetitions: int, seconds: float, threads: int, out: Path) -> None:
    """Measure the engine, section by section and family by family; what is measured is kept at once."""
    description()  # before PyTorch, which takes seconds to import
    from benchmarks.sections import SECTIONS, Conditions
    from stages.engine.numerics import set_up

    numerics = set_up("auto", threads, "cpu")
    conditions = Conditions(threads, repetitions, seconds, numerics.dtype)
    settings = {"repetitions": repetitions, "seconds": seconds, **numerics.describe()}
    content = load(out, measured_under(settings))
    for section in only:
        for family in families:
            say(f"{section}: {family}")
            start = usage()
            result = SECTIONS[section](family, conditions)
            result["busy_elsewhere"] = busy_elsewhere(start, f"{section}: {family}")
            content = merge(content, section, family, result)
            write_json(out, content)
    click.echo(tables(content))


if __name__ == "__main__":
    main()
