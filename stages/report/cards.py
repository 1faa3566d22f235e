"""A model card for each cell with a result: markdown with the model-index metadata that model hubs read."""

import json
from typing import Any

from stages.core.files import digest, flatten
from stages.records.evaluation import Evaluation
from stages.records.planned import switch_of
from stages.report.conditions import conditions
from stages.report.evidence import Evidence
from stages.report.formats import exact
from stages.report.render import RenderedText, markdown
from stages.report.rows import TableRow, all_rows, first_rows


def card_files(evidence: Evidence) -> dict[str, str]:
    """The card of each cell that has a result, by its file name: `cifar10-vgg16-adam.md`."""
    first = first_rows(all_rows(evidence))
    return {f"{key.dataset}-{key.name}.md": _card(evidence, row) for key, row in first.items() if row.has_run}


def _card(evidence: Evidence, row: TableRow) -> RenderedText:
    result = row.results.results[0]
    return markdown(
        "model_card",
        row=row,
        budget=evidence.budget_name,
        caption=evidence.budget.caption,
        dataset=evidence.dataset(row.key.dataset),
        metadata=_metadata(evidence, row),
        conditions=conditions(evidence, row.key.dataset, [row.key.name]),
        result=result,
        switch=switch_of(result),
        results=row.results.results,
        settings=flatten(result.run.config.model_dump(mode="json")),
        settings_sha256=digest(result.run.config.model_dump(mode="json")),
        classes=[(name, _scores(result, name)) for name in result.classes],
        interval_level=f"{100 * row.confidence:g} %",
    )


def _scores(result: Evaluation, name: str) -> dict[str, float]:
    found = result.report[name]
    return found if isinstance(found, dict) else {}


def _metadata(evidence: Evidence, row: TableRow) -> str:
    """The front matter, as JSON, which is YAML too: one line a key."""
    dataset, name = evidence.dataset(row.key.dataset), f"{row.key} ({evidence.budget_name})"
    metric: dict[str, Any] = {"type": "accuracy", "name": "test accuracy (%)", "value": exact(row.mean)}
    tested = {"type": row.key.dataset, "name": dataset.title, "split": "test"}
    task = {"type": "image-classification", "name": "Image Classification"}
    content = {
        "license": "mit",
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", row.results.results[0].run.config.cell.family],
        "datasets": [row.key.dataset],
        "metrics": ["accuracy"],
        "model-index": [{"name": name, "results": [{"task": task, "dataset": tested, "metrics": [metric]}]}],
    }
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
