"""Every command that reads results and locks, on files that nobody should write: one line, and nothing is lost.

`verify` has its own tests (test_verify_findings.py). Here each file is another thing, or holds what breaks a reader;
the command must end with status 1 and one line that names the file, in time, and leave the pages as they were.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from stages.aggregate_tables import main as aggregate_tables
from stages.audit import export
from stages.audit.comparison import main as compare
from stages.audit.explain import main as explain
from stages.audit.export import main as export_main
from stages.audit.verdict import main as verdict
from stages.core.errors import StageError
from stages.core.files import json_text
from stages.launch.merge_lock import why_unproved
from stages.records.attempts import Attempts, attempts_path
from stages.records.evaluation import logits_path
from stages.records.spec import spec_path
from stages.sync.recorded import read_trainings
from tests.unit.audit.conftest import Audited
from tests.unit.report.conftest import ROOT

CELL = "mnist/resnet18-sgd"
RESULT = Path(f"reports/quick/cells/{CELL}-s0.json")
LOGITS, SPEC, ATTEMPTS = logits_path(RESULT), spec_path(Path("reports/quick/specs"), CELL), attempts_path("quick")
LOCK, PIPELINE = Path("dvc.lock"), Path("dvc.yaml")
LONGEST = 120  # seconds that a command may take on a busy machine

OUTS = [f"--{name}-out" for name in ("tables", "figures", "studies", "views", "cards")]
PAGES = [word for name in OUTS for word in (name, f"reports/quick/{name[2:-4]}")]
FILES = ["--ledger-out", "l.csv", "--ledger-json-out", "l.json", "--book-out", "b.html", "--attempts", str(ATTEMPTS)]
COMMANDS: dict[str, tuple[click.Command, list[str]]] = {
    "explain": (explain, ["II", "ResNet18 with SGD"]),
    "compare": (compare, [CELL, "mnist/resnet18"]),
    "verdict": (verdict, ["--rows", "any"]),
    "export": (export_main, ["--out", "crate"]),
    "aggregate": (aggregate_tables, ["--cells", "reports/quick/cells", *PAGES, *FILES]),
}


def special(path: Path, kind: str) -> None:
    """Something else than a regular file of ours."""
    path.unlink(missing_ok=True)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 36)
    else:
        path.symlink_to(kind)


SPECIAL = ["FIFO", "folder", "sparse", "/dev/zero", "/etc/passwd"]


def edited(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """The same record with another value, written as the stages do."""

    def made(content: bytes) -> bytes:
        record = json.loads(content)
        change(record)
        return json_text(record).encode()

    return made


TORN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda text: b"",
    "conflict": lambda text: b"<<<<<<< HEAD\n" + text + b"=======\n" + text + b">>>>>>> other\n",
    "torn character": lambda text: text[: len(text) // 2] + b"\xc3" + text[len(text) // 2 :],
    "another encoding": lambda text: text.decode().encode("utf-16"),
    "deep": lambda text: b"[" * 100_000,
}
JSON: dict[str, Callable[[bytes], bytes]] = {
    **TORN,
    "many digits": lambda text: text.replace(b"{", b'{"x": ' + b"1" * 5000 + b",", 1),
    "surrogate": lambda text: text.replace(b"{", b'{"x": "\\ud800",', 1),
    "line break": lambda text: text.replace(b"{", b'{"x\\nnumbers: 35 proved": 1,', 1),
    "key twice": lambda text: text.replace(b"{", b'{"seed": 0, "seed": 0,', 1),
    "a list": lambda text: b"[1, 2]\n",
}
RESULTS: dict[str, Callable[[bytes], bytes]] = {
    **JSON,
    "a path elsewhere": edited(lambda result: result["provenance"].update(inputs={"/etc/shadow": {"md5": "0" * 32}})),
    "a line in a stage": edited(lambda result: result.update(stage="x\nnumbers: 35 proved")),
}
YAML: dict[str, Callable[[bytes], bytes]] = {
    **TORN,
    "a list of stages": lambda text: b"schema: '2.0'\nstages: [1, 2]\n",
    "key twice": lambda text: text + b"stages: {}\n",
    "many digits": lambda text: text + b"x: " + b"9" * 5000 + b"\n",
    "cycle": lambda text: text + b"x: &x [*x]\n",
    "a stage that is a list": lambda text: text.replace(b"stages:\n", b"stages:\n  x: [1]\n", 1)[:400] + b"\n  {",
}


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """A command that waits for a FIFO fails its test instead of stopping all."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pages() -> dict[str, bytes]:
    """All files of the reports but results and what belongs to them."""
    found = (path for path in Path("reports").rglob("*") if path.is_file() and "cells" not in path.parts)
    return {path.as_posix(): path.read_bytes() for path in found if path.suffix in (".md", ".html", ".csv")}


