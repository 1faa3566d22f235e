"""Explains, verifies, compares, exports and signs the numbers of the tables.

python -m stages.audit explain IV "VGG16 with ADAM"      which configuration, data, code and machine made a number
python -m stages.audit verify                            whether every number follows from what it says it does
python -m stages.audit compare IV "VGG16" "VGG16 with ADAM"   whether two numbers differ, and what stands behind that
python -m stages.audit verdict                           whether rows and claims come as close as asked, for CI
python -m stages.audit export                            a budget's results as an RO-Crate
python -m stages.audit seal --key key.pem                signs them; check-seal --identity key.pub asks for it
python -m stages.audit witness their/ledger.json         somebody else's run against ours, number by number
"""

import stages.core.environment  # noqa: F401  # isort: skip

from importlib import import_module

import click

from stages.core.checkout import foreign_repository
from stages.core.errors import StageError

_COMMANDS = {  # module and function of each
    "explain": "explain.main",
    "verify": "verify.main",
    "compare": "comparison.main",
    "verdict": "verdict.main",
    "export": "export.main",
    "seal": "seal.seal",
    "check-seal": "seal.check_seal",
    "witness": "witness.witness",
}


class _Lazy(click.Group):
    """Imports a command when it is called, so that an answer within a second does not wait for the others."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _, command = _COMMANDS[name].partition(".")
        return getattr(import_module(f"stages.audit.{module}"), command)


@click.command(cls=_Lazy)
def main() -> None:
    """Ask the numbers of the tables where they come from, and whether that holds."""
    if refused := foreign_repository():
        raise StageError(refused[0])


if __name__ == "__main__":
    main()
