"""`python -m stages.track sync`: what the stages tell MLflow live, once more from the files."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from stages.config.params import Params
from stages.records.evaluation import logits_path
from stages.track.uri import tracking_uri
from tests.held import MlflowClient, held
from tests.shipped import shipped_text
from tests.unit.track import live
from tests.unit.track.evaluated import put_result, put_run, result, sealed

Held = Callable[..., list[dict[str, Any]]]
# MLflow's own store, in this process: it uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
STUDY = "cifar10/resnet18-lr1e-2-sgd"


@pytest.fixture
def clone(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with params.yaml and an empty store, in which `sync` runs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")  # in one process MLflow opens a relative one once
    (store.parent / "params.yaml").write_text(shipped_text())
    return store.parent


@pytest.fixture
def lose(clone: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Go on with an empty store: whatever the other held is gone."""

    def empty() -> None:
        (clone / "mlflow.db").unlink()
        shutil.rmtree(clone / "mlartifacts", ignore_errors=True)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(template, clone / 'another.db')}")

    return empty


@pytest.fixture
def all_held(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Held:
    """What the store holds, by start."""

    def read() -> list[dict[str, Any]]:
        found = held(tracking_uri(), tmp_path_factory.mktemp("fetched")).values()
        return sorted(found, key=lambda run: (run["info"]["start_time"], run["info"]["status"]))

    return read


def synced(*options: str, counts: str | None = None) -> Result:
    """Sync; with `counts`, it must succeed with these in its first line."""
    done = live.sync_here(*options)
    if counts:
        assert (done.exit_code, done.stderr.splitlines()[0]) == (0, counts), done.stderr
    return done


def dump() -> list[str]:
    with sqlite3.connect(tracking_uri().removeprefix("sqlite:///")) as connection:
        found = list(connection.iterdump())
    connection.close()
    return found


@pytest.fixture
def mirrored_here() -> Iterator[None]:
    """For what is not about the process: the first test below has real ones."""
    with live.mirrored_here():
        yield


def test_a_sync_makes_what_the_stages_make_live(
    clone: Path, lose: Callable[[], None], params: Params, all_held: Held
) -> None:
    """Everything in MLflow is the same but the run's id: of two trainings that are tested and one that is not."""
    made = [result("mnist/vgg16"), result("cifar10/googlenet-sgd", later=100), result(STUDY, later=200)]
    made[1]["history"][1]["train_loss"] = None  # diverged
    made[1]["loss"] = None
    for one in made:
        live.train(one, params, clone)
    for one in made[:2]:
        live.evaluate(one, clone)
    ids = [one["run"]["mlflow"]["run_id"] for one in made]
    lived = all_held()
    assert [run["experiment"][:8] for run in lived] == ["Table I:", "Table VI", "Study re"]
    assert [run["info"]["status"] for run in lived] == ["FINISHED"] * 3
    assert [len(run["artifacts"]) for run in lived] == [6, 6, 2]
    assert [run["tags"]["recorded_run_id"] for run in lived] == ids
    before = dump()
    synced(counts="3 runs: 0 added, 0 completed, 3 there already")
    assert dump() == before

    lose()
    for tested in made[:2]:  # a clone has their results alone
        shutil.rmtree(clone / "data/runs/quick" / tested["run"]["cell"])
    done = synced(counts="3 runs: 3 added, 0 completed, 0 there already")
    assert "find a table's run in MLflow by the filter tags.recorded_run_id = '<its id>'" in done.stderr
    assert all_held() == lived
    client = MlflowClient(tracking_uri())
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    [found] = client.search_runs(everywhere, f"tags.recorded_run_id = '{ids[1]}'")
    assert found.info.run_name == "GoogLeNet with SGD"
    before = dump()
    synced(counts="3 runs: 0 added, 0 completed, 3 there already")
    assert dump() == before


@pytest.mark.usefixtures("mirrored_here")
@pytest.mark.parametrize("until", range(5))
def test_a_mirror_that_died_is_completed(
    until: int, clone: Path, lose: Callable[[], None], params: Params, all_held: Held
) -> None:
    """After any of its events: in its own run, which then is whole; a training that it never told of gets a run."""
    made = result()
    live.train(made, params, clone, until)
    put_result(made, clone)
    assert [run["info"]["status"] for run in all_held()] == ["RUNNING"] * (until > 0)
    synced(counts=f"1 runs: {int(until == 0)} added, {int(until > 0)} completed, 0 there already")
    completed = all_held()
    assert [run["info"]["status"] for run in completed] == ["FINISHED"]
    synced(counts="1 runs: 0 added, 0 completed, 1 there already")
    lose()
    synced(counts="1 runs: 1 added, 0 completed, 0 there already")
    assert all_held() == completed


@pytest.mark.usefixtures("mirrored_here")
def test_what_was_not_told_of_the_evaluation_is_added(clone: Path, params: Params, all_held: Held) -> None:
    made = result()
    live.train(made, params, clone)
    synced(counts="1 runs: 0 added, 0 completed, 1 there already")
    put_result(made, clone)
    synced(counts="1 runs: 0 added, 1 completed, 0 there already")
    [run] = all_held()
    assert run["last values"]["test_accuracy_percent"] == pytest.approx(100 * made["accuracy"])
    assert len(run["artifacts"]) == 6
    before = dump()
    live.evaluate(made, clone)  # a later mirror of the same adds nothing to it
    assert dump() == before


@pytest.mark.usefixtures("mirrored_here")
def test_runs_of_an_earlier_version_get_their_accuracies_in_percent(
    clone: Path, params: Params, all_held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It logged shares under names without a unit; those stay beside, since MLflow takes no metric back."""
    made = result()
    with monkeypatch.context() as earlier:
        earlier.setattr(live, "epoch_metrics", lambda epoch: epoch.model_dump(exclude={"epoch"}))
        live.train(made, params, clone)
    live.evaluate(made, clone)
    synced(counts="1 runs: 0 added, 1 completed, 0 there already")
    [run] = all_held()
    shares, percent = (run["series"][f"validation_accuracy{end}"] for end in ("", "_percent"))
    assert percent == [(step, at, round(100 * share, 6)) for step, at, share in shares]
    synced(counts="1 runs: 0 added, 0 completed, 1 there already")


@pytest.mark.usefixtures("mirrored_here")
def test_a_later_test_stays_as_it_is(clone: Path, params: Params) -> None:
    """Another clone's, where a server has the runs of both; an earlier one does not come back over it."""
    made = result()
    live.train(made, params, clone)
    live.evaluate(made, clone)
    before = dump()
    made["times"]["ended"] = made["times"]["started"]
    made["loss"] = 99.0
    put_result(made, clone)
    synced(counts="1 runs: 0 added, 0 completed, 1 there already")
    assert dump() == before
    made["times"]["ended"] = "2027-01-01T00:00:00.000+00:00"
    put_result(made, clone)
    synced(counts="1 runs: 0 added, 1 completed, 0 there already")


def test_deleted_runs_experiments_and_artifacts_come_back(clone: Path, all_held: Held) -> None:
    for number in range(3):
        put_result(result("mnist/resnet18", seed=number), clone)
    put_result(result("mnist/vgg16", later=1), clone)
    synced(counts="4 runs: 4 added, 0 completed, 0 there already")
    before = all_held()
    client = MlflowClient(tracking_uri())
    runs = held(tracking_uri(), clone / "fetched")
    resnets = [run_id for run_id, run in runs.items() if run["experiment"] == "Table II: ResNet on MNIST"]
    client.delete_run(resnets[0])
    (clone / "mlartifacts/Table II ResNet on MNIST" / resnets[1] / "artifacts/report.txt").unlink()
    [vgg] = set(runs) - set(resnets)
    client.delete_experiment(client.get_run(vgg).info.experiment_id)
    synced(counts="4 runs: 0 added, 3 completed, 1 there already")
    assert all_held() == before
    synced(counts="4 runs: 0 added, 0 completed, 4 there already")


@pytest.mark.usefixtures("mirrored_here")
def test_the_rest_of_a_killed_training_does_not_stay_running(clone: Path, params: Params, all_held: Held) -> None:
    """Its stage has since started again; one that started after what is on record may run now."""
    for later in (-50, 0, 50):
        live.train(result(later=later), params, clone, until=2)
    put_run(result(), clone)  # what a run folder holds is of the last that ended
    done = synced(counts="1 runs: 0 added, 1 completed, 0 there already; 1 that never ended marked KILLED")
    assert "new ids" not in done.stderr
    old, middle, now = all_held()
    assert [run["info"]["status"] for run in (old, middle, now)] == ["KILLED", "FINISHED", "RUNNING"]
    assert (old["info"].get("end_time"), now["info"].get("end_time")) == (None, None)
    assert old["series"]["train_loss"]
    synced(counts="1 runs: 0 added, 0 completed, 1 there already")


def test_a_cell_that_was_trained_again_has_a_run_for_each(clone: Path, all_held: Held) -> None:
    """The one of its result, and the one of its run folder that is not evaluated yet."""
    put_result(result(), clone)
    put_run(result(later=100), clone)
    synced(counts="2 runs: 2 added, 0 completed, 0 there already")
    tested, untested = all_held()
    assert tested["info"]["run_name"] == untested["info"]["run_name"] == "VGG16"
    assert ("test_loss" in tested["last values"], "test_loss" in untested["last values"]) == (True, False)


def test_budgets_are_synced_apart_or_together(clone: Path) -> None:
    put_result(result(), clone)
    other = result("mnist/vgg11")
    other["run"]["budget"] = "paper"
    put_run(sealed(other), clone)
    synced("--budget", "paper", counts="1 runs: 1 added, 0 completed, 0 there already")
    synced(counts="2 runs: 1 added, 0 completed, 1 there already")
    assert synced("--budget", "half").stderr == (
        "Error: --budget: 'half' is not allowed; allowed: those with run records here: paper, quick\n"
    )


# What it refuses


def test_what_does_not_hold_together_is_left_out_and_named(clone: Path) -> None:
    """The others are synced."""
    put_result(result("mnist/resnet18"), clone)
    old = result("mnist/vgg11")
    del old["run"]["data"]
    put_result(old, clone)
    edited = result("mnist/vgg16")
    edited["history"][0]["train_loss"] = 0.1
    put_result(edited, clone)
    done = synced()
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0] == "1 runs: 1 added, 0 completed, 0 there already"
    first, second = done.stderr.splitlines()[-2:]
    assert first == (
        "Error: left out: reports/quick/cells/mnist/vgg11-s0.json: no run.data; "
        "expected the record that dvc repro writes today"
    )
    assert second.startswith("  reports/quick/cells/mnist/vgg16-s0.json: md5 of its history.json ")
    (clone / "reports/quick/cells/mnist/vgg11-s0.json").unlink()
    assert "mnist/vgg16-s0.json: md5 of its history.json " in synced().stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run["times"].update(ended="yesterday"), "times.ended: 'yesterday'; expected "),
        (lambda run: run["times"]["epochs"].pop(), "binding is not that of cell, budget, seed, code, settings, data, "),
        (lambda run: run["sha256"].clear(), "run.json: no sha256.weights.safetensors; expected "),
        (lambda run: run.update(seed=1), "run.json: the file: "),
        (lambda run: run.update(budget="paper"), "binding is not that of cell, budget, seed, code, settings, data, "),
    ],
)
def test_a_wrong_run_record_is_one_line(change: Callable[[dict[str, Any]], None], said: str, clone: Path) -> None:
    made = result()
    change(made["run"])
    put_run(made, clone)
    done = synced()
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    folder = f"{made['run']['budget']}/mnist/vgg16/s{made['run']['seed']}"
    assert done.stderr.startswith(f"Error: left out: data/runs/{folder}/run.json: ")
    assert said in done.stderr