def refused(name: str, path: Path) -> None:
    """The command ends with one line that names the file, and leaves all pages as they are."""
    before = pages()
    command, words = COMMANDS[name]
    done = CliRunner().invoke(command, words)
    assert isinstance(done.exception, SystemExit), (done.exception, done.output)
    assert done.exit_code == 1, done.output
    assert done.output.startswith("Error: "), done.output
    assert len(done.output.splitlines()) == 1, done.output
    assert path.name in done.output
    assert len(done.output) < 1000
    assert pages() == before
    assert not Path("crate").exists()


@pytest.fixture
def small(audited: Audited, monkeypatch: pytest.MonkeyPatch) -> Audited:
    """A clone with pages, of which nothing is found by `verify` for the crate."""
    monkeypatch.setattr(export, "verification", lambda *_: {"numbers": []})
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, name)
    tables = Path("reports/quick/tables")
    tables.mkdir(parents=True, exist_ok=True)
    (tables / "tables.md").write_text("as it was\n")
    return audited


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_that_is_none(small: Audited, kind: str) -> None:
    RESULT.write_bytes(RESULTS[kind](RESULT.read_bytes()))
    refused("verdict", RESULT)
    _, left_out = read_trainings("quick")
    assert [error.message.partition(":")[0] for error in left_out] == [str(RESULT)]


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_result_that_is_no_file(small: Audited, kind: str) -> None:
    special(RESULT, kind)
    for name in ("verdict", "explain"):
        refused(name, RESULT)
    if kind in ("FIFO", "/etc/passwd"):
        for name in ("compare", "aggregate", "export"):
            refused(name, RESULT)
    if kind != "folder":
        _, left_out = read_trainings("quick")
        assert str(RESULT) in left_out[0].message


@pytest.mark.parametrize("kind", [*SPECIAL, "shape"])
def test_logits_that_are_none(small: Audited, kind: str) -> None:
    """The pages are made of the results alone; the mirror and the crate take the logits' bytes."""
    if kind == "shape":
        text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000000000000, 10), }".ljust(117) + b"\n"
        LOGITS.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    else:
        special(LOGITS, kind)
        refused("export", LOGITS)
    _, left_out = read_trainings("quick")
    assert [error.message.partition(":")[0] for error in left_out] == [str(LOGITS)]


@pytest.mark.parametrize("kind", [*JSON, *SPECIAL])
def test_attempts_that_are_none(small: Audited, kind: str) -> None:
    line = '{"kind": "begin"}\n'
    ATTEMPTS.write_text(line)
    if kind in SPECIAL:
        special(ATTEMPTS, kind)
    elif kind != "empty":
        ATTEMPTS.write_bytes(JSON[kind](line.encode()))
    with pytest.raises(StageError, match=str(ATTEMPTS)) if kind != "empty" else pytest.raises(StageError) as caught:
        Attempts.read(ATTEMPTS)
    assert len(caught.value.message.splitlines()) == 1
    if kind in ("FIFO", "deep"):
        refused("aggregate", ATTEMPTS)


@pytest.mark.parametrize("kind", [*YAML, *SPECIAL])
@pytest.mark.parametrize("path", [LOCK, PIPELINE])
def test_a_lock_and_a_pipeline_that_are_none(small: Audited, path: Path, kind: str) -> None:
    if kind in SPECIAL:
        special(path, kind)
        refused("export", path)
    else:
        path.write_bytes(YAML[kind](path.read_bytes()))
    refused("explain", path)


@pytest.mark.parametrize(
    "entry",
    [
        "  train-mnist@quick-vgg16-0:\n    cmd: x\n    x: " + "[" * 100_000,
        "  train-mnist@quick-vgg16-0:\n    cmd: x\n    x: &x [*x]\n",
        "  train-mnist@quick-vgg16-0: [1, 2]\n",
        "  train-mnist@quick-vgg16-0:\n    cmd: " + "9" * 5000 + "\n",
        "  train-mnist@quick-vgg16-0:\n    outs:\n    - path: /etc/shadow\n      md5: " + "0" * 32 + "\n",
        "  train-mnist@quick-vgg16-0:\n    outs:\n    - path: ../../etc\n      md5: x\n    - 7\n",
    ],
)
def test_an_entry_in_conflict_that_is_none_is_left_out_with_its_reason(entry: str) -> None:
    why = why_unproved("train-mnist@quick-vgg16-0", entry, contested=True)
    assert why
    assert len(why.splitlines()) == 1
