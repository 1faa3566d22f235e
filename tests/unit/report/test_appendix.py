"""The appendix: reports and logs, ours and the paper's, and what is said of a training that learned nothing."""

from typing import Any

import pytest

from stages.core.errors import ParamError
from stages.evaluate.report import report_text
from stages.report.appendix import appendix_page, training_log


def test_log_of_a_result(filled: Any) -> None:
    log = training_log(filled.evidence().cells["cifar10/vgg16-adam"].first)
    result = filled.read("cifar10/vgg16-adam")
    assert [line.minutes for line in log.lines] == pytest.approx([0.1, 0.2])
    assert [line.train for line in log.lines] == [100 * epoch["train_sample_accuracy"] for epoch in result["history"]]
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


def test_a_training_that_learned_nothing_is_said(filled: Any) -> None:
    filled.change("cifar10/vgg16-adam", at_chance=True)
    filled.change("mnist/vgg16", at_chance=True, run__outcome="diverged")
    page = appendix_page(filled.evidence(), "f")
    assert page.count("**at chance**") == 1
    assert "Classification report on 1000 test images, **at chance**, as the paper's Fig. 8." in page
    assert "Classification report on 1000 test images, **diverged**" in page
    assert "training images), **diverged**" in page


def test_the_lowest_seed_is_shown(project: Any) -> None:
    project.edit(lambda raw: raw.update(seeds=[7, 5]))
    page = appendix_page(project.fill().evidence(), "f")
    assert page.count("Seed 5, made by") == 6
    assert f"Test accuracy {project.read('mnist/resnet18-adam', 5)['correct'] / 10:.2f}%" in page


def test_a_section_without_result_has_what_the_paper_prints(filled: Any) -> None:
    filled.remove("cifar10/vgg16-adam")
    page = appendix_page(filled.evidence(), "f")
    section = page[page.index("## CIFAR10, VGG16 with ADAM") :].split("\n## ")[0]
    assert "\n\nNot run.\n\n" in section
    assert "What the paper prints in Fig. 8" in section
    assert "Test accuracy 82.28%" in section
    assert "confusion_cifar10_vgg.png" not in page


def test_figure_without_report_and_log(project: Any) -> None:
    project.edit(lambda raw: raw["figures"][0].update(report=None, log=None))
    page = appendix_page(project.fill().evidence(), "f")
    assert "## MNIST, VGG16 (Table I): Figs. 18\n" in page
    assert "Classification report on 1000 test images.\n" in page


def test_figure_that_the_paper_does_not_have(project: Any) -> None:
    project.edit(lambda raw: raw["figures"][0].update(report="99"))
    with pytest.raises(ParamError, match="report: '99' is not allowed; allowed: a figure of data/paper: 6, 8"):
        appendix_page(project.fill().evidence(), "f")
