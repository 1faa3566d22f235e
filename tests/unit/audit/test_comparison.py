"""Two numbers held against each other: the difference, the paired test, and what differs behind them."""

import json
import subprocess
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stages.audit.comparison import main
from stages.config.cells import CellKey


def compare(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def answer(*words: str) -> dict[str, Any]:
    done = compare(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_two_rows_of_a_table(audited: Any) -> None:
    found = answer("IV", "VGG16", "VGG16 with ADAM")
    first, second = (audited.read(f"cifar10/{name}") for name in ("vgg16", "vgg16-adam"))
    hits = [[p == label for p, label in zip(one["predictions"], one["labels"], strict=True)] for one in (first, second)]
    only_first = sum(a and not b for a, b in zip(*hits, strict=True))
    only_second = sum(b and not a for a, b in zip(*hits, strict=True))
    assert found["difference"] == pytest.approx((second["correct"] - first["correct"]) / 10)
    assert (found["test"]["only_first"], found["test"]["only_second"]) == (only_first, only_second)
    low, high = found["interval"]
    assert low < found["difference"] < high
    assert found["differs"]["parameters"]["cell.optimizer"] == ["rmsprop", "adam"]
    assert "seed" not in found["differs"]["parameters"]
    assert found["differs"]["data"] == {}
    assert answer("cifar10/vgg16", "cifar10/vgg16-adam") == found
    assert answer("IV", "VGG16", "4", "VGG16 with ADAM") == found


def test_the_text_says_the_same(audited: Any) -> None:
    done = compare("IV", "VGG16", "VGG16 with ADAM")
    assert done.exit_code == 0
    assert "IV, VGG16 (cifar10/vgg16), budget quick: " in done.output
    assert "\n  optimizer: rmsprop -> adam\n" in done.output
    assert "McNemar's exact test: only the first right " in done.output
    assert "\ndata: the same\n" in done.output


def test_every_shared_seed_is_looked_behind(audited: Any) -> None:
    audited.edit(lambda raw: raw.update(seeds=[0, 1, 2]))
    audited.fill()
    before = audited.read("cifar10/vgg16-adam", 2)["run"]["numerics"]["device"]
    audited.change("cifar10/vgg16-adam", 2, run__numerics__device="cuda: another")
    found = answer("IV", "VGG16", "VGG16 with ADAM")
    assert found["seeds"] == [0, 1, 2]
    assert list(found["further_seeds"]) == ["1", "2"]
    assert found["further_seeds"]["1"]["differs"] == found["differs"]
    assert found["further_seeds"]["2"]["differs"]["machine"] == {"training.numerics.device": [before, "cuda: another"]}
    shown = compare("IV", "VGG16", "VGG16 with ADAM").output
    assert "\nbehind seed 0:\n" in shown
    assert "\nbehind seed 1, compared with seed 0: no other difference\ncommit: " in shown
    machine = "behind seed 2, compared with seed 0: other differences\nmachine:"
    assert f"\n{machine}\n  training.numerics.device: {before} -> cuda: another\n" in shown


def test_seeds_that_only_one_of_both_has_are_said(audited: Any) -> None:
    audited.edit(lambda raw: raw.update(seeds=[0, 1, 2]))
    audited.fill()
    audited.path("cifar10/vgg16-adam", 2).unlink()
    found = answer("IV", "VGG16", "VGG16 with ADAM")
    assert (found["first"]["n"], found["second"]["n"], found["seeds"]) == (3, 2, [0, 1])
    shown = compare("IV", "VGG16", "VGG16 with ADAM").output
    assert " points, the second less the first, over seeds 0, 1 alone\n" in shown
    audited.path("cifar10/vgg16", 0).unlink()
    audited.path("cifar10/vgg16", 1).unlink()
    shown = compare("IV", "VGG16", "VGG16 with ADAM").output
    assert "\nbehind seed 2 of the first and seed 0 of the second:\n" in shown


def test_a_cell_that_stands_in_several_tables_is_compared_by_its_name(audited: Any) -> None:
    cell = "cifar10/resnet18-lr1e-2-momentum"
    audited.edit(lambda raw: raw["study_cells"]["cifar10"].append(cell.partition("/")[2]))
    rows = [{"row": "Ours", "cell": "vgg16"}, {"row": "Logged", "cell": cell.partition("/")[2]}]
    table = {"caption": "Ours", "dataset": "cifar10", "rows": rows}
    audited.edit(lambda raw: raw["tables"].update(S1=table))
    audited.put(CellKey("alternatives", *cell.split("/")), 0, "quick")
    found = answer(cell, "cifar10/vgg16")
    assert found == answer("V", "ResNet18 with lr=0.01, as logged", "IV", "VGG16")
    assert (found["first"]["table"], found["first"]["cell"]) == ("V", cell)
    asks = compare("vgg16", "cifar10/vgg16")
    assert asks.exit_code == 1
    assert "'vgg16' names 3 numbers" in asks.output


def test_other_test_images_have_no_paired_test(audited: Any) -> None:
    found = answer("mnist/vgg16", "cifar10/vgg16")
    assert found["test"] is None
    assert found["interval"] is None
    assert found["note"].startswith("not tested on the same images")


def test_one_number_at_a_commit_and_now(audited: Any) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], check=True, capture_output=True)

    path = audited.path("cifar10/vgg16")
    git("init", "-q")
    git("add", str(path))
    git("commit", "-qm", "then")
    run = audited.read("cifar10/vgg16")["run"]
    audited.change(
        "cifar10/vgg16", run__provenance__environment=run["provenance"]["environment"] | {"python": "3.99.0"}
    )
    found = answer("IV", "VGG16", "--commit", "HEAD")
    assert found["difference"] == 0
    assert found["same_predictions"]
    assert found["differs"]["machine"]["training.python"][1] == "3.99.0"
    assert found["differs"]["parameters"] == {}
    assert found["first"]["commit"]
    refused = compare("IV", "VGG16", "--commit", "no-such")
    assert refused.exit_code == 1
    assert "--commit: 'no-such' is not allowed; allowed: a commit of this clone" in refused.output
    missing = compare("IV", "VGG19", "--commit", "HEAD")
    assert "has no result of cifar10/vgg19" in missing.output


