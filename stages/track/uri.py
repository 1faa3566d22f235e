"""The tracking URI, and how an error of the store is logged."""

import os
import re

DEFAULT_URI = "sqlite:///mlflow.db"


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the SQLite database in the working folder.

    Always explicit: MLflow's own default falls back to its file store where a folder `mlruns/` exists.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def log_line(text: object) -> str:
    """An error for the log: one line of at most 300 characters, without the password that an address may hold.

    A long error says what failed at its start, and why at its end.
    """
    line = re.sub(r"(?<=://)[^/@\s]+@", "", " ".join(str(text).split()))
    return line if len(line) <= 300 else f"{line[:120]} ... {line[-175:]}"
