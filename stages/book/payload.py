"""What the page's script draws and compares, as JSON that is embedded once."""

import json
from base64 import b64encode
from typing import Any

import numpy as np

from stages.book.numbers import Number
from stages.core.errors import CorruptFileError
from stages.core.files import flatten
from stages.records.evaluation import Evaluation
from stages.report.evidence import Evidence
from stages.report.logs import printed_log
from stages.report.studies import Comparison


def payload(evidence: Evidence, numbers: list[Number], comparisons: list[Comparison]) -> str:
    """JSON that may stand in a script element. Raises CorruptFileError for results of different test images.

    Each seed's `right` has a bit for every test image, 1 where it was named right: bytes in base64, the first image in
    the highest bit, zeros behind the last. Accuracies are fractions, printed ones percent.
    """
    for dataset in _datasets(numbers):
        _check_images(dataset, numbers)
    content = {
        "classes": {name: evidence.dataset(name).classes for name in _datasets(numbers)},
        "titles": {name: evidence.dataset(name).title for name in _datasets(numbers)},
        "numbers": {number.id: _number(evidence, number) for number in numbers},
        "studies": {comparison.name: _study(comparison, numbers) for comparison in comparisons},
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")  # nothing in it can end the element


def _datasets(numbers: list[Number]) -> list[str]:
    return list(dict.fromkeys(number.row.key.dataset for number in numbers))


def _check_images(dataset: str, numbers: list[Number]) -> None:
    """Raise CorruptFileError unless all results of a data set were tested on the same images, by their labels."""
    results = [
        result for number in numbers if number.row.key.dataset == dataset for result in number.row.results.results
    ]
    for result in results:
        if result.labels != results[0].labels:
            found = f"labels of other test images than those of {results[0].stage}"
            where = result.file.path if result.file else result.stage
            raise CorruptFileError(where, found, "results of the same test images (run dvc repro)")


def _number(evidence: Evidence, number: Number) -> dict[str, Any]:
    return {
        "label": number.label,
        "table": None if number.row.is_alternative else number.row.table,
        "dataset": number.row.key.dataset,
        "cell": str(number.row.key),
        "paper": number.paper,
        "ours": number.row.mean_text,
        "settings": {name: _plain(value) for name, value in flatten(number.first.run.config.model_dump()).items()},
        "log": _log(evidence, number.log) if number.log else None,
        "seeds": [_seed(result) for result in number.row.results.results],
    }


def _plain(value: Any) -> Any:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else value


def _seed(result: Evaluation) -> dict[str, Any]:
    return {
        "seed": result.seed,
        "correct": result.correct,
        "right": b64encode(np.packbits(result.right).tobytes()).decode(),
        "history": [
            list(
                map(
                    _drawn,
                    (line.train_sample_accuracy, line.validation_accuracy, line.train_loss, line.validation_loss),
                )
            )
            for line in result.history
        ],
    }


def _drawn(value: float | None) -> float | None:
    """A value as precise as a curve needs it."""
    return None if value is None else round(value, 6)


def _log(evidence: Evidence, figure: str) -> dict[str, Any]:
    lines = printed_log(evidence.paper.log(figure)).lines
    return {
        "figure": figure,
        "train": [line.train for line in lines],
        "validation": [line.validation for line in lines],
    }


def _study(comparison: Comparison, numbers: list[Number]) -> dict[str, Any]:
    ids = {str(number.row.key): number.id for number in numbers}
    return {
        "log": comparison.study.printed.log,
        "printed": comparison.printed,
        "numbers": [ids[f"{comparison.study.dataset}/{candidate.name}"] for candidate in comparison.candidates],
    }
