"""What is kept of a benchmark, reports/bench.json, and the tables that are printed from it.

The file has, for each family, `ours`, `reference`, `ratio`, `ratio_same_head`, `gemm_share` and what they come from,
then the sections `optimizers`, `throughput`, `determinism`, `ablation` and `checkpoint`; beside the families
`environment`, `git` and `settings`.
`busy_elsewhere` is the share of the machine's time that others took while a family's section was measured.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.families import FAMILIES, OPTIMIZERS, PARTS
from stages.core.files import read_json
from stages.records import provenance
from stages.report.markdown import table

CONDITIONS = ("environment", "git", "settings")


def measured_under(settings: dict[str, Any]) -> dict[str, Any]:
    """`CONDITIONS` of this machine and working tree, with these settings of the benchmark."""
    return {"environment": provenance.environment(), "git": provenance.git_state(), "settings": settings}


def load(path: Path, conditions: dict[str, Any]) -> dict[str, Any]:
    """What the file holds if it was measured under the same conditions, and else the conditions alone."""
    conditions = json.loads(json.dumps(conditions))  # as they come back from a file
    if path.is_file():
        found = read_json(path, "make bench")
        if {name: found.get(name) for name in CONDITIONS} == conditions:
            return found
    return conditions


def merge(content: dict[str, Any], section: str, family: str, result: dict[str, Any]) -> dict[str, Any]:
    """Put a section's result in the place of an earlier one; `speed` is what stands at the top of a family."""
    before = content.get(family, {})
    return content | {family: before | (result if section == "speed" else {section: result})}


def tables(content: dict[str, Any]) -> str:
    """All that was measured, as Markdown."""
    return "\n\n".join(filter(None, (show(content) for show in SHOWN.values())))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is text; empty when there are no rows."""
    return table(columns, rows, numbers=range(1, len(columns))) if rows else ""


def _speed(content: dict[str, Any]) -> str:
    columns = (
        "family",
        "batch",
        "ours",
        "reference",
        "ratio",
        "ratio, same head",
        "gemm share",
        "executed alone",
        "of",
    )
    rows = [
        [
            family,
            str(batch_size),
            f"{found['ours']:.0f}",
            f"{found['reference']:.0f}",
            f"{found['ratio']:.2f}",
            f"{found['ratio_same_head']:.2f}",
            f"{found['gemm_share']:.0%}",
            f"{found['gemm_share_executed']:.0%}",
            f"{max(found['gemm_flops'].values()) / 1e9:.0f} GFLOP/s {found['gemm_format']}",
        ]
        for family, (_, batch_size) in FAMILIES.items()
        if "ours" in (found := content.get(family, {}))
    ]
    return _table(columns, rows)


def _section(name: str, columns: Sequence[str], line: Callable[[dict[str, Any]], list[str]]) -> Callable[..., str]:
    def show(content: dict[str, Any]) -> str:
        rows = [[family, *line(content[family][name])] for family in FAMILIES if name in content.get(family, {})]
        return _table(["family", *columns], rows)

    return show


def _gain(gain: Sequence[float] | None) -> str:
    return "–" if gain is None else "{:.2f} ({:.2f} to {:.2f})".format(*gain)


SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "speed": _speed,
    "optimizers": _section(
        "optimizers", list(OPTIMIZERS), lambda found: [f"{found[optimizer]:.0f}" for optimizer in OPTIMIZERS]
    ),
    "throughput": _section(
        "throughput",
        ["processes", "one thread each, together", "one process, as many threads", "ratio"],
        lambda found: [
            str(found["processes"]),
            f"{found['one_thread_each']:.0f}",
            f"{found['one_process']:.0f}",
            f"{found['ratio']:.2f}",
        ],
    ),
    "determinism": _section(
        "determinism",
        ["deterministic mode", "without", "cost"],
        lambda found: [f"{found['on']:.0f}", f"{found['off']:.0f}", f"{found['cost']:.1%}"],
    ),
    "ablation": _section(
        "ablation",
        [f"gain by {name}" for name in PARTS.values()],  # times as fast as without
        lambda found: [_gain(found["gains"].get(part)) for part in PARTS],
    ),
    "checkpoint": _section(
        "checkpoint",
        ["seconds for a checkpoint", "share of an epoch's steps", "images in the epoch"],
        lambda found: [f"{found['seconds']:.2f}", f"{found['cost']:.2%}", str(found["epoch_images"])],
    ),
}
