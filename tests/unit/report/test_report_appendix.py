"""The appendix: reports as scikit-learn prints them, logs as the paper prints them."""

from typing import Any

import pytest
from sklearn.metrics import classification_report

from stages.core.errors import CorruptFileError, MissingFileError, ParamError
from stages.report.appendix import appendix_page, training_log
from stages.report.forms import Log, LogLine, log_text, report_text
from stages.report.paper import read_paper


@pytest.mark.parametrize("cell", ["mnist/vgg16", "cifar10/vgg16-adam"])
def test_report_is_scikit_learns_own(filled: Any, cell: str) -> None:
    result = filled.read(cell)
    labels, predictions = ([int(digit) for digit in result[name]] for name in ("labels", "predictions"))
    own = classification_report(
        labels, predictions, labels=range(10), target_names=result["classes"], digits=3, zero_division=0
    )
    assert report_text(result["report"], result["classes"]) == own


def test_log_has_the_papers_form() -> None:
    log = Log(391, 10, [LogLine(96.79, 95.08, 0.58), LogLine(98.805, 97.12, 1.16)], 98.29)
    assert log_text(log).splitlines() == [
        "Epoch: 001/010 | Train: 96.79% | Validation: 95.08%",
        "Time elapsed: 0.58 min",
        "Epoch: 002/010 | Train: 98.81% | Validation: 97.12%",
        "Time elapsed: 1.16 min",
        "Total Training Time: 1.16 min",
        "Test accuracy 98.29%",
    ]


def test_log_of_a_result(filled: Any) -> None:
    log = training_log(filled.evidence().cells["cifar10/vgg16-adam"].first)
    result = filled.read("cifar10/vgg16-adam")
    assert [line.minutes for line in log.lines] == pytest.approx([0.1, 0.2])
    assert [line.train for line in log.lines] == [100 * epoch["train_accuracy"] for epoch in result["history"]]
    assert (log.steps, log.planned, log.test_accuracy) == (50, 2, pytest.approx(result["correct"] / 10))


def test_page(filled: Any) -> None:
    evidence = filled.evidence()
    page = appendix_page(evidence, "../figures")
    assert page.count("\n## ") == 6
    result = filled.read("cifar10/vgg16-adam")
    for said in (
        "## CIFAR10, VGG16 with ADAM (Table IV): Figs. 8, 9, 19",
        report_text(result["report"], result["classes"]),
        "Classification report on 1000 test images, as the paper's Fig. 8.",
        f"Test accuracy {result['correct'] / 10:.2f}%",
        "as the paper's Fig. 9.",
        "Test accuracy 82.28%",
        "(../figures/confusion_cifar10_vgg.png)",
        "as the paper's Fig. 19",
        "800 of 45000 training images",
        result["run"]["mlflow"]["run_id"],
    ):
        assert said in page


def test_first_seed_is_shown(project: Any) -> None:
    project.edit(lambda raw: raw.update(seeds=[5, 0]))
    page = appendix_page(project.fill().evidence(), "f")
    assert "seed 5" in page
    assert f"Test accuracy {project.read('mnist/resnet18-adam', 5)['correct'] / 10:.2f}%" in page


def test_figure_without_report_and_log(project: Any) -> None:
    project.edit(lambda raw: raw["figures"][0].update(report=None, log=None))
    page = appendix_page(project.fill().evidence(), "f")
    assert "## MNIST, VGG16 (Table I): Figs. 18\n" in page
    assert "Classification report on 1000 test images.\n" in page


def test_figure_that_the_paper_does_not_have(project: Any) -> None:
    project.edit(lambda raw: raw["figures"][0].update(report="99"))
    with pytest.raises(ParamError, match="report: '99' is not allowed; allowed: a figure of data/paper: 6, 8"):
        appendix_page(project.fill().evidence(), "f")


def test_paper_reads_as_printed(project: Any) -> None:
    paper = read_paper()
    assert paper.epochs == 10
    assert paper.accuracy("I", "VGG19") == "83"
    assert paper.accuracy("I", "mine") is None
    assert paper.log("9").lines[4] == LogLine(90.25, 82.18, 2.93)
    assert (paper.log("9").test_accuracy, paper.log("9").steps) == (82.28, 1407)
    assert paper.report("8")["2"] == {"precision": 0.824, "recall": 0.702, "f1-score": 0.758, "support": 1000}
    assert paper.report("8")["accuracy"] == 0.823


def test_paper_files_that_are_not_right(project: Any) -> None:
    tables = project.folder / "data" / "paper" / "tables.csv"
    tables.write_text(tables.read_text().replace("99.1\n", "991\n", 1))
    with pytest.raises(CorruptFileError, match=r"tables.csv: accuracy 991"):
        read_paper()
    tables.write_text("table,row\n")
    with pytest.raises(CorruptFileError, match="no column accuracy"):
        read_paper()
    tables.unlink()
    with pytest.raises(MissingFileError, match=r"tables.csv is missing"):
        read_paper()
