"""One error planted into a paper that adds up is found, at its place, by the rule for its kind and by no other."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.rounding import percent
from stages.audit_paper.rules import RULES, findings
from stages.config.params import Params
from stages.paper.schema import Claim, Paper, ReportLine

Plant = Callable[[Paper], Paper]
Found = set[tuple[str, tuple[str, ...]]]


def in_row(table: str, row: str, accuracy: str) -> Plant:
    def plant(paper: Paper) -> Paper:
        def changed(each: Any) -> Any:
            return each.model_copy(update={"accuracy": accuracy}) if (each.table, each.row) == (table, row) else each

        return replace(paper, rows=tuple(map(changed, paper.rows)))

    return plant


def exchanged(table: str, one: str, other: str) -> Plant:
    def plant(paper: Paper) -> Paper:
        found = {row.row: row.accuracy for row in paper.rows if row.table == table}
        return in_row(table, one, found[other])(in_row(table, other, found[one])(paper))

    return plant


def in_report(figure: str, label: str, **change: Callable[[Any], Any]) -> Plant:
    """Change numbers of one line of a report."""

    def line(each: ReportLine) -> ReportLine:
        if each.label != label:
            return each
        return each.model_copy(update={name: new(getattr(each, name)) for name, new in change.items()})

    def plant(paper: Paper) -> Paper:
        reports = [
            replace(
                report,
                classes=tuple(map(line, report.classes)),
                accuracy=line(report.accuracy),
                averages=(line(report.averages[0]), line(report.averages[1])),
            )
            if report.figure == figure
            else report
            for report in paper.reports
        ]
        return replace(paper, reports=tuple(reports))

    return plant


def raised(by: str) -> Callable[[str], str]:
    return lambda text: f"{float(Fraction(text) + Fraction(by)):.3f}"


def in_epoch(figure: str, epoch: int | None, **change: Any) -> Plant:
    """Change an epoch of a log, or all."""

    def plant(paper: Paper) -> Paper:
        logs = [
            replace(
                log,
                epochs=tuple(
                    each.model_copy(update=change) if epoch in (None, each.epoch) else each for each in log.epochs
                ),
            )
            if log.figure == figure
            else log
            for log in paper.logs
        ]
        return replace(paper, logs=tuple(logs))

    return plant


def in_log(figure: str, **change: Any) -> Plant:
    return lambda paper: replace(
        paper, logs=tuple(replace(log, **change) if log.figure == figure else log for log in paper.logs)
    )


def claimed(says: str, **change: Any) -> Plant:
    def changed(claim: Claim) -> Claim:
        return claim.model_copy(update=change) if claim.says == says else claim

    return lambda paper: replace(paper, claims=tuple(map(changed, paper.claims)))


def copied(kind: str, one: str, other: str, *what: str) -> Plant:
    """Print what a figure shows under the caption of another one too."""

    def plant(paper: Paper) -> Paper:
        figures = {figure.figure: figure for figure in getattr(paper, kind)}
        figures[other] = replace(figures[other], **{name: getattr(figures[one], name) for name in what})
        return replace(paper, **{kind: tuple(figures.values())})

    return plant


def same_curves(one: str, other: str) -> Plant:
    """Print the accuracies of a log under the caption of another one, whose clock stays."""

    def plant(paper: Paper) -> Paper:
        logs = {log.figure: log for log in paper.logs}
        pairs = zip(logs[one].epochs, logs[other].epochs, strict=True)
        names = ("train_accuracy", "validation_accuracy")
        epochs = tuple(own.model_copy(update={name: getattr(its, name) for name in names}) for its, own in pairs)
        return in_log(other, epochs=epochs)(paper)

    return plant


def recall_that_needs_half_an_image(paper: Paper) -> Paper:
    """A macro recall one unit off, to the side where the classes' rounding could still explain it."""
    (report,) = [report for report in paper.reports if report.figure == "12"]
    exact = sum(Fraction(line.recall) for line in report.classes) / len(report.classes)
    away = "-0.001" if Fraction(report.averages[0].recall) > exact else "0.001"
    return in_report("12", "macro avg", recall=raised(away))(paper)


def two_images_more(paper: Paper) -> Paper:
    """Log 9's test accuracy, two images up or down, whichever its table's row, printed to one decimal, allows."""
    (log,) = [log for log in paper.logs if log.figure == "9"]
    row = f"{float(log.test_accuracy):.1f}"
    changed = [f"{float(Fraction(log.test_accuracy) + Fraction(by)):.2f}" for by in ("0.02", "-0.02")]
    accuracy = next(text for text in changed if percent(text).overlaps(percent(row)))
    return in_log("9", test_accuracy=accuracy)(in_row("IV", "VGG16 with ADAM", row)(paper))


