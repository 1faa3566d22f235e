"""All rules, in the order in which a reader would ask, and what they find."""

from stages.audit_paper.accuracies import (
    FIGURE_AND_CELL,
    FIGURE_AND_TABLES,
    REPORT_AND_LOG,
    figure_and_cell,
    figure_and_tables,
    report_and_log,
)
from stages.audit_paper.claims import CLAIM, claim
from stages.audit_paper.duplicates import COPIED_FIGURE, SAME_ROW, copied_figure, same_row_same_number
from stages.audit_paper.finding import Confidence, Finding, Rule
from stages.audit_paper.outliers import EPOCH_TIMES, OUTLIER, THRESHOLD, epoch_times, outlier
from stages.audit_paper.prose import (
    CLAIM_AND_CLAIM,
    CLAIM_AND_SOURCE,
    CLAIM_WITHOUT_ROW,
    claim_and_claim,
    claim_and_source,
    claim_without_row,
)
from stages.audit_paper.reports import (
    AVERAGES,
    F1_OF_CLASS,
    SUPPORTS,
    WHOLE_IMAGES,
    averages,
    f1_of_class,
    supports,
    whole_images,
)
from stages.audit_paper.steps import STEPS, VALIDATION_IMAGES, steps, validation_images
from stages.config.params import Params
from stages.paper.schema import Paper

_ROUNDING = "whatever the rounding"
_SPLIT = "given params.yaml's split"
_MODIFIED_Z = f"modified z-score (0.6745 times the distance from the median, over the MAD) above {THRESHOLD}"

RULES: tuple[Rule, ...] = (
    Rule(
        COPIED_FIGURE,
        "reports with reports and logs with logs, of different trainings",
        "equal in every digit: two trainings do not do that",
        copied_figure,
    ),
    Rule(
        FIGURE_AND_TABLES,
        "the accuracy of a report or log with all rows of its family and data set",
        f"{_ROUNDING}; a report's recalls times supports count its recognised images",
        figure_and_tables,
    ),
    Rule(
        FIGURE_AND_CELL,
        "the accuracy of a report or log with the row that params.yaml's `figures` gives it, where another row fits",
        f"{_ROUNDING}; the paper does not name the row, params.yaml does",
        figure_and_cell,
    ),
    Rule(
        REPORT_AND_LOG,
        "the recognised images of a report with the final test accuracy of its log",
        f"{_ROUNDING}; that both are of one training is params.yaml's `figures`",
        report_and_log,
    ),
    Rule(F1_OF_CLASS, "a class's F1 with its precision and recall", _ROUNDING, f1_of_class),
    Rule(AVERAGES, "a report's averages and accuracy with its classes", _ROUNDING, averages),
    Rule(SUPPORTS, "supports with their sum and with the data set's test images", "whole numbers, exact", supports),
    Rule(
        WHOLE_IMAGES,
        "a report with every confusion matrix there could be, where the plainer rules find nothing",
        f"counts of images are whole (GRIM test, Brown and Heathers 2017); {_ROUNDING}",
        whole_images,
    ),
    Rule(
        STEPS,
        "steps per epoch with ceil(training images / batch), the batch a power of two",
        f"{_SPLIT}, and a power of two",
        steps,
    ),
    Rule(
        VALIDATION_IMAGES,
        "validation accuracies with whole numbers of validation images",
        f"{_SPLIT}; {_ROUNDING}",
        validation_images,
    ),
    Rule(
        SAME_ROW,
        "a row with the row of the same name on the other data set",
        "the same digits; a coincidence is possible",
        same_row_same_number,
    ),
    Rule(
        OUTLIER,
        "an accuracy with all others on its data set, in log-odds",
        f"a hint: {_MODIFIED_Z} (Iglewicz and Hoaglin 1993), as in one of nine sets of 17 normal numbers",
        outlier,
    ),
    Rule(
        EPOCH_TIMES,
        "the minutes of an epoch with those of the log's others, and the clock with itself",
        f"a hint: {_MODIFIED_Z}; a clock that runs backward is certain",
        epoch_times,
    ),
    Rule(
        CLAIM,
        "what the prose says (`claims.csv`) with tables, reports, logs and data sets",
        f"{_ROUNDING}; a matter of reading where a word like *little* is given a number (`claims` in params.yaml); "
        f"batch sizes {_SPLIT}",
        claim,
    ),
    Rule(
        CLAIM_AND_CLAIM,
        "what two places of the prose say of one thing",
        "as printed; that both speak of one thing is how `claims.csv` has them",
        claim_and_claim,
    ),
    Rule(
        CLAIM_AND_SOURCE,
        "what the prose says of a published network with the publication (`published.csv`)",
        "as published there; parameters can be counted in more ways than one",
        claim_and_source,
    ),
    Rule(
        CLAIM_WITHOUT_ROW,
        "what the prose says was tried with the labels of the tables' rows",
        "by the words of the labels; a row may be of it and not say so",
        claim_without_row,
    ),
)


def findings(paper: Paper, params: Params) -> list[Finding]:
    """What all rules find: the surest first, then in the order of the rules.

    `paper` is what is printed, `params` says which data set, family and training each table and figure is of. Raises
    CorruptFileError for a claim that no rule can test.
    """
    found = [each for rule in RULES for each in rule.find(paper, params)]
    return sorted(found, key=lambda each: list(Confidence).index(each.confidence))
