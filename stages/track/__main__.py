"""The MLflow mirror's own commands.

python -m stages.track sync      rebuild MLflow's runs from the run records
python -m stages.track ui        open the MLflow UI on them
"""

import click

from stages.track.sync import sync
from stages.track.ui import ui


@click.group()
def main() -> None:
    """Look after the MLflow mirror."""


main.add_command(sync)
main.add_command(ui)

if __name__ == "__main__":
    main()
