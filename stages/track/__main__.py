"""The MLflow mirror's own commands.

python -m stages.track sync                                 rebuild MLflow's runs from the run records
python -m stages.track ui                                   open the MLflow UI on them
python -m stages.track log-model CELL --budget paper        log a trained network as a model of its run
"""

import stages.core.environment  # noqa: F401  # isort: skip

import click

from stages.sync.model import log_model
from stages.sync.sync import sync
from stages.track.ui import ui


@click.group()
def main() -> None:
    """Look after the MLflow mirror."""


main.add_command(sync)
main.add_command(ui)
main.add_command(log_model)

if __name__ == "__main__":
    main()
