"""The build backend of a project that is no package: every question of pip or uv is answered by what sets it up."""

from __future__ import annotations

import sys

MESSAGE = "\nThis is a pipeline and no package to install. `make setup` makes .venv; `make repro` makes the tables.\n"


def _refuse(*_: object, **__: object) -> list[str]:
    sys.exit(MESSAGE)


# The hooks of PEP 517 and PEP 660.
get_requires_for_build_wheel = get_requires_for_build_sdist = get_requires_for_build_editable = _refuse
build_wheel = build_sdist = build_editable = _refuse
prepare_metadata_for_build_wheel = prepare_metadata_for_build_editable = _refuse
