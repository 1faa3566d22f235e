"""What a launch records in dvc.lock, in a real DVC repository of small stages."""

import json
import multiprocessing.spawn
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dvc.dvcfile import Lockfile

from stages.config.reading import read_yaml
from stages.core.errors import StageError
from stages.launch import work
from stages.launch.cluster import LaunchContext, connected, run
from stages.launch.pipeline import LockFile, Pipeline
from stages.launch.work import Result, Running, Unit
from stages.records.provenance import Dependency
from tests.shipped import shipped_params
from tests.unit.report.conftest import sha, spec, trained

PLACEHOLDER = "deadbeef" * 4  # in the template of a run record: for the md5 of data.txt
WORK = f"""
import hashlib, pathlib, sys
number = sys.argv[1]
out = pathlib.Path("out", number)
out.mkdir(parents=True)
(out / "result.txt").write_text(number)
md5 = hashlib.md5(pathlib.Path("data.txt").read_bytes()).hexdigest()
(out / "run.json").write_text(pathlib.Path("template.json").read_text().replace("{PLACEHOLDER}", md5))
"""
DVC = """
vars: [numbers.yaml]
stages:
  work:
    matrix: {number: "${numbers}"}
    cmd: python work.py ${item.number}
    deps: [data.txt]
    params: [{spec.json: [settings, code.train]}]
    outs: ["out/${item.number}"]
"""


@pytest.fixture
def dvc(forked_python: str) -> list[str]:
    """DVC's command."""
    return [forked_python, "-m", "dvc"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dvc: list[str]) -> Callable[[int], Pipeline]:
    """A repository in the working directory, with that many stages that none has run of. All train the same cell."""
    params = shipped_params()
    key = params.cell_keys()[0]
    record, _ = trained(params, "quick", key, 0)
    inputs = {"data.txt": Dependency(md5=PLACEHOLDER)}
    template = record.model_copy(update={"provenance": record.provenance.model_copy(update={"inputs": inputs})})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["launch"])

    def make(count: int) -> Pipeline:
        Path("work.py").write_text(WORK)
        Path("data.txt").write_text("data")
        template.write("template.json")
        spec(params, "quick", key).write("spec.json")
        Path("numbers.yaml").write_text(json.dumps({"numbers": list(range(count))}))
        Path("dvc.yaml").write_text(DVC)
        Path(".gitignore").write_text("/.cache\n/out\n")
        for command in (["git", "init", "-q"], [*dvc, "init", "-q"], ["git", "add", "-A"]):
            subprocess.run(command, check=True)
        author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *author, "commit", "-qm", "work"], check=True)
        return Pipeline()

    return make


def edit_spec(section: str, **changes: Any) -> None:
    content = json.loads(Path("spec.json").read_text())
    content[section] |= changes
    Path("spec.json").write_text(json.dumps(content))


def names(count: int) -> list[str]:
    return [f"work@{number}" for number in range(count)]


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = read_yaml("dvc.lock")["stages"] if Path("dvc.lock").is_file() else {}
    return found


def perform(pipeline: Pipeline, name: str) -> Result:
    return work.perform(Unit(name, (pipeline.command(name),)), {}, lambda _: None, Running())


