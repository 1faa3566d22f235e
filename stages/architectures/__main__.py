"""Stage `architectures`: each network of a budget as it is built, with layers, shapes, sizes, and a drawing.

    python -m stages.architectures --budget paper [--out reports/paper/architectures]

In:  params.yaml and the engine. No data, no weights; seconds, since nothing is computed (PyTorch's meta device).
Out: <out>/<data set>-<cell>.md and .svg for every distinct network, named by the first cell that has it, index.md, and
     networks.json, from which these are rendered, and the book's pages. They depend on the budget, which may set a
     network's input and layers.
"""

import stages.core.environment  # noqa: F401  # isort: skip

import re
from pathlib import Path

import click

from stages.architectures.pages import architecture_files
from stages.config.schema import DATASETS
from stages.core.files import write_text
from stages.core.progress import say
from stages.records.planned import params_of

_OURS = re.compile(rf"({'|'.join(DATASETS)})-.+\.(md|svg)")


@click.command()
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="by default reports/<budget>/architectures"
)
def main(budget: str | None, out: Path | None) -> None:
    """Write tables and drawings of all networks of a budget."""
    params = params_of(budget)
    name = budget or params.budget
    folder = out or Path("reports", name, "architectures")
    from stages.architectures.build import built_networks  # waits for PyTorch

    files = architecture_files(built_networks(params, name))
    for file, content in files.items():
        write_text(folder / file, content)
    for old in folder.iterdir():
        if old.is_file() and _OURS.fullmatch(old.name) and old.name not in files:
            old.unlink()
    say(f"{sum(file.endswith('.svg') for file in files)} networks of budget {name}: {folder / 'index.md'}")


if __name__ == "__main__":
    main()
