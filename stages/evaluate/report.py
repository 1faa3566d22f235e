"""The classification report as scikit-learn lays it out, as in the paper's Figs. 6-17.

Laid out here because the dictionary is what the results hold, and scikit-learn takes seconds to import.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = ("precision", "recall", "f1-score")
_SUMMARIES = ("accuracy", "macro avg", "weighted avg")


def report_text(report: Mapping[str, Any], classes: Sequence[str]) -> str:
    """scikit-learn's text layout of its own `output_dict`; the paper prints three digits."""
    width = max(map(len, [*classes, *_SUMMARIES]))
    support = int(report["macro avg"]["support"])
    return "\n".join(
        [
            f"{'':>{width}}  " + " ".join(f"{name:>9}" for name in (*_COLUMNS, "support")),
            "",
            *(_line(name, report[name], width) for name in classes),
            "",
            f"{'accuracy':>{width}}  {'':>9} {'':>9} {report['accuracy']:>9.3f} {support:>9}",
            *(_line(name, report[name], width) for name in _SUMMARIES[1:]),
            "",
        ]
    )


def _line(label: str, scores: Mapping[str, float], width: int) -> str:
    numbers = " ".join(f"{scores[name]:>9.3f}" for name in _COLUMNS)
    return f"{label:>{width}}  {numbers} {int(scores['support']):>9}"
