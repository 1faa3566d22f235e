"""Whether two numbers differ, and what differs behind them.

    python -m stages.audit compare IV "VGG16" "VGG16 with ADAM"               two rows of a table
    python -m stages.audit compare cifar10/vgg16 cifar10/resnet18             two cells
    python -m stages.audit compare IV "VGG16 with ADAM" --commit HEAD~3       a number as it was at a commit, and now
    python -m stages.audit compare IV VGG16 --budget quick --budget paper     a number of two budgets

In:  params.yaml, dvc.yaml, data/paper, the results of the budgets, git. No data, no weights, no network.
Out: text, or with --json the same as JSON: both accuracies, the second less the first in points with its interval, a
     paired test (the one that the book's page Compare shows), and what differs in parameters, code, data and machine:
     behind the lowest seed that both have, and what differs otherwise behind each further one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stages.audit.history import History
from stages.audit.options import echo_json
from stages.audit.pipeline import Stages
from stages.audit.questions import asked, with_results
from stages.config.schema import is_table
from stages.core.errors import MissingFileError, ParamError, StageError, few
from stages.core.files import parse_json
from stages.paper.reading import read_paper
from stages.records.evaluation import Evaluation, results_folder, seed_of
from stages.records.planned import params_of_pages
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import decimals, exact, fixed, signed
from stages.report.pairs import Pair, behind, compare_cells
from stages.report.rows import TableRow
from stages.stats.paired import McNemar

_SHORT = 48  # characters of a value in the text
_LEAST = 1e-300  # of a p that floating point still has
_MOST = 12  # keys of a part in the text


@dataclass(frozen=True)
class Side:
    """One of the two numbers: its row, its results, and where they are from."""

    row: TableRow
    results: CellResults
    budget: str
    commit: str | None = None

    @property
    def name(self) -> str:
        """What it is called in the text."""
        at = f" at {self.commit[:12]}" if self.commit else ""
        return f"{self.row.table}, {self.row.row} ({self.row.key}), budget {self.budget}{at}"

    @property
    def first(self) -> Evaluation:
        """The result of its lowest seed."""
        return self.results.results[0]

    def of_seed(self, seed: int | None) -> Evaluation:
        """The result of a seed; that of the lowest for None."""
        return self.first if seed is None else self.results.of_seeds([seed]).results[0]


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="TABLE ROW [TABLE] ROW | CELL CELL | TABLE ROW | CELL")
@click.option("--budget", "budgets", multiple=True, help="the budget; given twice, the number of both is compared")
@click.option("--commit", help="compare one number with what it was at this commit, as HEAD~3")
@click.option("--json", "as_json", is_flag=True, help="the same as JSON")
def main(words: tuple[str, ...], budgets: tuple[str, ...], commit: str | None, as_json: bool) -> None:
    """Compare two numbers: difference, interval, paired test, and what differs in the configuration behind them."""
    if len(budgets) > 2:
        raise ParamError("--budget", ", ".join(budgets), "one budget, or two to compare")
    if commit and len(budgets) > 1:
        raise ParamError("--commit", commit, "one budget beside it")
    if commit or len(budgets) > 1:
        first, second = _of_one(words, budgets, commit)
    else:
        first, second = (_side(one, budgets[0] if budgets else None) for one in _two(words))
    found = _content(first, second, compare_cells(first.results, second.results, first.row.confidence))
    if as_json:
        echo_json(found)
    else:
        click.echo("\n".join(_text(found, (first, second))))


def _two(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words of each of two numbers: CELL CELL, TABLE ROW ROW, or TABLE ROW TABLE ROW."""
    if len(words) == 2 and not is_table(words[0]):
        return [words[:1], words[1:]]
    if len(words) == 3:
        return [words[:2], (words[0], words[2])]
    if len(words) == 4:
        return [words[:2], words[2:]]
    allowed = "CELL CELL, TABLE ROW ROW or TABLE ROW TABLE ROW; of one number --commit, or --budget twice"
    raise ParamError("numbers", " ".join(words), allowed)


