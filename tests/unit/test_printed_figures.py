"""What README.md and BENCHMARKS.md print is what the committed results and reports/bench.json say.

All of them as committed: who has run the pipeline or a benchmark has results of another machine in the working tree.
"""

import csv
import json
import re
import subprocess
from collections.abc import Callable
from contextlib import chdir
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest

from benchmarks.families import PARTS
from stages.audit.history import History
from stages.paper.reading import read_paper
from stages.records.planned import params_of
from stages.report.evidence import Evidence, gather
from stages.report.readme import tables_block, with_tables, written_budget
from stages.stats.verdicts import CLOSE, FAR, NEAR

ROOT = Path(__file__).resolve().parents[2]


@cache
def committed(path: str) -> str:
    with chdir(ROOT):
        content = History().content("HEAD", path)
    assert content is not None, f"{path} is in no commit here"
    return content.decode()


README, BENCHMARKS = committed("README.md"), committed("BENCHMARKS.md")
BENCH = json.loads(committed("reports/bench.json"))
PRECISION = json.loads(committed("reports/precision.json"))["families"]
FAMILIES = {"vgg16": "VGG16", "resnet18": "ResNet18", "googlenet": "GoogLeNet"}


MNIST, CIFAR10 = ("I", "II", "III"), ("IV", "V", "VI")
PLAIN_VGG = tuple(f"{dataset}/{name}" for dataset in ("mnist", "cifar10") for name in ("vgg16", "vgg11", "vgg19"))


def printed_table(number: str, budget: str = "paper") -> list[dict[str, str]]:
    paper = (*MNIST, *CIFAR10)
    index = paper.index(number) + 1 if number in paper else number.lower()
    return list(csv.DictReader(committed(f"reports/{budget}/tables/table_{index}.csv").splitlines()))


def row(number: str, label: str) -> dict[str, str]:
    (found,) = (line for line in printed_table(number) if line["row"] == label)
    return found


def lines(numbers: tuple[str, ...], verdict: str = "") -> list[dict[str, str]]:
    found = [line for number in numbers for line in printed_table(number)]
    return [line for line in found if verdict in ("", line["verdict"])]


def closest(study: str) -> tuple[str, float]:
    """The cell that comes closest in a study, and by how many points."""
    page = committed(f"reports/paper/studies/{study}.md")
    found = re.search(r"^\*\*Result\.\*\* Closest: `([^`]+)` .*?, ([\d.]+) points from", page, re.MULTILINE)
    assert found, study
    return found[1], float(found[2])


def claims(outcome: str) -> list[str]:
    return re.findall(
        rf"^\| (C\d) \| .*? \| \*\*{outcome}\*\* \|", committed("reports/paper/tables/claims.md"), re.MULTILINE
    )


@cache
def ledger() -> list[dict[str, str]]:
    """A line for each number and seed of `paper`."""
    return list(csv.DictReader(committed("reports/paper/ledger.csv").splitlines()))


class RowTraining(NamedTuple):
    """A training of a row of the six tables."""

    cell: str
    seed: str
    device: str
    torch: str


def row_trainings() -> list[RowTraining]:
    """All trainings of the rows of the six tables."""
    names = ("cell", "seed", "training_device", "training_packages_torch")
    lines = [line for line in ledger() if line["table"] in (*MNIST, *CIFAR10) and line["n"] != "0"]
    return [RowTraining(*(line[name] for name in names)) for line in lines]


def mean_of(cell: str) -> float:
    return float(next(line["mean"] for line in ledger() if line["cell"] == cell))


def epochs_of(cell: str) -> int:
    """How many epochs the first training of a cell had."""
    return len(validation_accuracies(cell, 0))


def row_count(cell: str) -> int:
    """How many trainings of a cell there are."""
    return sum(line["cell"] == cell and line["n"] != "0" for line in ledger())


class Ended(NamedTuple):
    """How a training of `paper` ended: its test accuracy, and what the last epoch lost of validation accuracy."""

    percent: float
    fell: float
    dataset: str


