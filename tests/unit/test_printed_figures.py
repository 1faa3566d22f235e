"""The figures that README.md and BENCHMARKS.md print are those of the committed results and of reports/bench.json.

All of them as committed: who has run the pipeline or a benchmark has results of another machine in the working tree.
"""

import csv
import json
import re
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from benchmarks.families import PARTS
from stages.audit.history import History


def committed(path: str) -> str:
    with chdir(Path(__file__).resolve().parents[2]):
        content = History().committed(path)
    assert content is not None, f"{path} is in no commit here"
    return content.decode()


README, BENCHMARKS = committed("README.md"), committed("BENCHMARKS.md")
TABLES = "reports/quick/tables"
LINE = re.compile(r"^\| \[(\w+)\]\(reports/quick/tables/table_(\d)\.md\): .*$", re.MULTILINE)
BENCH = json.loads(committed("reports/bench.json"))
PRECISION = json.loads(committed("reports/precision.json"))["families"]
FAMILIES = {"vgg16": "VGG16", "resnet18": "ResNet18", "googlenet": "GoogLeNet"}


@pytest.mark.parametrize("found", list(LINE.finditer(README)), ids=lambda found: found[1])
def test_the_readme_prints_what_came_out(found: re.Match[str]) -> None:
    _, rows, _, ours, at_chance, best, _ = (cell.strip() for cell in found[0].split("|")[1:])
    lines = list(csv.DictReader(committed(f"{TABLES}/table_{found[2]}.csv").splitlines()))
    numbers = {line["row"]: float(line["mean"]) for line in lines if line["mean"]}
    marked = {
        line.split(" | ")[0].removeprefix("| ")
        for line in committed(f"{TABLES}/table_{found[2]}.md").splitlines()
        if line.startswith("| ") and "‡ |" in line
    }
    low, high = (min(numbers, key=numbers.__getitem__), max(numbers, key=numbers.__getitem__))
    assert rows == (str(len(lines)) if len(numbers) == len(lines) else f"{len(numbers)} of {len(lines)}")
    assert ours == f"{numbers[low]:.1f}{' ‡' if low in marked else ''} to {numbers[high]:.1f}"
    assert int(at_chance) == len(marked)
    assert best == high


def test_the_readme_has_all_six_tables() -> None:
    assert [found[1] for found in LINE.finditer(README)] == ["I", "II", "III", "IV", "V", "VI"]


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