def test_one_number_of_two_budgets(audited: Any) -> None:
    absent = compare("IV", "VGG16", "--budget", "quick", "--budget", "paper")
    assert absent.exit_code == 1
    assert "reports/paper/cells/cifar10/vgg16-s0.json is missing; it is made by: dvc repro evaluate-" in absent.output
    cells, audited.cells = audited.cells, audited.folder / "reports/paper/cells"
    audited.put(audited.params.find("cifar10/vgg16")[0], 0, "paper")
    audited.cells = cells
    found = answer("IV", "VGG16", "--budget", "quick", "--budget", "paper")
    assert (found["first"]["budget"], found["second"]["budget"]) == ("quick", "paper")
    assert found["test"] is None
    assert found["differs"]["parameters"]["epochs"] == [2, 10]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["IV"], "allowed: CELL CELL, TABLE ROW ROW or TABLE ROW TABLE ROW"),
        (["IV", "VGG16"], "'IV VGG16' is not allowed; allowed: CELL CELL, TABLE ROW ROW or TABLE ROW TABLE ROW"),
        (["IV", "VGG16", "VGG17"], "ROW of IV: 'VGG17' is not allowed"),
        (["IV", "a", "b", "--commit", "HEAD"], "one number: TABLE ROW or CELL"),
        (["IV", "VGG16", "--budget", "a", "--budget", "b", "--budget", "c"], "one budget, or two to compare"),
    ],
)
def test_what_cannot_be_compared_is_one_line(audited: Any, words: list[str], said: str) -> None:
    done = compare(*words)
    assert done.exit_code == 1
    assert said in done.output
    assert done.output.count("\n") == 1
