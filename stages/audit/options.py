"""What several commands of the audit have: an option, and JSON as their output."""

from typing import Any

import click

from stages.core.files import json_text

budget_option = click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")


def echo_json(content: Any) -> None:
    """Print a command's answer as JSON, as our files have it."""
    click.echo(json_text(content), nl=False)
