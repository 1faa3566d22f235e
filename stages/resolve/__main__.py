"""Stage `resolve`: write what each cell is at a budget: its settings, and the fingerprint of the code behind it.

    python -m stages.resolve --budget quick --out reports/quick/specs

In:  params.yaml and the sources.
Out: <out>/<data set>/<cell>.json for every cell of the tables and every alternative (see `stages.records.spec`). A spec
     whose content is the same is not touched, and one of a cell that is gone is removed. Trainings and evaluations
     depend on their own spec alone: what does not change it makes nothing stale.
"""

import stages.core.environment  # noqa: F401  # isort: skip

from pathlib import Path

import click

from stages.config.loading import load_params
from stages.core.locks import exclusive
from stages.core.progress import say
from stages.records.spec import resolve_specs, write_specs


@click.command()
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder of the specs")
def main(budget: str | None, out: Path) -> None:
    """Write the spec of every cell."""
    params = load_params()
    budget = budget or params.budget
    specs = resolve_specs(params, budget)
    with exclusive(out):
        changed = write_specs(specs, out)
    say(f"resolve@{budget}: {len(specs)} specs (rows and alternatives), {changed} of them changed")


if __name__ == "__main__":
    main()
