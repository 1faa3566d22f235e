"""Two numbers held against each other: the difference, its interval, a paired test, and what differs behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stages.core.files import flatten
from stages.records.evaluation import Evaluation
from stages.report.evidence import CellResults
from stages.stats.intervals import FEWEST_SEEDS, Interval, student
from stages.stats.paired import McNemar, SignFlip, mcnemar, paired_interval, sign_flip

OTHER_IMAGES = "not tested on the same images, so that no paired test is possible"
NO_COMMON_SEED = "no seed in common, so that no paired test is possible"
TWO_SEEDS = "two seeds do not tell how seeds spread"


@dataclass(frozen=True)
class Pair:
    """The second number less the first, in points, over the `seeds` that both have; over all, where they have none.

    `interval` is of the difference. `test` is McNemar's on the test images of one shared seed, all sign flips over
    several; None, with the reason in `note`, where there is none.
    """

    difference: float
    seeds: tuple[int, ...]
    interval: Interval | None
    test: McNemar | SignFlip | None
    note: str = ""


def compare_cells(first: CellResults, second: CellResults, confidence: float) -> Pair:
    """Compare two cells with results, or one cell's results of two budgets or commits."""
    seeds = tuple(sorted({*first.seeds} & {*second.seeds}))
    if not seeds:
        return Pair((second.mean or 0.0) - (first.mean or 0.0), (), None, None, NO_COMMON_SEED)
    pairs = list(zip(first.of_seeds(seeds).results, second.of_seeds(seeds).results, strict=True))
    differences = [other.percent - one.percent for one, other in pairs]
    mean = sum(differences) / len(differences)
    if len(seeds) > 1:
        note = "" if len(seeds) >= FEWEST_SEEDS else TWO_SEEDS
        return Pair(mean, seeds, student(differences, confidence), sign_flip(differences), note)
    [(one, other)] = pairs
    if one.labels != other.labels or one.dataset != other.dataset:
        return Pair(mean, seeds, None, None, OTHER_IMAGES)
    found = mcnemar(one.right, other.right)
    low, high = paired_interval(found.only_first, found.only_second, one.test_images, confidence)
    return Pair(mean, seeds, Interval(100 * low, 100 * high), found)


def behind(first: Evaluation, second: Evaluation) -> dict[str, dict[str, tuple[Any, Any]]]:
    """What differs behind two results: by `parameters`, `code`, `data` and `machine`, each key with both values.

    A value that one of them does not have is None there. The seed is no parameter, nor is the time of a run.
    """
    sides = [_parts(one) for one in (first, second)]
    return {name: _differing(sides[0][name], sides[1][name]) for name in sides[0]}


def _parts(result: Evaluation) -> dict[str, dict[str, Any]]:
    run = result.run
    parameters = {**run.config.model_dump(mode="json"), "testing": result.testing.model_dump(mode="json")}
    parameters.pop("seed")
    modules = {**run.provenance.code.modules, **result.provenance.code.modules}
    machine = {
        "training": {"numerics": run.numerics.model_dump(mode="json"), **run.provenance.environment.model_dump()},
        "testing": {"numerics": result.numerics.model_dump(mode="json"), **result.provenance.environment.model_dump()},
    }
    return {
        "parameters": flatten(parameters),
        "code": modules,
        "data": flatten(run.data.content()),
        "machine": flatten(machine),
    }


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*one, *(name for name in other if name not in one)]
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}
