"""The MLflow mirror's own commands.

python -m stages.track sync      rebuild MLflow's runs from the run records
"""

import click

from stages.track.sync import sync


@click.group()
def main() -> None:
    """Look after the MLflow mirror."""


main.add_command(sync)

if __name__ == "__main__":
    main()
