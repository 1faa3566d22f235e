"""Say what of this machine and checkout stands in the way of a run, one line a check, each with its cure.

    python -m stages.doctor [--offline]        (or: make doctor)

In:  this checkout, this machine, the environment; the usual hosts or npm's registry where data is not here yet.
Out: lines on standard output: `ok`, `note` (works, but know it), `warning` (may fail) or `refused` (will fail), and
     exit status 1 if anything is refused. Nothing is written, and no check waits longer than a few seconds.
"""

import stages.core.environment  # noqa: F401  # isort: skip

from collections import Counter

import click

from stages.core.errors import StageError
from stages.doctor.checks import REFUSED, all_checks


@click.command()
@click.option("--offline", is_flag=True, help="ask no host")
def main(offline: bool) -> None:
    """Say what stands in the way of a run."""
    counted: Counter[str] = Counter()
    for found in all_checks(offline):
        counted[found.level] += 1
        click.echo(f"{found.level:<8} {found.check}: {found.text}")
    if counted[REFUSED]:
        raise StageError(f"{counted[REFUSED]} of {counted.total()} checks are refused")


if __name__ == "__main__":
    main()
