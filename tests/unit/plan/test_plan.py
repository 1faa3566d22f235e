"""What a plan says of a campaign: done and left, time, room, formats, and what would be refused."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.config.loading import load_params
from stages.config.params import Params, Training
from stages.launch import sizes
from stages.launch.machine import ThisMachine
from stages.plan import __main__ as command
from stages.plan import campaign as module
from stages.plan.campaign import Campaign, formats, makespan
from stages.plan.preflight import preflight_problems
from stages.plan.text import plan_text
from stages.records.eta import Eta, Machine
from stages.records.run import NetworkSize, TrainingRun
from tests.shipped import shipped_params
from tests.unit.report.conftest import ROOT, spec, trained

HERE = ThisMachine(Machine("cpu", "A processor"), [], False, 8 << 30, 40 << 30)
SIZE = NetworkSize(parameters=10**7, multiply_adds=10**8)
OLD_GPU = Machine("cuda: Old GPU", "AMD EPYC (cpu family 25, model 17)")
BUDGET = "paper"


@pytest.fixture(scope="module")
def params() -> Params:
    return shipped_params()


def planned(
    params: Params, left: dict[Training, str], runs: list[TrainingRun], machine: ThisMachine = HERE, jobs: int = 2
) -> Campaign:
    specs = {str(key): spec(params, BUDGET, key) for key in params.cell_keys()}
    known = dict.fromkeys(specs, SIZE)
    eta = Eta(params, BUDGET, runs, machine.machine, known)
    finished = {(run.cell, run.seed): run for run in runs}
    return Campaign(params, BUDGET, machine, jobs, specs, known, left, {}, finished, eta)


def run_of(params: Params, cell: str) -> TrainingRun:
    return trained(params, BUDGET, params.find(cell)[0], 0)[0].model_copy(update={"network": SIZE})


def without(params: Params, *cells: str) -> dict[Training, str]:
    return {training: "no result" for training in params.trainings() if str(training.key) not in cells}


@pytest.mark.parametrize(
    ("times", "jobs", "expected"), [([3.0, 1.0, 2.0], 1, 6.0), ([3.0, 1.0, 2.0], 2, 3.0), ([], 2, 0.0)]
)
def test_the_time_is_that_of_the_longest_first(times: list[float], jobs: int, expected: float) -> None:
    assert makespan(times, jobs) == expected


def test_a_plan_counts_by_data_set_and_family(params: Params) -> None:
    run = run_of(params, "mnist/resnet18")
    found = planned(params, without(params, "mnist/resnet18"), [run])
    lines = plan_text(found).splitlines()
    total = len(params.trainings())
    assert lines[0] == f"budget paper (all images and the paper's ten epochs): {total} trainings, 1 done"
    assert [line.split()[:6] for line in lines if line.startswith("  mnist resnet")] == [
        ["mnist", "resnet", "1", "done", "5", "left"]
    ]
    assert f"  {total - 1} left: no result" in lines
    assert any(line.startswith("time left: about ") and "rates of other families" in line for line in lines)
    assert any(line.startswith("memory: roughly ") for line in lines)
    assert any(line.startswith("disk: ") and "weights" in line for line in lines)
    assert "device: cpu on A processor" in lines
    assert "MLflow: sqlite:///mlflow.db" in lines


def test_nothing_is_left_and_nothing_is_refused(params: Params) -> None:
    runs = [run_of(params, str(training.key)) for training in params.trainings()]
    found = planned(params, {}, runs, HERE._replace(disk=0, memory=0))
    assert "time left: none, every training has a recorded result" in plan_text(found)
    assert "rates" not in plan_text(found)
    assert preflight_problems(found) == []


def test_without_records_the_time_is_not_known(params: Params) -> None:
    found = planned(params, without(params), [])
    assert "time left: unknown, no training is recorded here" in plan_text(found)


def test_an_estimate_takes_as_long_as_the_recorded_trainings_like_it(params: Params) -> None:
    run = run_of(params, "mnist/resnet18")
    seconds = sum(epoch.seconds for epoch in run.times.epochs)
    left = {training: "no result" for training in params.trainings() if str(training.key) == "mnist/resnet18-sgd"}
    found = planned(params, left, [run])
    assert found.time_left() == pytest.approx(seconds)
    assert "rates of this kind of machine (1)" in plan_text(found)
    abroad = planned(params, left, [run], HERE._replace(machine=Machine("cpu", "Another")))
    assert "rates of other machines (1)" in plan_text(abroad)


def test_a_table_of_two_formats_is_said(params: Params) -> None:
    """Recorded in float32, and what is left would run in bfloat16."""
    found = planned(params, without(params, "mnist/resnet18"), [run_of(params, "mnist/resnet18")])
    assert formats(found)["II"] == {"cpu, emulated bfloat16": 5, "cpu, float32": 1}
    assert f"number format: emulated bfloat16 ({len(found.left)} left)" in plan_text(found)
    lines = [line for line in plan_text(found).splitlines() if line.startswith("warning: ")]
    differing = "5 of cpu, emulated bfloat16; 1 of cpu, float32"
    assert lines == [
        f"warning: with the rest run here, the trainings of Table II differ in device or number format: {differing}"
    ]
    native = planned(params, without(params), [], HERE._replace(bfloat16=True))
    assert formats(native)["II"] == {"cpu, bfloat16": 6}


Change = Callable[[ThisMachine], ThisMachine]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda machine: machine, None),
        (lambda machine: machine._replace(machine=OLD_GPU), "precision: 'bfloat16' of "),
        (lambda machine: machine._replace(bfloat16=True, disk=10**6), "disk: "),
        (lambda machine: machine._replace(bfloat16=True, memory=10**6), "memory: one training takes about "),
        (lambda machine: machine._replace(bfloat16=None), None),
        (lambda machine: machine._replace(bfloat16=True), None),
    ],
)
def test_what_would_be_refused_is_said_with_its_cure(params: Params, change: Change, said: str | None) -> None:
    found = planned(params, without(params), [], change(HERE))
    refused = preflight_problems(found)
    assert len(refused) == (said is not None)
    assert all(line.startswith(str(said)) for line in refused)
    if said and "bfloat16" in said:
        allowed = "allowed: float32 (budgets.paper.precision in params.yaml)"
        assert f"this cuda: Old GPU does not multiply it natively; {allowed}" in refused[0]


def test_a_pinned_gpu_that_is_not_here_is_refused(params: Params) -> None:
    budget = params.budgets[BUDGET].model_copy(update={"device": "cuda", "precision": "float32"})
    pinned = params.model_copy(update={"budgets": params.budgets | {BUDGET: budget}})
    found = planned(pinned, without(pinned), [], HERE._replace(bfloat16=True))
    [line] = preflight_problems(found)
    assert line.startswith("device: 'cuda' is not available here; allowed: auto or cpu")


def test_without_a_commit_a_campaign_is_refused(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(params, without(params), [], HERE._replace(bfloat16=True))
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    [line] = preflight_problems(found)
    assert line.startswith("git: there is no commit here")


def test_refusals_end_with_status_1(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = HERE._replace(machine=OLD_GPU)
    found = planned(params, without(params), [], machine)
    monkeypatch.setattr(command, "params_of", lambda _: params)
    monkeypatch.setattr(command, "this_machine", lambda device: machine)
    monkeypatch.setattr(command, "campaign", lambda *_: found)
    done = CliRunner().invoke(command.main, ["--budget", BUDGET])
    assert done.exit_code == 1
    assert done.stdout.startswith("budget paper ")
    assert done.stderr.startswith("Error: this would be refused:\n  precision: 'bfloat16' of ")
    done = CliRunner().invoke(command.main, ["--budget", "papers"])
    assert (done.exit_code, "budget: 'papers' is not allowed" in done.stderr) == (1, True)


def test_a_size_comes_from_a_record_of_the_same_network_else_it_is_counted(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [key for key in params.cell_keys() if key.dataset == "mnist" and key.name.startswith("resnet18")][:3]
    specs = {str(key): spec(params, BUDGET, key) for key in keys}
    run = run_of(params, str(keys[0]))

    def refuse(*_: object) -> NetworkSize:
        raise AssertionError("torch is imported")

    monkeypatch.setattr(sizes, "_count", refuse)
    assert sizes.network_sizes(specs, params, [run]) == dict.fromkeys(specs, run.network)
    monkeypatch.undo()
    counted = sizes.network_sizes(dict(list(specs.items())[:1]), params, [])
    [size] = counted.values()
    assert size.parameters == 11_175_370  # torchvision's ResNet18 with ten classes and one channel
    assert sizes.memory_needed(size, specs[str(keys[0])], params) > 16 * size.parameters


def test_what_is_there_of_the_data_needs_no_room(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = planned(params, without(params), [])
    both = found.data()
    (tmp_path / "data/raw/mnist").mkdir(parents=True)
    assert found.data() == both - sizes.raw_size("mnist")
    (tmp_path / "data/processed/paper/mnist/train").mkdir(parents=True)
    assert found.data() == both - sizes.raw_size("mnist") - sizes.arrays(params, BUDGET, "mnist")
    assert sizes.arrays(params, BUDGET, "mnist") == 120_000 * 28 * 28


def test_the_plan_of_this_checkout_is_made_for_every_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """With params.yaml, dvc.lock, results and sources as they are here."""
    monkeypatch.chdir(ROOT)
    params = load_params()
    monkeypatch.setattr(module, "network_sizes", lambda specs, *_: dict.fromkeys(specs, SIZE))
    for budget in params.budgets:
        found = module.campaign(params, budget, HERE, 2)
        assert len(found.planned) == len(params.trainings())
        assert plan_text(found).startswith(f"budget {budget} ")