def _of_one(words: tuple[str, ...], budgets: Sequence[str], commit: str | None) -> tuple[Side, Side]:
    """One number at a commit and now, or of two budgets."""
    if len(words) > 2:
        raise ParamError("number", " ".join(words), "one number: TABLE ROW or CELL")
    if commit is None:
        one, other = (_side(words, budget) for budget in budgets)
        return one, other
    now = _side(words, budgets[0] if budgets else None)
    return _then(now, commit, History()), now


def _side(words: tuple[str, ...], budget: str | None) -> Side:
    params = params_of_pages(budget)
    name = budget or params.budget
    evidence = Evidence(params, name, {}, read_paper())
    row, stages = asked(evidence, words, for_results=True), Stages(name, params)
    cell = with_results(evidence, [row.key], stages).cells[str(row.key)]
    if not cell.has_run:
        seed = cell.planned[0] if cell.planned else 0
        raise MissingFileError(stages.result(row.key, seed), f"dvc repro {stages.evaluate(row.key, seed).name}")
    return Side(row, cell, name)


def _then(now: Side, name: str, history: History) -> Side:
    """A number as it was at a commit. Raises StageError where the commit, or the result in it, is not here."""
    commit = history.resolved(name)
    if commit is None:
        raise ParamError("--commit", name, "a commit of this clone (git log; in a shallow one, git fetch --unshallow)")
    key, cells = now.row.key, results_folder(now.budget)
    folder = (cells / key.dataset).as_posix()
    paths = [path for path in history.names(commit, folder) or () if seed_of(Path(path), cells, key) is not None]
    results = tuple(sorted((_read(history, commit, path) for path in paths), key=lambda result: result.seed))
    if not results:
        raise StageError(f"commit {commit} has no result of {key} in {folder}")
    cell = CellResults(key, tuple(result.seed for result in results), results)
    return Side(now.row, cell, now.budget, commit)


def _read(history: History, commit: str, path: str) -> Evaluation:
    where = f"{path} at {commit[:12]}"
    return Evaluation.parse(parse_json(history.content(commit, path) or b"", where, "evaluate"), where, "evaluate")


def _content(first: Side, second: Side, pair: Pair) -> dict[str, Any]:
    """The comparison as plain data; accuracies in percent, differences in points."""
    one, other = (side.of_seed(next(iter(pair.seeds), None)) for side in (first, second))
    test: dict[str, Any] | None = None
    if isinstance(pair.test, McNemar):
        test = {"name": "McNemar's exact test", **pair.test._asdict(), "images": one.test_images}
    elif pair.test:
        test = {"name": "exact test of all sign flips over the seeds", **pair.test._asdict()}
    return {
        "first": _number(first),
        "second": _number(second),
        "difference": exact(pair.difference),
        "seeds": list(pair.seeds),
        "interval": pair.interval and [exact(end) for end in pair.interval],
        "confidence": first.row.confidence,
        "test": test,
        "note": pair.note,
        **_behind(one, other),
        "further_seeds": {str(seed): _behind(first.of_seed(seed), second.of_seed(seed)) for seed in pair.seeds[1:]},
    }


def _behind(one: Evaluation, other: Evaluation) -> dict[str, Any]:
    """The commits of two trainings, whether they predict the same, and what differs behind them, by part and key."""
    parts = behind(one, other).items()
    return {
        "commits": [result.run.provenance.git.commit for result in (one, other)],
        "same_predictions": one.predictions == other.predictions,
        "differs": {part: {key: list(both) for key, both in found.items()} for part, found in parts},
    }


def _number(side: Side) -> dict[str, Any]:
    seeds = {str(result.seed): exact(result.percent) for result in side.results.results}
    return {
        "name": side.name,
        "table": side.row.table,
        "row": side.row.row,
        "cell": str(side.row.key),
        "budget": side.budget,
        "commit": side.commit,
        "mean": exact(side.results.mean),
        "n": len(seeds),
        "seeds": seeds,
    }