def from_another_row(paper: Paper) -> Paper:
    """CIFAR10's row with the digits that MNIST's has."""
    (accuracy,) = [row.accuracy for row in paper.rows if (row.table, row.row) == ("III", AUGMENTED)]
    return in_row("VI", AUGMENTED, accuracy)(paper)


def run(paper: Paper, params: Params) -> Found:
    return {(each.rule, each.places) for each in findings(paper, params)}


AUGMENTED = "GoogLeNet with data augmentation"
PLANTS: dict[str, tuple[Plant, Found]] = {
    "a table's number is changed": (
        in_row("II", "ResNet18 with Adam", "91.37"),
        {("figure-and-tables", ("Fig. 14", "Table II")), ("figure-and-tables", ("Fig. 15", "Table II"))},
    ),
    "two rows are exchanged": (
        exchanged("II", "ResNet18 with Adam", "ResNet18"),
        {
            ("figure-and-cell", ("Fig. 14", "Table II: ResNet18 with Adam")),
            ("figure-and-cell", ("Fig. 15", "Table II: ResNet18 with Adam")),
        },
    ),
    "a log's last number": (
        in_log("15", test_accuracy="90.00"),
        {("figure-and-tables", ("Fig. 15", "Table II")), ("report-and-log", ("Fig. 14", "Fig. 15"))},
    ),
    "a log counts two images more": (two_images_more, {("report-and-log", ("Fig. 8", "Fig. 9"))}),
    "an F1": (in_report("8", "3", f1=raised("0.004")), {("f1-of-class", ("Fig. 8",))}),
    "a macro average": (in_report("8", "macro avg", precision=raised("0.004")), {("averages", ("Fig. 8",))}),
    "a weighted average": (in_report("6", "weighted avg", f1=raised("-0.004")), {("averages", ("Fig. 6",))}),
    "a report's accuracy": (
        in_report("8", "accuracy", f1=raised("0.004")),
        {
            ("averages", ("Fig. 8",)),
            ("figure-and-tables", ("Fig. 8", "Table IV")),
            ("report-and-log", ("Fig. 8", "Fig. 9")),
        },
    ),
    "a support": (in_report("8", "3", support=lambda support: support + 1), {("supports", ("Fig. 8",))}),
    "an average that whole numbers of images rule out": (
        recall_that_needs_half_an_image,
        {("whole-images", ("Fig. 12",))},
    ),
    "a report printed twice": (
        copied("reports", "12", "16", "classes", "accuracy", "averages"),
        {
            ("copied-figure", ("Fig. 12", "Fig. 16")),
            ("figure-and-tables", ("Fig. 16", "Table V")),
            ("report-and-log", ("Fig. 16", "Fig. 17")),
        },
    ),
    "a log printed twice": (
        same_curves("13", "17"),
        {("copied-figure", ("Fig. 13", "Fig. 17"))},
    ),
    "steps of the other data set": (in_epoch("7", None, steps=352), {("steps", ("Fig. 7",))}),
    "steps of no data set": (in_epoch("9", 4, steps=1000), {("steps", ("Fig. 9",))}),
    "a share of half an image": (
        in_epoch("9", 4, validation_accuracy="60.21", train_accuracy="61.00"),
        {("validation-images", ("Fig. 9",))},
    ),
    "a number copied from the other data set": (
        from_another_row,
        {
            ("same-row-same-number", (f"Table VI: {AUGMENTED}", f"Table III: {AUGMENTED}")),
            ("outlier", (f"Table VI: {AUGMENTED}",)),
        },
    ),
    "a number far below": (in_row("I", "VGG16 with SGD", "9.8"), {("outlier", ("Table I: VGG16 with SGD",))}),
    "a whole that is printed as 100": (in_row("V", "ResNet18", "100"), {("outlier", ("Table V: ResNet18",))}),
    "a long epoch": (in_epoch("7", 3, elapsed_minutes="0.01"), {("epoch-times", ("Fig. 7",))}),
    "a total below the last epoch": (
        in_log("17", total_minutes="0.10"),
        {("epoch-times", ("Fig. 17",))},
    ),
    "a score below what is claimed": (
        claimed("scores of digits", value="99.9"),
        {("claim", ("Section I", f"Fig. {figure}")) for figure in ("6", "10", "14")},
    ),
    "an exception that is none": (
        claimed("scores of objects", exceptions=(), value="99.9", families=("resnet",)),
        {("claim", ("Section I", "Fig. 16"))},
    ),
    "data sets the other way round": (
        claimed("digits are easier", dataset="cifar10", value="mnist"),
        {("claim", ("Section I", "Table IV", "Table I", "Table V", "Table II", "Table VI", "Table III"))},
    ),
    "depth matters": (
        claimed("depth", value="claims.depth.margin", reading="ours"),
        {("claim", ("Section I", "Table I")), ("claim", ("Section I", "Table IV"))},
    ),
    "augmentation harms": (
        claimed("augmentation", value="-40"),
        {("claim", ("Section I", "Table I")), ("claim", ("Section I", "Table IV"))},
    ),
    "momentum helps by much": (
        claimed("momentum", value="40"),
        {("claim", ("Section I", "Table II")), ("claim", ("Section I", "Table V"))},
    ),
    "no plain row": (
        claimed("plain VGG", value="GoogLeNet", families=("googlenet",)),
        {("claim-without-row", ("Section I", "Table III", "Table VI"))},
    ),
    "a word in no row": (
        claimed("augmented", value="RMSprop", families=("resnet",), dataset="cifar10"),
        {("claim-without-row", ("Section I", "Table V"))},
    ),
    "overfitting": (in_epoch("17", 10, train_accuracy="99.90"), {("claim", ("Section I", "Fig. 17"))}),
    "large batches": (in_epoch("15", None, steps=196), {("claim", ("Section I", "Fig. 15"))}),
    "epochs": (
        claimed("epochs", value="11", families=("vgg",)),
        {("claim", ("Section I", "Fig. 7")), ("claim", ("Section I", "Fig. 9"))},
    ),
    "another family is faster": (
        claimed("ResNet is fast", value="vgg", families=("vgg", "resnet")),
        {("claim", ("Section I", "Fig. 7", "Fig. 15")), ("claim", ("Section I", "Fig. 9", "Fig. 17"))},
    ),
    "fewer images": (claimed("images of MNIST", value="50000"), {("claim", ("Section I",))}),
    "other colours": (claimed("colours", value="1"), {("claim", ("Section I",))}),
    "two data sets over one table": (
        claimed("text over IV", value="mnist"),
        {("claim-and-claim", ("Section I", "Section II", "Table IV"))},
    ),
    "an input size of nobody": (claimed("input of VGG", value="244"), {("claim-and-source", ("Section II",))}),
    "too few parameters": (claimed("size of VGG", value="14M"), {("claim-and-source", ("Section II",))}),
}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_error_is_found_by_its_rule_and_no_other(paper: Paper, params: Params, name: str) -> None:
    plant, expected = PLANTS[name]
    planted = plant(paper)
    assert planted != paper
    assert run(planted, params) == expected


