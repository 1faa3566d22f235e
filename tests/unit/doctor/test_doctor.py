"""The lines of `make doctor`, with the machine around it made as it may be."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.doctor import checks
from stages.doctor.__main__ import main
from stages.download.web import Patience, answers

ROOT = Path(__file__).resolve().parents[3]


def said(check: str) -> list[tuple[str, str]]:
    found = {"git": checks.git, "links": checks.links, "variables": checks.variables, "port": checks.port}
    return [(one.level, one.text) for one in found[check]()]


def test_this_checkout_has_a_line_for_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing is there, and no MLflow is imported
    done = CliRunner().invoke(main, ["--offline"])
    lines = done.stdout.splitlines()
    named = {line.split()[1] for line in lines}
    assert {f"{name}:" for name in ("Python", "git", "links", "disk", "memory", "processor", "port", "data")} <= named
    assert {line.split()[0] for line in lines} <= {"ok", "note", "warning", "refused"}
    assert done.exit_code == any(line.startswith("refused") for line in lines)


def test_without_a_repository_it_refuses_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").symlink_to("/tmp")
    done = CliRunner().invoke(main, ["--offline"])
    assert done.exit_code == 1
    refused = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("refused")]
    assert refused[:3] == ["git:", "links:", "params.yaml:"]
    assert done.stderr.startswith("Error: ")


def test_variables_that_reach_in_are_named_with_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.os, "environ", {"PATH": "/bin"})
    assert said("variables") == []
    monkeypatch.setattr(
        checks.os,
        "environ",
        {"SSL_CERT_FILE": "/nope", "OMP_NUM_THREADS": "1", "MKL_CBWR": "AVX", "CUDA_VISIBLE_DEVICES": "1"},
    )
    found = {text.split()[0]: level for level, text in said("variables")}
    note = checks.NOTE
    assert found == {
        "SSL_CERT_FILE=/nope": checks.WARNING,
        "OMP_NUM_THREADS": note,
        "MKL_CBWR": note,
        "CUDA_VISIBLE_DEVICES=1": note,
    }


def test_a_port_that_is_taken_is_told_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(checks, "PORT", taken)
        monkeypatch.setattr("stages.track.ui.PORT", taken)
        [(level, text)] = said("port")
    assert level == checks.NOTE
    assert text.startswith(f"{taken} is taken; make ui takes ")


def test_data_that_are_not_here_need_a_folder_or_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASETS_FOLDER", "nowhere")
    assert {one.level for one in checks.data(offline=False)} == {checks.REFUSED}
    monkeypatch.setenv("DATASETS_FOLDER", str(tmp_path))
    assert {one.level for one in checks.data(offline=False)} == {checks.OK}
    monkeypatch.delenv("DATASETS_FOLDER")
    monkeypatch.setattr(checks, "answers", lambda *_: "no route")
    monkeypatch.setattr(checks.shutil, "which", lambda _: None)
    assert {one.level for one in checks.data(offline=False)} == {checks.REFUSED}
    monkeypatch.setattr(checks, "answers", lambda *_: "")
    assert {one.level for one in checks.data(offline=False)} == {checks.OK}


def test_a_host_that_does_not_answer_is_told_within_seconds() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        patience = Patience(connect=0.2, answer=0.5, read=0.2, failures=1)
        assert "refused" in answers(f"http://127.0.0.1:{bound.getsockname()[1]}/", patience)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_store_that_does_not_work_is_told_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.track.store.database import database_problem

    file = tmp_path / "mlflow.db"
    uri = f"sqlite:///{file}"
    assert database_problem(uri) == database_problem("postgresql://h/db") == ""
    file.write_bytes(b"no database" * 100)
    assert "it is broken" in database_problem(uri)
    file.unlink()
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")
        database.commit()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert database_problem(uri).endswith(f"mlflow db upgrade {uri}")
        database.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("stages.track.store.database._QUICK", 0.05)
        assert "another process has it" in database_problem(uri)