def _text(found: dict[str, Any], sides: tuple[Side, Side]) -> list[str]:
    places = min(decimals(side.first.test_images) for side in sides)
    lines = [
        f"{side.name}: {fixed(side.results.mean, decimals(side.first.test_images))} % (n = {len(side.results.results)})"
        for side in sides
    ]
    over = _over(found["seeds"], sides)
    lines += ["", f"difference  {signed(found['difference'], places)} points, the second less the first{over}"]
    if found["interval"]:
        low, high = (signed(end, places) for end in found["interval"])
        about = "other test images" if len(found["seeds"]) == 1 else "other seeds"
        lines.append(f"interval    {low} to {high} ({100 * found['confidence']:g} %, for {about})")
    if test := found["test"]:
        counted = ""
        if "images" in test:
            counted = f": only the first right {test['only_first']}, only the second {test['only_second']}"
            counted += f", of {test['images']} test images (seed {found['seeds'][0]})"
        lines.append(f"test        {test['name']}{counted}; p {_p(test['p'])}")
    if found["note"]:
        lines.append(f"note        {found['note']}")
    if found["same_predictions"]:
        of_seed = f" (seed {found['seeds'][0]})" if found["further_seeds"] else ""
        lines.append(f"note        both have the same predictions, image by image{of_seed}")
    if found["further_seeds"]:
        lines += ["", f"behind seed {found['seeds'][0]}:"]
    elif not found["seeds"]:
        one, other = (side.first.seed for side in sides)
        lines += ["", f"behind seed {one} of the first and seed {other} of the second:"]
    for part, keys in found["differs"].items():
        lines += ["", f"{part}: {'the same' if not keys else ''}".rstrip(), *_differing(part, keys)]
    lines += ["", f"commit: {_commits(found['commits'])}"]
    for seed, beside in found["further_seeds"].items():
        lines += ["", *_further(found["seeds"][0], seed, beside, found["differs"])]
    return lines


def _over(seeds: list[int], sides: tuple[Side, Side]) -> str:
    """Over which seeds a difference is, where that is not all that the means are over."""
    if not seeds or all(len(side.results.results) == len(seeds) for side in sides):
        return ""
    return f", over seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))} alone"


def _commits(commits: list[str]) -> str:
    one, other = commits
    return one if one == other else f"{one} -> {other}"


def _further(first: int, seed: str, beside: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    """What differs behind a further seed and not, or otherwise, behind the first."""
    parts = {
        part: {key: both for key, both in keys.items() if shown[part].get(key) != both}
        for part, keys in beside["differs"].items()
    }
    others = "other differences" if any(parts.values()) else "no other difference"
    lines = [f"behind seed {seed}, compared with seed {first}: {others}"]
    for part, keys in parts.items():
        lines += [f"{part}:", *_differing(part, keys)] if keys else []
    gone = [f"{part}, {key}" for part, keys in shown.items() for key in keys if key not in beside["differs"][part]]
    lines += [f"  the same here: {few(gone, _MOST)}"] if gone else []
    lines += ["  the same predictions, image by image"] if beside["same_predictions"] else []
    return [*lines, f"commit: {_commits(beside['commits'])}"]


def _differing(part: str, keys: dict[str, list[Any]]) -> list[str]:
    """A line for each key that differs; of code the module alone, since hashes say nothing to a reader."""
    lines = []
    for key, (one, other) in list(keys.items())[:_MOST]:
        if part == "code":
            where = "" if one and other else " (in the second alone)" if other else " (in the first alone)"
            lines.append(f"  {key}{where}")
        else:
            lines.append(f"  {key.removeprefix('cell.')}: {_shown(one)} -> {_shown(other)}")
    return lines + ([f"  and {len(keys) - _MOST} more (--json has all)"] if len(keys) > _MOST else [])


def _p(p: float) -> str:
    return f"= {p:.3g}" if p > _LEAST else f"< {_LEAST:g}"


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _SHORT else text[: _SHORT - 3] + "..."


if __name__ == "__main__":
    main()
