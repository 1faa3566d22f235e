"""Options that several commands of the audit have."""

import click

budget_option = click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
