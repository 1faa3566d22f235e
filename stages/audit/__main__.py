"""Asks the numbers of the tables.

python -m stages.audit explain IV "VGG16 with ADAM"      which configuration, data, code and machine made a number
python -m stages.audit verify                            whether every number follows from what it says it does
python -m stages.audit compare IV "VGG16" "VGG16 with ADAM"   whether two numbers differ, and what stands behind that
python -m stages.audit verdict                           whether rows and claims come as close as asked, for CI
python -m stages.audit export                            a budget's results as an RO-Crate
"""

from importlib import import_module

import click

_COMMANDS = {name: f"stages.audit.{name}" for name in ("explain", "verify", "export")}
_COMMANDS |= {"compare": "stages.audit.comparison", "verdict": "stages.audit.verdict"}


class _Lazy(click.Group):
    """Commands that are imported when they are called: an answer within a second must not wait for the others."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return import_module(_COMMANDS[name]).main if name in _COMMANDS else None


@click.command(cls=_Lazy)
def main() -> None:
    """Ask the numbers of the tables where they come from, and whether that holds."""


if __name__ == "__main__":
    main()
