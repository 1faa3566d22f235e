"""Opens the MLflow UI on the runs of this clone, on this machine's loopback address alone."""

import os
import socket
import sys

import click

from stages.core.errors import ParamError, StageError
from stages.core.progress import say
from stages.track.mirror import QUIET
from stages.track.uri import DEFAULT_URI, log_line, tracking_uri

HOST, PORT = "127.0.0.1", 5000
_TRIED = 100  # ports from the usual one on


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help=f"by default {PORT}, or the next one that is free")
def ui(port: int | None) -> None:
    """Open the MLflow UI on what was run."""
    uri = tracking_uri()
    if uri.startswith("http"):
        raise StageError(f"your runs are at {log_line(uri)}: open it in a browser")
    if port is not None and not is_free(port):
        raise ParamError("--port", port, "a port that no other program has; leave it out to have one chosen")
    if uri == DEFAULT_URI:
        from stages.track.store.runs import Store  # MLflow takes seconds to import

        Store()  # a clone that was moved finds its artifacts; a new one has a store to show
    port = port or free_port()
    say(f"http://{HOST}:{port}: choose 'Model training' (top left), then Experiments and a table")
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", HOST, "--port", str(port)]
    os.execve(sys.executable, [*command, "--backend-store-uri", uri], environment())  # noqa: S606 - no shell


def environment() -> dict[str, str]:
    """That of this process, with MLflow's telemetry and its job runner off."""
    return {**os.environ, **QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def free_port() -> int:
    """The usual port, or the next one that no other program has. Raises StageError without one."""
    found = next((port for port in range(PORT, PORT + _TRIED) if is_free(port)), None)
    if found is None:
        raise StageError(f"no port of {PORT} to {PORT + _TRIED - 1} is free; name another one: make ui PORT=8080")
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a closed server leaves is no hindrance
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
