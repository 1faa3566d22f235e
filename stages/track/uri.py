"""The tracking URI, and how an error of the store is logged."""

import os
import re

from stages.core.errors import StageError

DEFAULT_URI = "sqlite:///mlflow.db"
# Everything up to the last @ of the word: passwords hold / and @ unencoded. A path with an @ is cut with it.
_PASSWORD = re.compile(r"(?<=://)[^\s'\"<>]*@")
_QUERY_SECRETS = re.compile(r"(?i)\b(password|passwd|pwd|token|secret|api_?key|access_?key)=[^&\s'\"<>]+")
_OLD_SCHEMA = re.compile(r"out-of-date database schema \(found version (\w+), but expected (\w+)\)")
_UNKNOWN_SCHEMA = re.compile(r"Can't locate revision identified by '(\w+)'")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the SQLite database in the working folder.

    Always explicit: MLflow's own default falls back to its file store where a folder `mlruns/` exists.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def check_uri(uri: str) -> None:
    """Raise StageError for an address whose password MLflow would take for a host or path, and print."""
    authority, slash, path = uri.partition("://")[2].partition("/")
    host, colon, port = authority.rpartition("@")[2].rpartition(":")
    unclear = authority.count("@") > 1 or ("@" in authority and "@" in path)
    broken = colon and not port.isdigit() and not host.startswith("[") and slash and "@" in path
    if not uri.startswith("sqlite") and (unclear or broken):
        raise StageError("MLFLOW_TRACKING_URI: its user or password has @, : or /; write %40, %3A or %2F there instead")


def log_line(text: object) -> str:
    """An error for the log: one line of at most 300 characters, without the password that an address may hold.

    A long error says what failed at its start, and why at its end. Where MLflow says that its database has another
    schema, the line is the cure.
    """
    line = without_passwords(" ".join(str(text).split()))
    if found := _OLD_SCHEMA.search(line):
        return f"the database has an older schema ({found[1]}, not {found[2]}): {upgrade_command()}"
    if found := _UNKNOWN_SCHEMA.search(line):
        return f"the database has the schema of another MLflow ({found[1]}): move it away; a sync makes it again"
    return line if len(line) <= 300 else f"{line[:120]} ... {line[-175:]}"


def upgrade_command() -> str:
    """How to bring an older database up to date. Its runs may as well be made again from the records."""
    return f"keep a copy of it, then: mlflow db upgrade {without_passwords(tracking_uri())}"


def without_passwords(text: str) -> str:
    """A text without the user and password of addresses in it, and without what its parameters call a secret."""
    return _QUERY_SECRETS.sub(r"\1=...", _PASSWORD.sub("", text))