def test_a_history_of_more_epochs_than_were_timed_is_left_out(clone: Path) -> None:
    made = result()
    made["run"]["times"]["epochs"].pop()
    put_run(sealed(made), clone)
    assert "2 epochs in the history; expected 1, as the run record times them" in synced().stderr


def test_files_that_the_record_does_not_know_are_left_out(clone: Path) -> None:
    history = put_run(result(), clone) / "history.json"
    history.write_text(history.read_text().replace("2.0", "1.0", 1))
    assert "s0/history.json: sha256 " in synced().stderr
    shutil.rmtree(clone / "data")
    logits = logits_path(put_result(result("mnist/vgg11"), clone))
    logits.write_bytes(logits.read_bytes()[:-1] + b"\0")
    assert "vgg11-s0.npy: sha256 " in synced().stderr
    logits.unlink()
    assert "vgg11-s0.npy is missing; it is made by: dvc repro evaluate-mnist@quick-vgg11-0" in synced().stderr


def test_no_records(clone: Path) -> None:
    said = "Error: no run records under reports/ or data/runs/; they are made by: dvc repro\n"
    assert synced().stderr == said
    (clone / "data/runs/quick/mnist/vgg16/s0").mkdir(parents=True)  # being trained
    assert synced().stderr == said


def test_a_store_that_fails_is_one_line(clone: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    put_result(result(), clone)
    broken = clone / "broken.db"
    broken.write_bytes(b"not a database" * 1000)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{broken}")
    done = synced()
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"Error: MLflow at sqlite:///{broken} failed: ")
    assert "file is not a database" in done.stderr
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{free_port}")
    done = synced()
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"Error: MLflow at http://127.0.0.1:{free_port} failed: MlflowException: ")
    assert done.stderr.endswith("; mend that, and sync again\n")


def test_a_value_that_differs_is_refused(clone: Path) -> None:
    """MLflow never changes a parameter; the others are synced all the same."""
    put_result(result(), clone)
    synced(counts="1 runs: 1 added, 0 completed, 0 there already")
    changed = result()
    changed["run"]["config"]["epochs"] = 3
    put_result(sealed(changed), clone)
    put_result(result("mnist/vgg11", later=100), clone)
    done = synced()
    assert done.exit_code == 1
    counts, _, refusal = done.stderr.splitlines()
    assert counts == "1 runs: 1 added, 0 completed, 0 there already"
    assert refusal.startswith("Error: left out: reports/quick/cells/mnist/vgg16-s0.json: MLflow's run ")
    assert "'epochs'" in refusal