def test_every_rule_has_a_planted_error() -> None:
    assert {rule for _, expected in PLANTS.values() for rule, _ in expected} == {rule.name for rule in RULES}


def test_a_rule_names_itself_and_a_finding_says_why(paper: Paper, params: Params) -> None:
    for plant, _ in PLANTS.values():
        for rule in RULES:
            for each in rule.find(plant(paper), params):
                assert each.rule == rule.name
                assert all((each.places, each.printed, each.contradicts, each.sentence.endswith(".")))


def test_a_value_that_is_our_reading_is_never_certain(paper: Paper, params: Params) -> None:
    ours, printed = (
        findings(claimed("depth", value=value, reading=reading)(paper), params)
        for value, reading in (("claims.depth.margin", "ours"), ("0", "printed"))
    )
    assert {each.confidence for each in ours} == {Confidence.READING}
    assert {each.confidence for each in printed} == {Confidence.CERTAIN}


def test_our_reading_of_a_word_is_the_threshold_of_params(paper: Paper, params: Params) -> None:
    """The one by which our own numbers are judged, that of each data set for its tables."""
    planted = claimed("depth", value="claims.depth.margin", reading="ours")(paper)
    for margins, tables in (
        ({"mnist": 0.01, "cifar10": 99.0}, {"Table I"}),
        ({"mnist": 99.0, "cifar10": 0.01}, {"Table IV"}),
    ):
        margin = params.claims.depth.margin.model_copy(update=margins)
        depth = params.claims.depth.model_copy(update={"margin": margin})
        changed = params.model_copy(update={"claims": params.claims.model_copy(update={"depth": depth})})
        assert {each.places[1] for each in findings(planted, changed)} == tables


def test_the_surest_come_first(paper: Paper, params: Params) -> None:
    plants = ("a word in no row", "depth matters", "steps of no data set", "an F1")
    for name in plants:
        paper = PLANTS[name][0](paper)
    found: list[Finding] = findings(paper, params)
    levels = [each.confidence for each in found]
    assert levels == sorted(levels, key=list(Confidence).index)
    assert set(levels) == set(Confidence)