@cache
def trainings(*cells: str) -> list[Ended]:
    """The committed trainings of these cells, of all seeds."""
    found = []
    for line in ledger():
        if line["cell"] in cells and line["table"] in (*MNIST, *CIFAR10) and line["n"] != "0":
            result = json.loads(committed(f"reports/paper/cells/{line['cell']}-s{line['seed']}.json"))
            before, last = (100 * epoch["validation_accuracy"] for epoch in result["history"][-2:])
            found.append(Ended(100 * result["accuracy"], before - last, line["cell"].partition("/")[0]))
    return found


def validation_accuracies(cell: str, seed: int) -> list[float]:
    """Those of all epochs of a training."""
    result = json.loads(committed(f"reports/paper/cells/{cell}-s{seed}.json"))
    return [epoch["validation_accuracy"] for epoch in result["history"]]


def ends(cell: str) -> list[str]:
    """The test accuracies of a cell's seeds as the README prints them, the least first."""
    return [f"{percent:.1f}" for percent in sorted(one.percent for one in trainings(cell))]


def range_of(found: list[Ended], dataset: str) -> str:
    """The least and the largest test accuracy on a data set, as the README prints them."""
    percents = [one.percent for one in found if one.dataset == dataset]
    return f"{min(percents):.1f} to {max(percents):.1f} %"


def cells_of_rows() -> set[str]:
    """The cells of the six tables' rows, by the paper's text."""
    return {
        line["cell"] for line in ledger() if line["table"] in (*MNIST, *CIFAR10) and ", as logged" not in line["row"]
    }


def spread(cell: str) -> float:
    """How many points the seeds of a cell are apart."""
    percents = [one.percent for one in trainings(cell)]
    return max(percents) - min(percents)


def our_best(numbers: tuple[str, ...]) -> str:
    ours = {line["row"]: float(line["mean"]) for line in lines(numbers)}
    ours |= {
        f"{line['row']}, as logged": float(line["as_logged_mean"]) for line in lines(numbers) if line["as_logged_mean"]
    }
    return max(ours, key=ours.__getitem__)


def committed_evidence(budget: str, folder: Path) -> Evidence:
    """The committed results; `folder` is an empty one."""
    paths = ["params.yaml", "dvc.lock", "data/paper", f":(glob)reports/{budget}/cells/**/*.json"]
    command = ["git", "archive", "--format=zip", "HEAD", *paths]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with ZipFile(BytesIO(archive)) as content:
        content.extractall(folder)
    with chdir(folder):
        return gather(params_of(budget), budget, Path("reports", budget, "cells"), read_paper())


def test_the_readme_has_the_tables_of_the_committed_results(tmp_path: Path) -> None:
    budget = written_budget(README, "README.md")
    evidence = committed_evidence(budget, tmp_path)
    assert with_tables(README, evidence) == README, "run python -m stages.report.readme and commit README.md"
    block = tables_block(evidence)
    for number in evidence.params.paper_tables:
        for line in printed_table(number, budget):
            printed = f"| {line['paper']} | {Decimal(line['mean']):.2f}"
            assert any(shown.startswith(f"| {line['row']} |") and printed in shown for shown in block.splitlines())