def test_what_ran_is_recorded_as_dvc_records_it(repository: Callable[[int], Pipeline], dvc: list[str]) -> None:
    pipeline = repository(2)
    assert pipeline.stale(names(2)) == set(names(2))
    with pipeline.busy(names(2)):
        result = perform(pipeline, "work@0")
        assert pipeline.record(result.done) == {}
    subprocess.run([*dvc, "repro", "-q", "work@1"], check=True)
    ours, theirs = recorded()["work@0"], recorded()["work@1"]
    assert ours.keys() == theirs.keys()
    assert (ours["deps"], ours["params"]) == (theirs["deps"], theirs["params"])
    assert Pipeline().stale(names(2)) == set()
    again = subprocess.run([*dvc, "repro"], check=True, capture_output=True, text=True)
    assert "Running stage" not in again.stdout


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the kernel does not group processes by session")
def test_a_nice_launch_runs_nice_commands(
    repository: Callable[[int], Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command has a session of its own, whose weight the kernel does not take from the launch."""
    repository(1)
    monkeypatch.setattr(os, "getpriority", lambda which, who: 7)
    waits = (
        "import time\ntime.sleep(1)\n(out / 'autogroup').write_text(pathlib.Path('/proc/self/autogroup').read_text())"
    )
    Path("work.py").write_text(WORK + waits)
    assert perform(Pipeline(), "work@0").done
    assert Path("out/0/autogroup").read_text().strip().endswith("nice 7")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: Path("data.txt").write_text("other"), "data.txt"),
        (lambda: edit_spec("settings", epochs=7), "settings"),
        (lambda: edit_spec("code", train=sha("edited")), "code.train"),
        (lambda: Path("out/0/result.txt").write_text("tampered"), "out/0"),
        (lambda: Path("out/0/more.txt").write_text(""), "out/0"),
    ],
)
def test_what_changed_since_is_not_recorded(
    repository: Callable[[int], Pipeline], change: Callable[[], Any], said: str
) -> None:
    pipeline = repository(1)
    done = perform(pipeline, "work@0").done
    change()
    assert pipeline.record(done) == {"work@0": f"not recorded, since this changed while it ran: {said}"}
    assert recorded() == {}


def test_a_record_that_does_not_hold_together_is_not_evidence(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(1)
    text = Path("template.json").read_text()
    Path("template.json").write_text(text.replace('"epochs": 2', '"epochs": 3', 1))
    done = perform(pipeline, "work@0").done
    said = pipeline.record(done)["work@0"]
    assert said.startswith("not recorded: out/0/run.json: ")
    assert recorded() == {}


def test_another_part_of_the_spec_changes_nothing(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(1)
    done = perform(pipeline, "work@0").done
    edit_spec("testing", images=1)
    edit_spec("code", evaluate=sha("edited"))
    assert pipeline.record(done) == {}
    assert set(recorded()) == {"work@0"}


def test_what_is_not_here_has_not_changed_and_what_is_here_may_have(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(2)
    assert pipeline.changed("work@0") == ["data.txt"]
    pipeline.record(perform(pipeline, "work@0").done)
    pipeline = Pipeline()
    assert pipeline.changed("work@0") == []
    Path("out/0/result.txt").write_text("tampered")
    assert pipeline.changed("work@0") == ["out/0"]
    shutil.rmtree("out/0")
    assert pipeline.changed("work@0") == []
    assert pipeline.stale(["work@0"]) == {"work@0"}
    Path("data.txt").unlink()
    assert Pipeline().changed("work@0") == []
    Path("data.txt").write_text("other")
    assert Pipeline().changed("work@0") == ["data.txt"]


def test_dvc_lock_is_read_alike_with_and_without_dvc(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(2)
    pipeline.record(perform(pipeline, "work@0").done)
    ours, theirs = LockFile(), Pipeline()
    assert ours.locked("work@0") == theirs.locked("work@0")
    assert ours.locked("work@0").params["settings"] == json.loads(Path("spec.json").read_text())["settings"]
    assert ours.locked("work@1") == theirs.locked("work@1") == ({}, {}, {})


def test_a_stage_is_recorded_unless_its_inputs_change_meanwhile(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(2)
    for number, meanwhile in ((0, "data"), (1, "other")):
        with pipeline.recording(f"work@{number}"):
            subprocess.run([sys.executable, "work.py", str(number)], check=True)
            Path("data.txt").write_text(meanwhile)
    assert set(recorded()) == {"work@0"}
    Path("data.txt").write_text("data")
    assert Pipeline().stale(names(2)) == {"work@1"}


def test_nothing_is_recorded_without_a_record(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(1)
    [done] = perform(pipeline, "work@0").done
    Path("out/0/run.json").unlink()
    assert pipeline.record([done]) == {"work@0": "not recorded: work@0 left no record of what it ran with"}
    assert recorded() == {}
    assert pipeline.stale(names(1)) == set(names(1))


def test_a_failing_command_is_told_with_its_last_line(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(1)
    Path("work.py").write_text("import sys; print('first'); sys.exit('no such thing')")
    result = perform(pipeline, "work@0")
    assert result.done == ()
    assert result.failure == "work@0: exit status 1: no such thing (.cache/launch/work@0.log)"


def test_old_outputs_go_before_a_command_runs(repository: Callable[[int], Pipeline]) -> None:
    """They may share their bytes with DVC's cache."""
    pipeline = repository(1)
    Path("out/0").mkdir(parents=True)
    Path("out/0/old.txt").write_text("old")
    assert pipeline.record(perform(pipeline, "work@0").done) == {}
    assert sorted(path.name for path in Path("out/0").iterdir()) == ["result.txt", "run.json"]


def test_what_the_run_cache_has_is_put_back(repository: Callable[[int], Pipeline]) -> None:
    pipeline = repository(2)
    pipeline.record(perform(pipeline, "work@0").done)
    shutil.rmtree("out")
    Path("dvc.lock").unlink()
    fresh = Pipeline()
    assert fresh.restore(names(2)) == {"work@0"}
    assert Path("out/0/result.txt").read_text() == "0"
    assert fresh.stale(names(2)) == {"work@1"}


def test_a_lock_file_is_written_whole_or_not_at_all(
    repository: Callable[[int], Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = repository(2)
    pipeline.record(perform(pipeline, "work@0").done)
    before = Path("dvc.lock").read_bytes()

    def torn(lock: Lockfile, _: object) -> None:
        Path(lock.path).write_text("schema: '2.0'\nstag")
        raise OSError("No space left on device")

    monkeypatch.setattr(Lockfile, "dump_stages", torn)
    done = perform(pipeline, "work@1").done
    with pytest.raises(StageError, match="No space left on device"):
        pipeline.record(done)
    assert Path("dvc.lock").read_bytes() == before
    assert not list(Path().glob(".dvc.lock*"))


def test_paths_in_use_are_refused_to_others(repository: Callable[[int], Pipeline], dvc: list[str]) -> None:
    pipeline = repository(2)
    with pipeline.busy(["work@0"]):
        beside = subprocess.run([*dvc, "repro", "work@0"], capture_output=True, text=True)
        other = subprocess.run([*dvc, "repro", "-q", "work@1"])
    assert (beside.returncode, other.returncode) == (255, 0)
    assert "is being blocked by" in beside.stderr
    subprocess.run([*dvc, "repro", "-q"], check=True)


@pytest.mark.slow
def test_136_stages_8_at_once(
    repository: Callable[[int], Pipeline], forked_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock error, and no entry of dvc.lock is lost."""
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode(forked_python))
    count = 136  # 34 cells with 4 seeds
    pipeline = repository(count)
    units = [Unit(name, (pipeline.command(name),)) for name in names(count)]
    refused: dict[str, str] = {}
    ended: list[str] = []
    with pipeline.busy(names(count)), connected(None, 8, "token", lambda _: None) as client:
        for results in run(client, units, LaunchContext("token", {}, [])):
            assert [result.failure for result in results if result.failure] == []
            ended += [result.unit for result in results]
            refused |= pipeline.record([one for result in results for one in result.done])
    assert refused == {}
    assert sorted(ended) == sorted(names(count))
    assert set(recorded()) == set(names(count))
    assert Pipeline().stale(names(count)) == set()
