"""Say what would run for a budget, before any of it runs: how long, in how much room, and what would be refused.

    python -m stages.plan [--budget paper] [--jobs 8]

In:  params.yaml, the sources, dvc.lock, the recorded results and the run folders that are here; this machine.
Out: lines on standard output; nothing is written. What would be refused later is said at the end, with exit status 1.
A few seconds: torch is imported only for the size of networks that no record has.
"""

import stages.core.environment  # noqa: F401  # isort: skip

from dataclasses import replace

import click

from stages.core.errors import StageError
from stages.launch.machine import cores, this_machine
from stages.launch.sizes import at_once
from stages.plan.campaign import Campaign, campaign
from stages.plan.preflight import preflight_problems
from stages.plan.text import plan_text
from stages.records.planned import params_of


@click.command()
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--jobs", type=click.IntRange(min=1), help="trainings at a time; by default those of a launch")
def main(budget: str | None, jobs: int | None) -> None:
    """Say what would run for a budget."""
    params = params_of(budget)
    name = budget or params.budget
    machine = this_machine(params.chosen_budget(name).device)
    planned = campaign(params, name, machine, jobs or len(machine.gpus) or cores())
    if not jobs and not machine.gpus and planned.left:  # as a launch does
        planned = replace(planned, jobs=min(planned.jobs, at_once(planned.memory(), machine.memory)))
    click.echo(plan_text(planned))
    refused(planned)


def refused(planned: Campaign) -> None:
    """Raise StageError when something would be refused later."""
    found = preflight_problems(planned)
    if found:
        raise StageError("\n  ".join(["this would be refused:", *found]))


if __name__ == "__main__":
    main()
