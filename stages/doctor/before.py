"""What is refused before .venv is made. Standard library alone, and syntax that older Pythons read.

    python3 -m stages.doctor.before STAMP [--asked]        (the Makefile, before every target that needs .venv)

Out: the file STAMP, newer than .venv/.ready when .venv must be made: it was moved here from another folder, its Python
     is gone, or (with --asked, where the user named a Python) it has another Python.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stages.core.checkout import (
    ENVIRONMENT_SIZE,
    certificates,
    commit,
    interpreter_variables,
    links,
    python_version,
    room,
    user_name,
)

VENV = Path(".venv")
READY = VENV / ".ready"


def main() -> None:
    """Refuse with status 1, or touch the stamp as needed."""
    stamp, asked = Path(sys.argv[1]), "--asked" in sys.argv
    reason = why_new(asked)
    refused = [*commit(), *user_name(), *links()]
    warned = interpreter_variables()
    if reason:
        refused += [*python_version(), *room(0 if VENV.is_dir() else ENVIRONMENT_SIZE), *certificates()]
    else:
        warned += certificates()
    for line in warned:
        print(f"warning: {line}", file=sys.stderr)
    if refused:
        sys.exit("\n".join(f"Error: {line}" for line in refused))
    stamp.parent.mkdir(parents=True, exist_ok=True)
    if not stamp.exists():
        stamp.touch()
        os.utime(stamp, (0, 0))
    if reason and READY.exists():
        print(f".venv is made again: {reason}", file=sys.stderr)
        os.utime(stamp)


def why_new(asked: bool) -> str:
    """Why .venv must be made, by what `venv` has written there; empty when it need not."""
    if not READY.exists():
        return "it is not there"
    written = _configuration()
    place = written.get("command", "").partition(" -m venv ")[2].replace("--clear ", "")
    if place and Path(place) != VENV.absolute() and Path(place).resolve() != VENV.resolve():
        return f"it was made for {place}"
    if "home" in written and not Path(written["home"]).is_dir():
        return f"its Python is gone ({written['home']})"
    version = ".".join(map(str, sys.version_info[:2]))
    if asked and ".".join(written.get("version", version).split(".")[:2]) != version:
        return f"it has Python {written['version']}, asked for is {version}"
    return ""


def _configuration() -> dict[str, str]:
    """The keys of pyvenv.cfg."""
    file = VENV / "pyvenv.cfg"
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


if __name__ == "__main__":
    main()
