"""Refuses a Python without the libraries as it is imported: in place of a traceback, how to turn the environment on.

Standard library alone. The modules of commands import it before anything else.
"""

import sys
from importlib.util import find_spec

_LIBRARIES = ("click", "pydantic", "ruamel")  # what every command imports

_missing = [name for name in _LIBRARIES if find_spec(name) is None]
if _missing:
    sys.exit(f"Error: {sys.executable} has no {', '.join(_missing)}; make setup, then: . .venv/bin/activate")