# What the README says in words of the tables, studies and claims of `paper`: the words, and what must be so.
FINDINGS: dict[str, Callable[[], bool]] = {
    "On MNIST most rows come out close or near. On CIFAR10 most come out far": lambda: (
        2 * len(lines(MNIST, FAR)) < len(lines(MNIST)) and 2 * len(lines(CIFAR10, FAR)) > len(lines(CIFAR10))
    ),
    "On MNIST most of the far rows lie above the printed number, VGG16 with SGD by most": lambda: (
        2 * sum(float(line["difference"]) > 0 for line in lines(MNIST, FAR)) > len(lines(MNIST, FAR))
        and max(lines(MNIST), key=lambda line: float(line["difference"])) == row("I", "VGG16 with SGD")
    ),
    "The two largest misses are VGG16 with RMSprop on CIFAR10, at both learning rates": lambda: (
        sorted(lines((*MNIST, *CIFAR10)), key=lambda line: -abs(float(line["difference"])))[:2]
        == [row("IV", "VGG16 with lr=0.01"), row("IV", "VGG16")]
    ),
    "SGD with momentum instead brings the same rows close and near": lambda: (
        row("IV", "VGG16 with SGD and momentum")["verdict"] == CLOSE
        and row("IV", "VGG16 with SGD and momentum")["paper"] == row("IV", "VGG16")["paper"]
        and row("IV", "VGG16 with lr=0.01")["as_logged_verdict"] == NEAR
    ),
    "Every row of Table V ends far below the printed number": lambda: all(
        line["verdict"] == FAR and float(line["difference"]) < 0 for line in printed_table("V")
    ),
    "The row with Adam follows its printed log with a 3x3 stem without max-pool": lambda: (
        row("V", "ResNet18 with Adam")["as_logged_verdict"] == CLOSE
        and closest("resnet18-stem")[0] == "resnet18-adam-3x3-stem"
        and closest("resnet18-stem")[1] < 2.5
    ),
    "The printed log of VGG16 with Adam on CIFAR10 begins as with learning rate 0.0001": lambda: (
        closest("vgg16-head")[0] == "vgg16-adam-lr1e-4"
    ),
    "The text says 0.001. Both end near the printed accuracy": lambda: (
        {row("IV", "VGG16 with ADAM")[column] for column in ("verdict", "as_logged_verdict")} <= {CLOSE, NEAR}
    ),
    "On CIFAR10 SGD with momentum is nearer for VGG16, RMSprop for ResNet18": lambda: (
        [closest(study)[0] for study in ("vgg16-plain-optimizer", "resnet18-plain-optimizer")]
        == ["vgg16-momentum", "resnet18"]
    ),
    "are not matched by any input size, initialisation, learning rate or momentum that was tried": lambda: all(
        closest(study)[1] > 2.5 for study in ("googlenet-input", "googlenet-init", "googlenet-optimizer")
    ),
    "Without batch norm it hardly learns in three epochs, as the paper suggests (10.0 %; 12.3 % with Xavier "
    "initialisation)": lambda: (
        [f"{mean_of(f'cifar10/googlenet-sgd-no-norm{init}'):.1f}" for init in ("", "-xavier")] == ["10.0", "12.3"]
        and {epochs_of(f"cifar10/googlenet-sgd-no-norm{init}") for init in ("", "-xavier")} == {3}
    ),
    "Table VI prints 99.1 for GoogLeNet with data augmentation, the number of the same row in Table III": lambda: (
        {row(number, "GoogLeNet with data augmentation")["paper"] for number in ("III", "VI")} == {"99.1"}
    ),
    "Ours is our best on CIFAR10 and far below it": lambda: (
        our_best(CIFAR10) == "GoogLeNet with data augmentation"
        and row("VI", "GoogLeNet with data augmentation")["verdict"] == FAR
    ),
    "differ by less than a point there (study, three seeds each)": lambda: (
        abs(mean_of("cifar10/resnet18-adam-float32") - mean_of("cifar10/resnet18-adam")) < 1
        and [row_count(f"cifar10/{cell}") for cell in ("resnet18-adam-float32", "resnet18-adam")] == [3, 3]
        and row("V", "ResNet18 with Adam")["paper"] == "81.8"
    ),
    "Of 18 trainings of VGG11, VGG16 and VGG19 at learning rate 0.001 without augmentation, 8 lost more than 5 points "
    "of validation accuracy in the last epoch": lambda: (
        [len(trainings(*PLAIN_VGG)), len([one for one in trainings(*PLAIN_VGG) if one.fell > 5])] == [18, 8]
    ),
    "The other 10 end at 98.7 to 99.2 % on MNIST and 60.6 to 78.2 % on CIFAR10": lambda: (
        [range_of([one for one in trainings(*PLAIN_VGG) if one.fell <= 5], name) for name in ("mnist", "cifar10")]
        == ["98.7 to 99.2 %", "60.6 to 78.2 %"]
    ),
    "VGG19 on MNIST, for which the paper prints 83, ends at 51.1, 80.1 and 98.7 %": lambda: (
        row("I", "VGG19")["paper"] == "83" and ends("mnist/vgg19") == ["51.1", "80.1", "98.7"]
    ),
    "With data augmentation, VGG16 on CIFAR10 ends at 78.6 and 82.6 %, and one seed never leaves chance": lambda: (
        ends("cifar10/vgg16-augmented") == ["10.0", "78.6", "82.6"]
        and row("IV", "VGG16 with Data Augmentation")["outcome"] == "1 of 3 at chance"
        and max(validation_accuracies("cifar10/vgg16-augmented", 2)) < 0.11
    ),
    "with images transformed anew in each epoch it ends at 66.7 %, nearer to the printed 72.5": lambda: (
        f"{mean_of('cifar10/vgg16-fresh'):.1f}" == "66.7"
        and row("IV", "VGG16 with Data Augmentation")["paper"] == "72.5"
        and closest("vgg16-augmentation")[0] == "vgg16-fresh"
    ),
    "GoogLeNet with SGD (65.9 to 70.2 %), with data augmentation too (52.8 to 70.4 %), and VGG16 with lr": lambda: (
        [range_of(trainings(f"cifar10/{name}"), "cifar10") for name in ("googlenet-sgd", "googlenet-sgd-augmented")]
        == ["65.9 to 70.2 %", "52.8 to 70.4 %"]
    ),
    "All others' seeds are within 3.4 points": lambda: (
        {cell for cell in cells_of_rows() if round(spread(cell), 2) > 3.4}
        == {f"cifar10/{name}" for name in ("googlenet-sgd", "googlenet-sgd-augmented", "vgg16-lr1e-2")}
        | {*PLAIN_VGG, "cifar10/vgg16-augmented"}
    ),
    "Of the eleven surveyed networks, trained with one optimizer on CIFAR10, VGG16 leads with 82.5 %, before "
    "GoogLeNet, a Wide ResNet and ZFNet": lambda: (
        [sum(line["n"] == "1" for line in printed_table("S1b")), len(printed_table("S1b"))] == [11, 11]
        and [line["row"] for line in sorted(printed_table("S1b"), key=lambda line: -float(line["mean"]))][:4]
        == ["VGG16", "GoogLeNet", "WRN-16-4", "ZFNet"]
        and float(row("S1b", "VGG16")["mean"]) == 82.5
    ),
    "The deeper a ResNet, the lower it ends, from 72.1 % (18 layers) to 41.9 % (101); Inception-v4 at 75 pixels "
    "ends at 22.0 %": lambda: (
        sorted(found := [float(row("S1b", f"ResNet{depth}")["mean"]) for depth in (18, 34, 50, 101)], reverse=True)
        == found
        and [f"{percent:.1f}" for percent in (found[0], found[-1])] == ["72.1", "41.9"]
        and f"{float(row('S1b', 'Inception-v4 at 75 pixels')['mean']):.1f}" == "22.0"
    ),
    "NVIDIA H200 GPUs trained seed 0 of every row of the six tables, and most further seeds, with PyTorch 2.11.0. A "
    "processor trained the rest with 2.14.1": lambda: (
        {one.cell for one in row_trainings()} == {one.cell for one in row_trainings() if one.seed == "0"}
        and {(one.device, one.torch) for one in row_trainings() if one.seed == "0"} == {("cuda: NVIDIA H200", "2.11.0")}
        and {(one.device, one.torch) for one in row_trainings()} == {("cuda: NVIDIA H200", "2.11.0"), ("cpu", "2.14.1")}
        and sum(one.device == "cpu" for one in row_trainings()) < sum(one.seed != "0" for one in row_trainings()) / 2
    ),
    "do not hold: C4 (no overfitting) and C6 (which classes are recognised well). Rows of CIFAR10 refute": lambda: (
        claims("does not hold") == ["C4", "C6"]
    ),
    "C1, C2, C3, C5 and C7 cannot be told.": lambda: (
        claims("cannot be told") == ["C1", "C2", "C3", "C5", "C7"] and claims("holds") == []
    ),
    "For C7 (ResNet is the cheapest to train) all 6 comparisons of times come out as asked, two of them against a "
    "single cell": lambda: (
        "6 of 6 comparisons came out as asked"
        in (of_c7 := committed("reports/paper/tables/claims.md").split("## C7.")[1])
        and len(re.findall(r"\| resnet \(\d+ cells\) against \w+ \(\d+\)", of_c7)) == 6
        and len(re.findall(r"\| resnet \(\d+ cells\) against \w+ \(1\)", of_c7)) == 2
    ),
}


