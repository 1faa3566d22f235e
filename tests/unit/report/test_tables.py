"""Tables as CSV and markdown: numbers computed again from the results, captions, footnotes, rows that users add."""

import csv
import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, sem, t

from stages.paper.reading import read_paper
from stages.report.captions import table_caption
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import decimals, fixed
from stages.report.tables import COLUMNS, summary_line, table_body, table_csv, table_page


def as_csv(evidence: Any, number: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_csv(evidence, number))))


def body(evidence: Any, number: Any) -> str:
    return table_body(evidence, number)


def printed_row(text: str, label: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [part.strip() for part in line.strip("|").split("|")]


def three_seeds(project: Any) -> Any:
    project.edit(lambda raw: raw.update(seeds=[0, 3, 7]))
    return project.fill()


@pytest.mark.parametrize(("number", "rows"), [("I", 8), ("II", 6), ("III", 3), ("IV", 8), ("V", 6), ("VI", 3)])
def test_one_seed(filled: Any, number: Any, rows: int) -> None:
    evidence = filled.evidence()
    lines = as_csv(evidence, number)
    table = evidence.params.tables[number]
    assert len(lines) == rows
    for line, row in zip(lines, table.rows, strict=True):
        result = filled.read(f"{table.dataset}/{row.cell}")
        assert list(line) == COLUMNS
        assert line["row"] == row.row
        assert float(line["mean"]) == pytest.approx(result["correct"] / 10)
        assert float(line["difference"]) == pytest.approx(result["correct"] / 10 - float(line["paper"]), abs=1e-6)
        assert (line["std"], line["n"]) == ("", "1")
        assert line["stages"] == f"{result['stage']};{result['run']['stage']}"
        assert line["runs"] == result["run"]["mlflow"]["run_id"]


def test_the_papers_numbers_are_as_printed(filled: Any) -> None:
    evidence = filled.evidence()
    printed = [line["paper"] for line in as_csv(evidence, "I")]
    assert printed == ["99.1", "99.1", "83", "96.9", "90.2", "98", "98.2", "98.98"]
    assert printed_row(body(evidence, "I"), "VGG19")[1] == "83"


def test_three_seeds(project: Any) -> None:
    evidence = three_seeds(project).evidence()
    line = as_csv(evidence, "IV")[6]
    accuracies = [project.read("cifar10/vgg16-adam", seed)["correct"] / 10 for seed in (0, 3, 7)]
    assert float(line["mean"]) == pytest.approx(np.mean(accuracies), abs=1e-6)
    assert float(line["std"]) == pytest.approx(np.std(accuracies, ddof=1), abs=1e-6)
    assert line["n"] == "3"
    assert line["stages"].split(";")[2:4] == ["evaluate-cifar10@quick-vgg16-adam-3", "train-cifar10@quick-vgg16-adam-3"]
    assert len(set(line["runs"].split(";"))) == 3
    label, paper, mean, interval, std, n, difference, verdict = printed_row(body(evidence, "IV"), "VGG16 with ADAM")
    assert (label, paper, n) == ("VGG16 with ADAM", "82.3", "3")
    assert mean == f"{np.mean(accuracies):.1f}"
    assert std == f"{np.std(accuracies, ddof=1):.1f}"
    assert difference == f"{np.mean(accuracies) - 82.3:+.1f}".replace("-", "−")
    low, high = t.interval(0.95, 2, np.mean(accuracies), sem(accuracies))
    assert interval == f"{max(0, low):.1f} to {min(100, high):.1f}"
    assert (float(line["low"]), float(line["high"])) == pytest.approx((max(0, low), min(100, high)), abs=1e-6)
    assert verdict == line["verdict"] == "cannot be judged"
    assert "n = 3 seeds (0, 3 and 7)" in table_caption(evidence, "IV")
    assert "95 % interval: Student's t over the seeds." in table_caption(evidence, "IV")


def test_one_seed_has_wilsons_interval(filled: Any) -> None:
    evidence = filled.evidence()
    correct = filled.read("cifar10/vgg16-adam")["correct"]
    found = binomtest(correct, 1000).proportion_ci(0.95, method="wilson")
    line = as_csv(evidence, "IV")[6]
    assert (float(line["low"]), float(line["high"])) == pytest.approx((100 * found.low, 100 * found.high), abs=1e-6)
    assert printed_row(body(evidence, "IV"), "VGG16 with ADAM")[3] == f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    assert "95 % interval: Wilson's" in table_caption(evidence, "IV")


def test_two_seeds_have_no_interval(project: Any) -> None:
    project.edit(lambda raw: raw.update(seeds=[0, 1]))
    evidence = project.fill().evidence()
    line = as_csv(evidence, "IV")[6]
    assert (line["low"], line["high"]) == ("", "")
    assert printed_row(body(evidence, "IV"), "VGG16 with ADAM")[3] == "–"
    assert "95 % interval: none" in table_caption(evidence, "IV")


def test_the_confidence_is_the_parameters(project: Any) -> None:
    project.edit(lambda raw: raw["verdicts"].update(confidence=0.9))
    text = body(project.fill().evidence(), "IV")
    assert "| ours | 90 % interval | std |" in text


def test_verdicts_under_the_papers_conditions(project: Any) -> None:
    project.edit(
        lambda raw: raw["verdicts"].update(close={"mnist": 20, "cifar10": 0.5}, near={"mnist": 40, "cifar10": 1})
    )
    evidence = replace(project.fill().evidence(), budget_name="paper")
    words = set()
    for number in ("I", "VI"):
        close, near = (20, 40) if number == "I" else (0.5, 1)
        for line in as_csv(evidence, number):
            away = abs(float(line["difference"])) - 0.5 * 10 ** -len(line["paper"].partition(".")[2])
            assert line["verdict"] == ("close" if away <= close else "near" if away <= near else "far")
            assert printed_row(body(evidence, number), line["row"])[7] == line["verdict"]
            words.add(line["verdict"])
    assert words == {"close", "near", "far"}
    caption = table_caption(evidence, "I")
    assert "Verdict: *close* within 20 points of what the paper prints, *near* within 40, else *far*." in caption


def test_quick_tables_judge_nothing(filled: Any) -> None:
    evidence = filled.evidence()
    lines = [line for number in evidence.params.tables for line in as_csv(evidence, number)]
    assert {line["verdict"] for line in lines} == {"cannot be judged"}
    assert "*close*" not in table_caption(evidence, "I")


def test_a_run_that_was_not_mirrored_keeps_its_place(project: Any) -> None:
    three_seeds(project).change("mnist/vgg16", 3, run__mlflow=None)
    runs = as_csv(project.evidence(), "I")[0]["runs"].split(";")
    assert [len(run) for run in runs] == [32, 0, 32]


def test_row_that_the_paper_does_not_have(project: Any) -> None:
    def add(raw: dict[str, Any]) -> None:
        raw["cells"]["mnist"]["vgg11-adam"] = {"network": "vgg11", "optimizer": "adam"}
        raw["tables"]["I"]["rows"].append({"row": "VGG11 | <mine>", "cell": "vgg11-adam"})

    project.edit(add)
    evidence = project.fill().evidence()
    line = as_csv(evidence, "I")[-1]
    assert (line["row"], line["paper"], line["difference"], line["verdict"]) == ("VGG11 | <mine>", "", "", "")
    assert float(line["mean"]) == project.read("mnist/vgg11-adam")["correct"] / 10
    text = body(evidence, "I")
    assert "| VGG11 \\| &lt;mine&gt; | – |" in text
    assert "not in its table: VGG11 \\| &lt;mine&gt;." in text
    assert "(" not in summary_line(evidence, "I").split("<mine>")[1]


def test_row_that_params_no_longer_has(project: Any) -> None:
    def remove(raw: dict[str, Any]) -> None:
        raw["tables"]["II"]["rows"] = raw["tables"]["II"]["rows"][1:]
        del raw["cells"]["mnist"]["resnet18"]

    project.edit(remove)
    assert as_csv(project.fill().evidence(), "II")[0]["row"] == "ResNet18 with lr=0.01"


def test_caption_of_a_quick_table(filled: Any) -> None:
    caption = table_caption(filled.evidence(), "I")
    for said in (
        "**Table I. VGG on MNIST.**",
        "Budget `quick` (a small share",
        "800 of 50000 training images",
        "2 epochs (paper: 10)",
        "1000 of 10000 test images",
        "a transformed copy of each training image on top: 1600 images",
        "Seed 0 alone, n = 1",
        "`batch_size` 16 instead of 64 and `hidden_layers` [] instead of [4096, 4096]",
        "These are not the paper's conditions",
    ):
        assert said in caption


def test_caption_says_nothing_of_an_override_that_changes_nothing(filled: Any) -> None:
    caption = table_caption(filled.evidence(), "V")
    assert "`batch_size` 32 instead of 64" in caption
    assert "input_size" not in caption


def test_caption_under_the_papers_conditions(project: Any) -> None:
    params = project.params
    cells = {str(key): CellResults(key, tuple(params.seeds_of(key)), ()) for key in params.cell_keys(planned=False)}
    caption = table_caption(Evidence(project.params, "paper", cells, read_paper()), "IV")
    assert "**0 of 8 planned trainings are done.**" in caption
    assert "all 45000 training images, 10 epochs, all 10000 test images" in caption
    assert "not the paper's conditions" not in caption
    assert "replaces" not in caption


@pytest.mark.parametrize(("images", "places"), [(50, 0), (100, 0), (500, 1), (1000, 1), (9999, 2), (10000, 2)])
def test_decimals(images: int, places: int) -> None:
    assert decimals(images) == places


def test_decimals_follow_the_test_images(project: Any) -> None:
    project.edit(lambda raw: raw["budgets"]["quick"]["test_images"].update(mnist=100))
    evidence = project.fill().evidence()
    assert re.fullmatch(r"\d+", printed_row(body(evidence, "III"), "GoogLeNet with adam")[2])
    assert re.fullmatch(r"\d+\.\d", printed_row(body(evidence, "VI"), "GoogLeNet with SGD")[2])


@pytest.mark.parametrize(
    ("change", "mark", "legend", "outcome"),
    [
        ({"run__outcome": "diverged", "at_chance": True}, "†", "† Diverged: the training loss", "diverged"),
        ({"at_chance": True}, "‡", "‡ At chance: no evidence of more", "at chance"),
    ],
)
def test_a_training_that_learned_nothing_is_marked(
    filled: Any, change: dict[str, Any], mark: str, legend: str, outcome: str
) -> None:
    filled.change("mnist/vgg16-lr1e-2", **change)
    evidence = filled.evidence()
    text = body(evidence, "I")
    assert re.fullmatch(rf"\d+\.\d {mark}", printed_row(text, "VGG16 with lr=0.01")[2])
    assert printed_row(text, "VGG16")[2][-1].isdigit()
    assert f"\n{legend}" in text
    assert "seeds" not in text.split(legend)[1]
    assert text.count("†") + text.count("‡") == 2
    assert not set("†‡") & set(body(evidence, "II"))
    lines = {line["row"]: line for line in as_csv(evidence, "I")}
    assert (lines["VGG16 with lr=0.01"]["outcome"], lines["VGG16"]["outcome"]) == (outcome, "finished")
    assert float(lines["VGG16 with lr=0.01"]["mean"]) == filled.read("mnist/vgg16-lr1e-2")["correct"] / 10
    assert re.search(rf"VGG16 with lr=0.01 \d+\.\d \([\d.]+\) \({outcome}\)", summary_line(evidence, "I"))
    page = table_page(evidence, "I", "f")
    assert re.search(
        rf"\| VGG16 with lr=0.01 \| 0 \| \d+\.\d \| {outcome} \| `evaluate-mnist@quick-vgg16-lr1e-2-0`", page
    )


def test_how_many_of_the_seeds_learned_nothing(project: Any) -> None:
    three_seeds(project)
    project.change("mnist/vgg16", 3, run__outcome="diverged", at_chance=True)
    project.change("mnist/vgg16", 0, at_chance=True)
    project.change("mnist/vgg16", 7, at_chance=True)
    project.change("mnist/vgg11", 7, run__outcome="diverged")
    evidence = project.evidence()
    text = body(evidence, "I")
    assert printed_row(text, "VGG16")[2].endswith(" † 1 of 3, ‡ 2 of 3")
    assert printed_row(text, "VGG11")[2].endswith(" † 1 of 3")
    assert "\n† Diverged" in text
    assert "\n‡ At chance" in text
    assert text.count("The mean counts it in. Beside it, with how many of the 3 seeds.") == 2
    outcomes = {line["row"]: line["outcome"] for line in as_csv(evidence, "I")}
    assert outcomes["VGG16"] == "1 of 3 diverged;2 of 3 at chance"
    assert outcomes["VGG11"] == "1 of 3 diverged"
    assert set(outcomes.values()) == {outcomes["VGG16"], outcomes["VGG11"], "finished"}


def test_page_names_stages_and_whole_runs(filled: Any) -> None:
    evidence = filled.evidence()
    page = table_page(evidence, "VI", "../figures")
    result = filled.read("cifar10/googlenet-sgd")
    names = (result["stage"], result["run"]["stage"], result["run"]["mlflow"]["run_id"])
    assert " | ".join(f"`{name}`" for name in names) in page
    assert "Trained on: cpu, float32, 1 thread." in page
    assert "(../figures/curves_table_6.png)" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((97.61 + 96.72) / 2, "97.16"),  # 97.165, as a float above it or below
        (97.165, "97.16"),
        ((99.16 + 81.09) / 2, "90.12"),
        (99.055, "99.06"),
        (float("nan"), "nan"),
        (None, "–"),
    ],
)
def test_a_number_is_rounded_as_files_have_it(value: float | None, shown: str) -> None:
    assert fixed(value, 2) == shown
