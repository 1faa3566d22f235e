"""Tables as they stand: what has not run is said or left out, on every page, and nothing is made up for it."""

import csv
import io
import json
import re
from typing import Any

import pytest

from stages.records.evaluation import Evaluation
from stages.report.captions import copies_sentence, numerics_sentence, table_caption
from stages.report.claims import judge_claims
from stages.report.claims_page import claims_page
from stages.report.overview import overview_page
from stages.report.rows import lines, table_rows
from stages.report.studies import compare_studies
from stages.report.tables import table_body, table_csv
from stages.stats.claims import OPEN
from tests.unit.report.conftest import other_array

KEPT = ("cifar10/resnet18", "cifar10/resnet18-adam", "mnist/vgg16", "mnist/vgg11")
ALTERNATIVE = "cifar10/resnet18-lr1e-2-sgd"
LACKING = [("I", "VGG19"), ("IV", "VGG16"), ("IV", "VGG19"), ("IV", "VGG11")]  # of depth, in the order of the pairs
PAIR = ("resnet18-adam", "resnet18")


def csv_lines(text: str) -> dict[str, dict[str, str]]:
    return {line["row"]: line for line in csv.DictReader(io.StringIO(text))}


def labelled(evidence: Any, number: Any) -> list[tuple[str, Any]]:
    return [(row.row, row.results) for row in lines(table_rows(evidence, number))]


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project of which four trainings have run, on which the stage has run. Read it, change nothing."""
    from tests.unit.report.conftest import Project

    project = Project(tmp_path_factory.mktemp("partial")).fill()
    project.keep(*KEPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        done = project.aggregate()
    assert done.exit_code == 0, done.output
    return project


def test_a_row_without_result_says_so(partial: Any) -> None:
    page = partial.text("tables/table_1.md")
    assert "| VGG16 with ADAM | 98.2 | not run | – | – | 0 | – | – |" in page
    assert re.search(r"\| VGG11 \| 99.1 \| \d+\.\d \|", page)
    lines = csv_lines(partial.text("tables/table_1.csv"))
    line = lines["VGG16 with ADAM"]
    assert {value for name, value in line.items() if name not in ("row", "paper", "n", "outcome")} == {""}
    assert (line["paper"], line["n"], line["outcome"]) == ("98.2", "0", "not run")
    assert (lines["VGG11"]["n"], lines["VGG11"]["outcome"]) == ("1", "finished")


def test_captions_count(partial: Any) -> None:
    assert "**2 of 8 planned trainings are done.**" in partial.text("tables/table_1.md")
    assert "**0 of 3 planned trainings are done.**" in partial.text("tables/table_6.md")
    assert "**4 of 35 planned trainings are done.**" in partial.text("tables/tables.md")
    assert "Seed 0 alone, n = 1" in partial.text("tables/table_1.md")
    assert "interval:" not in partial.text("tables/table_6.md")


def test_figures_and_pages_of_what_has_not_run_are_left_out(partial: Any) -> None:
    assert {path.name for path in partial.out("figures").iterdir()} == {
        "confusion_cifar10_resnet.png", "confusion_mnist_vgg.png", "curves_table_1.png", "curves_table_5.png",
        "printed_curves.png", "cost_cifar10.png", "cost_mnist.png",
    }  # fmt: skip
    assert list(partial.out("studies").iterdir()) == []
    for page in ("table_1.md", "table_6.md", "appendix.md", "tables.md"):
        links = re.findall(r"\]\(((?!\.\./samples)[^)]+)\)", partial.text(f"tables/{page}"))
        assert all((partial.out("tables") / link).is_file() for link in links)


def test_what_had_run_once_and_is_gone_takes_its_pages_along(filled: Any) -> None:
    assert filled.aggregate(figures="empty").exit_code == 0
    filled.keep(*KEPT)
    assert filled.aggregate(figures="empty").exit_code == 0
    assert len(list(filled.out("figures").iterdir())) == 7
    assert list(filled.out("studies").iterdir()) == []


def test_the_ledger_has_every_number_and_trainings_of_those_that_ran(partial: Any) -> None:
    numbers = json.loads(partial.text("ledger.json"))["numbers"]
    assert len(numbers) == 35
    assert {number["cell"] for number in numbers if number["seeds"]} == set(KEPT)
    missing = next(number for number in numbers if number["cell"] == "mnist/vgg19")
    assert (missing["mean"], missing["std"], missing["n"], missing["difference"]) == (None, None, 0, None)
    assert (missing["paper"], missing["outcome"]) == ("83", "not run")
    lines = list(csv.DictReader(io.StringIO(partial.text("ledger.csv"))))
    assert len(lines) == 35
    line = next(line for line in lines if line["cell"] == "mnist/vgg19")
    assert (line["mean"], line["seed"], line["training_stage"], line["outcome"]) == ("", "", "", "not run")


def test_views_have_what_there_is(partial: Any) -> None:
    metrics = json.loads(partial.text("views/metrics.json"))
    assert {table: list(rows) for table, rows in metrics.items() if rows} == {
        "Table I": ["VGG16", "VGG11"],
        "Table V": ["ResNet18", "ResNet18 with Adam"],
    }
    sources = [line["source"] for line in csv.DictReader(io.StringIO(partial.text("views/accuracy.csv")))]
    assert (sources.count("paper"), sources.count("ours")) == (34, 4)
    assert partial.text("views/curves.csv").count("\n") == 1 + 4 * 2


def test_a_claim_that_lacks_cells_cannot_be_told_and_names_them(partial: Any) -> None:
    evidence = partial.evidence()
    claims = {claim.name: claim for claim in judge_claims(evidence)}
    assert {claim.outcome for claim in claims.values()} == {OPEN}
    depth = claims["C1"].parts[0]
    assert depth.p is None
    assert depth.lacking == [f"{net} (Table {table})" for table, net in LACKING]
    made = [check for check in depth.checks if not check.lacks]
    assert [check.name for check in made] == ["VGG11 (Table I) less VGG16 (Table I)"]
    assert made[0].found.value is not None
    page = claims_page(evidence, list(claims.values()))
    assert "1 of 6 comparisons can be made, of which" in page
    assert "Not run: VGG19 (Table I), VGG16 (Table IV)" in page
    assert "0 of 6 comparisons can be made. Not run: " in page
    assert "A claim cannot be told while a cell that it compares has not run." in page


def test_the_book_says_what_has_not_run(partial: Any) -> None:
    from tests.unit.book.conftest import Tree

    root = Tree(partial.text("index.html")).root
    (home,) = root.all("section", id="/")
    logged = sum(row.as_logged is not None for table in partial.params.tables.values() for row in table.rows)
    counted = home.text.count("cells are not planned")
    assert (home.text.count("not run"), home.text.count("not planned")) == (30, logged + counted)
    assert counted == 1 + sum(any(row.as_logged for row in table.rows) for table in partial.params.tables.values())
    assert "4 of 35 planned trainings are done." in home.text
    numbers = {section.attributes["id"] for section in root.all("section", class_="number")}
    assert numbers == {"/V/resnet18", "/V/resnet18-adam", "/I/vgg16", "/I/vgg11"}
    places = {element.attributes["id"] for element in root.walk() if "id" in element.attributes}
    for link in root.all("a"):
        target = link.attributes["href"].removeprefix("#").split("+")[0]
        assert target.startswith("/compare/") or target in places, target


@pytest.mark.parametrize("cell", ["mnist/googlenet-augmented", "cifar10/vgg16-adam", ALTERNATIVE])
def test_one_result_alone_makes_all_pages(filled: Any, cell: str) -> None:
    filled.keep(cell)
    done = filled.aggregate()
    assert done.exit_code == 0, done.output
    said = [line for line in done.stderr.splitlines() if line.startswith("Table ")]
    assert len(said) == 6
    assert sum(line.count("not run") for line in said) == (34 if cell == ALTERNATIVE else 33)


def test_a_study_without_its_base_compares_what_there_is(filled: Any) -> None:
    filled.keep(ALTERNATIVE)
    (comparison,) = compare_studies(filled.evidence())
    assert [candidate.name for candidate in comparison.candidates] == ["resnet18-lr1e-2-sgd"]
    assert comparison.not_run == ["resnet18-lr1e-2", "resnet18-lr1e-2-momentum"]
    assert comparison.verdict.startswith("The only one with a result: `resnet18-lr1e-2-sgd`")


def test_a_study_whose_alternatives_have_not_run_is_not_run(filled: Any) -> None:
    filled.remove(ALTERNATIVE)
    evidence = filled.evidence()
    names = [comparison.name for comparison in compare_studies(evidence)]
    assert names == ["vgg16-plain-optimizer", "resnet18-plain-optimizer"]
    assert "| A1 | not run |" in overview_page(evidence, compare_studies(evidence), "f", "s")


def with_more_seeds(project: Any) -> Any:
    more = {"mnist": {"cells": [], "seeds": []}, "cifar10": {"cells": ["resnet18-adam", "resnet18"], "seeds": [1, 2]}}
    project.edit(lambda raw: raw.update(more_seeds=more))
    return project.fill()


def test_each_row_has_its_own_seeds(project: Any) -> None:
    evidence = with_more_seeds(project).evidence()
    lines = csv_lines(table_csv(evidence, "V"))
    assert [line["n"] for line in lines.values()] == ["3", "1", "1", "1", "3", "1"]
    assert lines["ResNet18"]["std"] != ""
    assert lines["ResNet18 with SGD"]["std"] == ""
    caption = table_caption(evidence, "V")
    assert "over the n seeds of each row; one seed alone has no deviation" in caption
    assert "95 % interval: with one seed, Wilson's, " in caption
    assert "; with more seeds, Student's t over the seeds." in caption
    assert project.aggregate().exit_code == 0
    assert project.text("views/curves.csv").count("\nV,ResNet18,2,") == 2
    assert "n from 1 to 3: how far seeds spread" in project.text("tables/claims.md")


def test_a_pair_is_compared_over_the_seeds_that_both_have(project: Any) -> None:
    project = with_more_seeds(project)
    project.path("cifar10/resnet18", 1).unlink()
    evidence = project.evidence()
    assert "**7 of 10 planned trainings are done.**" not in table_caption(evidence, "V")
    assert "**9 of 10 planned trainings are done.**" in table_caption(evidence, "V")
    checks = {check.name: check for claim in judge_claims(evidence) for part in claim.parts for check in part.checks}
    pair = checks["ResNet18 with Adam (Table V) less ResNet18 (Table V)"]
    accuracies = [[project.read(f"cifar10/{name}", seed)["accuracy"] for seed in (0, 2)] for name in PAIR]
    assert pair.seeds == 2
    assert pair.found.value == pytest.approx(50 * (sum(accuracies[0]) - sum(accuracies[1])))
    assert checks["ResNet18 with Adam (Table V) less ResNet18 with SGD (Table V)"].seeds == 1


def test_a_pair_without_a_common_seed_cannot_be_told(project: Any) -> None:
    project = with_more_seeds(project)
    for seed in (1, 2):
        project.path("cifar10/resnet18-adam", seed).unlink()
    project.path("cifar10/resnet18").unlink()
    checks = [check for claim in judge_claims(project.evidence()) for part in claim.parts for check in part.checks]
    notes = {check.name: check.found.note for check in checks}
    assert notes["ResNet18 with Adam (Table V) less ResNet18 (Table V)"] == "no seed in common"


def test_captions_say_where_devices_or_formats_differ(filled: Any) -> None:
    assert "differ" not in table_caption(filled.evidence(), "V").split("conditions, so")[0]
    filled.change("cifar10/resnet18", run__numerics__device="cuda")
    filled.change("cifar10/resnet18-sgd", run__numerics__precision="bfloat16")
    evidence = filled.evidence()
    sentence = numerics_sentence(labelled(evidence, "V"))
    assert sentence in table_body(evidence, "V")
    assert ": cpu, bfloat16 (ResNet18 with SGD); cpu, float32 (ResNet18 with lr=0.01; " in sentence
    assert sentence.endswith("; cuda, float32 (ResNet18).")
    assert not numerics_sentence(labelled(evidence, "IV"))


def test_captions_say_which_rows_had_copies_of_several_processors(project: Any) -> None:
    rows = ("resnet18", "resnet18-augmented")  # one of them reads the copies
    more = {"mnist": {"cells": [], "seeds": []}, "cifar10": {"cells": [*rows], "seeds": [1]}}
    project.edit(lambda raw: raw.update(more_seeds=more))
    project.fill()
    for cell in (f"cifar10/{row}" for row in rows):
        other_array(Evaluation.read(project.path(cell, 1), "evaluate")).write(project.path(cell, 1))
    evidence = project.evidence()
    sentence = copies_sentence(labelled(evidence, "V"))
    assert sentence in table_body(evidence, "V")
    assert sentence.endswith("(ResNet18 with Data Augmentation).")
    assert not copies_sentence(labelled(evidence, "IV"))
