"""What is said of a tracking address and of an error of its store."""

import pytest

from stages.core.errors import StageError
from stages.track.uri import check_uri, log_line, without_passwords

SECRETS = ("p@ss", "ss/w", "/w@", "secret", "hunter2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://u:p@ss/w@h", "http://h"),
        ("at http://u:p@ss/w@h:5000/a failed", "at http://h:5000/a failed"),
        ("postgresql+psycopg2://me:hunter2@db/mlflow", "postgresql+psycopg2://db/mlflow"),
        ("two: http://a:secret@h, https://b:secret@i", "two: http://h, https://i"),
        ("http://h/api?token=secret&page=2", "http://h/api?token=...&page=2"),
        ("postgresql://h/db?user=me&password=secret", "postgresql://h/db?user=me&password=..."),
        ("write to a@b or see http://h", "write to a@b or see http://h"),
    ],
)
def test_passwords_are_never_shown(text: str, said: str) -> None:
    assert without_passwords(text) == log_line(text) == said
    assert not any(secret in said for secret in SECRETS)


@pytest.mark.parametrize("uri", ["http://u:p@ss/w@h", "http://u:p/w@h", "http://u:p@ss@h/", "postgresql://u:a@b@h/db"])
def test_an_address_that_mlflow_would_take_apart_wrongly_is_refused(uri: str) -> None:
    with pytest.raises(StageError) as caught:
        check_uri(uri)
    assert "write %40, %3A or %2F" in caught.value.message
    assert uri.partition("://")[2] not in caught.value.message


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "sqlite:///mlflow.db",
            "sqlite:////a@b/mlflow.db",
            "http://h:5000",
            "http://u:p%40ss@h:5000/a",
            "http://[::1]:80",
        ),
        *("http://h/a@b", "postgresql://u:p@h:5432/db", "databricks", "file:///a/b"),
    ],
)
def test_other_addresses_are_taken(uri: str) -> None:
    check_uri(uri)


def test_the_cure_of_an_older_database_stands_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://u:hunter2@h/db")
    error = (
        "Detected out-of-date database schema (found version 451aebb31d03, but expected dc11669786a5). "
        "Take a backup of your database, then run 'mlflow db upgrade <database_uri>' to migrate your database to the "
        "latest schema. NOTE: schema migration may result in database downtime - please consult your database's "
        "documentation for more detail."
    )
    said = log_line(error)
    assert said.endswith("keep a copy of it, then: mlflow db upgrade postgresql://h/db")
    assert "451aebb31d03, not dc11669786a5" in said
    assert "move it away" in log_line("CommandError: Can't locate revision identified by 'deadbeef'")