@pytest.mark.parametrize("said", FINDINGS)
def test_what_the_readme_finds_is_so(said: str) -> None:
    """A result that changes one of these asks for another sentence."""
    words = " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", README).split())
    assert said in words
    assert FINDINGS[said]()


def test_many_rows_of_quick_lie_near_chance() -> None:
    ours = [float(line["mean"]) for number in (*MNIST, *CIFAR10) for line in printed_table(number, "quick")]
    assert len(ours) == 34
    assert sum(mean < 25 for mean in ours) > 5


def test_every_link_of_the_readme_leads_to_its_file() -> None:
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README)} - {""}
    assert [link for link in sorted(links) if not (ROOT / link).exists()] == []


def rows(heading: str) -> dict[str, list[str]]:
    """The lines of the first table of BENCHMARKS.md whose head begins so, by family."""
    table = BENCHMARKS[BENCHMARKS.index(heading) :].split("\n\n")[0].splitlines()[2:]
    return {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in table)}


def of(family: str, *keys: str) -> Any:
    value = BENCH[family]
    for key in keys:
        value = value[key]
    return value


@pytest.mark.parametrize("family", FAMILIES)
def test_benchmarks_prints_what_was_measured(family: str) -> None:
    name, repetitions = FAMILIES[family], of(family, "repetitions", "ours")
    speed = [f"{of(family, key):.0f}" for key in ("ours", "reference")]
    speed[0] += f" ({min(repetitions):.0f} to {max(repetitions):.0f})"
    ratios = [f"{of(family, key):.2f}" for key in ("ratio", "ratio_same_head")]
    shares = [f"{of(family, key):.1%}".replace("%", " %") for key in ("gemm_share", "gemm_share_executed")]
    assert rows("| | batch | ours")[name][1:] == [*speed, *ratios, *shares]
    optimizers = [f"{of(family, 'optimizers', key):.0f}" for key in ("rmsprop", "sgd", "momentum", "adam")]
    assert rows("| images/s | RMSprop")[name] == optimizers
    throughput = [f"{of(family, 'throughput', key):.0f}" for key in ("one_thread_each", "one_process")]
    throughput += [f"{of(family, 'throughput', 'ratio'):.2f}", f"{100 * of(family, 'determinism', 'cost'):.1f} %"]
    assert [cell.replace("−", "-") for cell in rows("| images/s | two trainings")[name]] == throughput
    checkpoint = [f"{of(family, 'checkpoint', 'seconds'):.2f}", f"{100 * of(family, 'checkpoint', 'cost'):.1f} %"]
    assert rows("| | seconds | share of the steps")[name] == checkpoint
    gains = rows("| times as fast as without")
    found = [cells[list(FAMILIES).index(family)] for cells in gains.values()]
    expected = of(family, "ablation", "gains")
    assert found == [
        "{:.2f} ({:.2f} to {:.2f})".format(*expected[part]) if part in expected else "has none" for part in PARTS
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_benchmarks_prints_what_bfloat16_changed(family: str) -> None:
    name, found = FAMILIES[family], PRECISION[family]
    distances = [f"{value:.2f}" for kind in ("bfloat16", "other_order") for value in found["distance"][kind].values()]
    assert rows("| distance from float32")[name] == distances
    low, high = found["interval"]
    accuracies = [f"{found['accuracy'][kind]:.1f}" for kind in ("float32", "bfloat16")]
    accuracies += [f"{found['difference']:+.1f}", f"{low:+.1f} to {high:+.1f}", f"{found['std_over_seeds']:.1f}"]
    assert [cell.replace("−", "-") for cell in rows("| accuracy in percent on 5000")[name]] == accuracies


def test_the_value_that_the_readme_asks_for_is_printed() -> None:
    asked = re.findall(r"stages\.audit explain ([\d.]+) --budget paper", README)
    assert asked
    printed = {f"{Decimal(line['mean']):.2f}" for line in lines((*MNIST, *CIFAR10))}
    assert set(asked) <= printed
