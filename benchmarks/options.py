"""What the commands here take that click has no type for."""

import click


class Names(click.ParamType):
    """Some of a list of names, separated by commas."""

    name = "names"

    def __init__(self, allowed: list[str]) -> None:
        self.allowed = allowed

    def convert(self, value: str, param: click.Parameter | None, context: click.Context | None) -> list[str]:
        """The names, in the order of the list."""
        names = value.split(",")
        for name in names:
            if name not in self.allowed:
                self.fail(f"{name!r} is not one of {', '.join(self.allowed)}", param, context)
        return [name for name in self.allowed if name in names]
