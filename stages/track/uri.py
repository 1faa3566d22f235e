"""Where runs are mirrored to."""

import os

DEFAULT_URI = "sqlite:///mlflow.db"


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the SQLite database in the working folder.

    Always said outright: MLflow's own default falls back to its file store when a folder `mlruns/` lies about.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
