"""What bench.json holds, when results of several calls are kept together, and what is printed of them."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from benchmarks import engine
from benchmarks.families import FAMILIES, OPTIMIZERS, run_of
from benchmarks.operations import Layer
from benchmarks.products import SIZES
from benchmarks.report import load, merge, tables
from benchmarks.sections import (
    SECTIONS,
    Conditions,
    ablation_of,
    checkpoint_of,
    determinism_of,
    optimizers_of,
    speed_of,
    throughput_of,
)
from stages.core.files import write_json
from stages.engine.numerics import Numerics

CONDITIONS: dict[str, Any] = {
    "environment": {"cores": 2, "packages": {"dvc": None}},
    "git": {"commit": "abc", "dirty": False, "changed": []},
    "settings": {"repetitions": 3, "seconds": 1.0},
}
NUMERICS = Numerics(torch.device("cpu"), torch.bfloat16, 1)
LAYERS = [Layer(1000, 1000), Layer(3000, 1000)]  # 4000 + 18000 operations a training image, 4000 + 6000 executed
PRODUCTS = {f"products_{size}": [rate, rate * 2, rate] for size, rate in zip(SIZES, (1e6, 3e6, 2e6), strict=True)}
RATES = {"ours": [30.0, 90.0, 60.0], "reference": [10.0, 30.0, 30.0]} | PRODUCTS
SPEED = speed_of(RATES, LAYERS, torch.bfloat16)
OTHERS = {
    "optimizers": optimizers_of({name: [1.0, 3.0, 2.0] for name in OPTIMIZERS}),
    "throughput": throughput_of({"one_thread_each": [30.0, 33.0], "one_process": [20.0, 30.0]}),
    "determinism": determinism_of({"on": [95.0, 100.0], "off": [100.0, 100.0]}),
    "ablation": ablation_of({"ours": [9.0, 8.0, 10.0], "products": [3.0, 4.0, 4.0], "pages": [9.0, 10.0, 10.0]}),
    "checkpoint": checkpoint_of({"images": [300.0, 450.0, 400.0], "checkpoint": [0.5, 0.25, 0.2]}, 45000),
}


def test_speed_by_hand() -> None:
    assert SPEED["ours"] == 60.0
    assert SPEED["reference"] == SPEED["reference_same_head"] == 30.0
    assert SPEED["ratio"] == SPEED["ratio_same_head"] == 3.0  # of 3, 3 and 2
    assert SPEED["operations_per_image"] == {"all": 22000, "executed": 10000}
    assert SPEED["gemm_size"] == 2048
    assert SPEED["gemm_share"] == 0.33  # the median of 30 / 3e6, 90 / 6e6 and 60 / 3e6, times 22000
    assert SPEED["gemm_share_executed"] == 0.15
    assert SPEED["gemm_format"] == "bfloat16"
    assert SPEED["gemm_flops"] == {"1024": 1e6, "2048": 3e6, "4096": 2e6}
    assert SPEED["repetitions"] == RATES


def test_the_share_says_when_it_is_one_of_float32() -> None:
    assert speed_of(RATES, LAYERS, torch.float32)["gemm_format"] == "float32"


def test_our_head_has_a_reference_of_its_own() -> None:
    found = speed_of(RATES | {"reference_same_head": [20.0, 60.0, 60.0]}, LAYERS, torch.bfloat16)
    assert (found["ratio"], found["ratio_same_head"], found["reference_same_head"]) == (3.0, 1.5, 60.0)


def test_the_other_sections_by_hand() -> None:
    assert OTHERS["optimizers"]["rmsprop"] == 2.0
    throughput, determinism, checkpoint = OTHERS["throughput"], OTHERS["determinism"], OTHERS["checkpoint"]
    assert throughput | {"repetitions": None} == {
        "processes": 2,
        "one_thread_each": 31.5,
        "one_process": 25.0,
        "ratio": 1.3,
        "repetitions": None,
    }
    assert (determinism["on"], determinism["off"], determinism["cost"]) == (97.5, 100.0, 0.025)
    assert (checkpoint["seconds"], checkpoint["epoch_images"]) == (0.25, 45000)
    assert checkpoint["cost"] == 0.0025  # the median of 0.5 s of 150 s, 0.25 of 100 and 0.2 of 112.5
    assert OTHERS["ablation"]["gains"] == {"products": [2.5, 2.0, 3.0], "pages": [1.0, 0.8, 1.0]}


def test_sections_are_kept_side_by_side_in_any_order(tmp_path: Path) -> None:
    content = merge(merge(CONDITIONS, "optimizers", "vgg16", OTHERS["optimizers"]), "speed", "vgg16", SPEED)
    other_way = merge(merge(CONDITIONS, "speed", "vgg16", SPEED), "optimizers", "vgg16", OTHERS["optimizers"])
    assert content == other_way == CONDITIONS | {"vgg16": SPEED | {"optimizers": OTHERS["optimizers"]}}
    again = merge(content, "speed", "vgg16", SPEED | {"ours": 1.0})
    assert again["vgg16"] == SPEED | {"ours": 1.0, "optimizers": OTHERS["optimizers"]}
    write_json(tmp_path / "bench.json", content)
    assert load(tmp_path / "bench.json", CONDITIONS) == content


@pytest.mark.parametrize("name", CONDITIONS)
def test_what_was_measured_otherwise_is_dropped(name: str, tmp_path: Path) -> None:
    path, changed = tmp_path / "bench.json", CONDITIONS | {name: {"other": 1}}
    assert load(path, CONDITIONS) == CONDITIONS
    write_json(path, merge(CONDITIONS, "speed", "vgg16", SPEED))
    assert load(path, changed) == changed


def test_tables_show_what_there_is() -> None:
    assert tables(CONDITIONS) == ""
    content = merge(CONDITIONS, "speed", "vgg16", SPEED)
    assert tables(content).splitlines()[2:] == [
        "| vgg16 | 32 | 60 | 30 | 3.00 | 3.00 | 33% | 15% | 0 GFLOP/s bfloat16 |"
    ]
    for section, result in OTHERS.items():
        content = merge(content, section, "googlenet", result)
    printed = tables(content)
    assert printed.count("\n\n") == 5
    assert "| googlenet | 2 | 32 | 25 | 1.30 |" in printed
    assert "| googlenet | 98 | 100 | 2.5% |" in printed
    assert "| googlenet | – | 2.50 (2.00 to 3.00) | 1.00 (0.80 to 1.00) | – | – |" in printed
    assert "| googlenet | 0.25 | 0.25% | 45000 |" in printed


# The command


def given(result: dict[str, Any], family: str, conditions: Conditions) -> dict[str, Any]:
    """A section that has been measured already."""
    assert (conditions.threads, conditions.repetitions, conditions.dtype) == (1, 5, torch.bfloat16)
    return dict(result)


def test_a_run_writes_after_each_section_and_a_later_one_adds_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = {"speed": SPEED, **OTHERS}
    assert list(results) == list(SECTIONS)
    monkeypatch.setattr(engine, "description", lambda: {})
    monkeypatch.setattr("stages.records.provenance.environment", lambda: CONDITIONS["environment"])
    monkeypatch.setattr("stages.records.provenance.git_state", lambda: CONDITIONS["git"])
    monkeypatch.setattr("stages.engine.numerics.set_up", lambda *arguments: NUMERICS)
    monkeypatch.setattr("benchmarks.machine.elsewhere", lambda start, end, cores: 0.0)
    for section in results:
        monkeypatch.setitem(SECTIONS, section, partial(given, results[section]))
    out = tmp_path / "bench.json"
    call = ["--families", "vgg16,resnet18", "--threads", "1", "--out", str(out)]
    runner = CliRunner()
    assert runner.invoke(engine.main, [*call, "--only", "speed"], catch_exceptions=False).exit_code == 0
    assert runner.invoke(engine.main, [*call, "--only", "throughput,optimizers"], catch_exceptions=False).exit_code == 0
    content = json.loads(out.read_text())
    assert set(content) == {"environment", "git", "settings", "vgg16", "resnet18"}
    quiet = {"busy_elsewhere": 0.0}
    kept = SPEED | {name: OTHERS[name] | quiet for name in ("optimizers", "throughput")} | quiet
    assert content["vgg16"] == content["resnet18"] == json.loads(json.dumps(kept))
    assert {"ours", "reference", "ratio", "ratio_same_head", "gemm_share"} <= content["vgg16"].keys()
    assert {"threads", "precision", "repetitions", "seconds"} <= content["settings"].keys()


def test_missing_data_is_one_line_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.families.DATA", Path("nowhere"))
    done = CliRunner().invoke(engine.main, ["--out", str(tmp_path / "bench.json")])
    assert done.exit_code == 1
    expected = "Error: nowhere/dataset.json is missing; it is made by: dvc repro preprocess@quick-cifar10\n"
    assert done.output == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--only=speed,size", "--families=vgg19"])
def test_a_name_that_there_is_not_is_refused(option: str) -> None:
    done = CliRunner().invoke(engine.main, [option])
    assert done.exit_code == 2
    assert "is not one of" in done.output


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_runs_are_those_of_the_paper_but_for_what_is_measured(family: str, optimizer: str) -> None:
    run = run_of(family, optimizer)
    assert (run.dataset, run.cell.input_size, run.cell.lr) == ("cifar10", 32, 0.001)
    assert run.cell.batch_size == {"vgg16": 32, "resnet18": 64, "googlenet": 128}[family]
    assert run.cell.optimizer == optimizer.replace("momentum", "sgd")
    if run.cell.optimizer == "sgd":
        assert run.cell.model_dump()["momentum"] == (0.9 if optimizer == "momentum" else 0.0)
