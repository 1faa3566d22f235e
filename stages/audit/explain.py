"""Where one number comes from: its configuration, what that rests on, and the chain from the raw data to the table.

    python -m stages.audit explain IV "VGG16 with ADAM"      by table and row (a study's name and cell too)
    python -m stages.audit explain cifar10/vgg16-adam        by cell
    python -m stages.audit explain 82.3                      by a value as printed, the paper's or ours
    python -m stages.audit explain cifar10/vgg16-adam --difference training     what was not committed, as a patch

In:  params.yaml, dvc.yaml, dvc.lock, data/paper, the reports of the budget, git: what a fresh clone holds. No data, no
     weights, no network.
Out: text, or with --json the same as JSON. What is recorded is shown and held against the other places where it is
     recorded; that the files themselves have these hashes is for `verify` to prove.
"""

from typing import Any

import click

from stages.audit.options import budget_option, echo_json
from stages.core.errors import StageError, printable
from stages.core.imports import without_collection
from stages.records.dvc_lock import Lock
from stages.records.planned import params_of_pages


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="TABLE ROW | CELL | VALUE")
@budget_option
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="which training to show; by default the first seed's")
@click.option("--json", "as_json", is_flag=True, help="the same as JSON")
@click.option(
    "--difference",
    type=click.Choice(["training", "evaluation"]),
    help="print nothing but what was not committed when it ran, new files too, as a patch to its commit",
)
def main(words: tuple[str, ...], budget: str | None, seed: int | None, as_json: bool, difference: str | None) -> None:
    """Explain a number: which configuration, assumptions, data, code and machine made it, and how to make it again."""
    lock = Lock()
    params = params_of_pages(budget, lock)
    with without_collection():
        from stages.audit.answer import answer
        from stages.audit.pipeline import Stages
        from stages.audit.questions import asked, is_value, of_value, with_results
        from stages.audit.text import explanation, matches
        from stages.paper.reading import read_paper
        from stages.report.evidence import Evidence

    evidence = Evidence(params, budget or params.budget, {}, read_paper())
    stages = Stages(evidence.budget_name, params)
    by_value = len(words) == 1 and is_value(words[0])
    found = of_value(with_results(evidence, params.cell_keys(), stages), words[0]) if by_value else {}
    if len(found) > 1:
        listed = [{"table": number.table, "row": number.row, "printed": whose} for number, whose in found.items()]
        if as_json:
            echo_json({"value": words[0], "numbers": listed})
        else:
            click.echo(matches(words[0], found, evidence))
        return
    number = next(iter(found), None) or asked(evidence, words)
    explained = answer(evidence, number, seed, stages, lock)
    if difference:
        click.echo(_patch(explained["code"][difference], difference), nl=False)
    elif as_json:
        echo_json(explained)
    else:
        click.echo(explanation(on_one_line(explained)))


def _patch(code: dict[str, Any], step: str) -> str:
    if code["difference"] is None:
        raise StageError(f"nothing to print: all sources were committed when the {step} ran ({code['commit'][:12]})")
    return code["difference"]


def on_one_line(tree: Any) -> Any:
    """The same with every text on one line: what a record holds must not look like a line of ours."""
    if isinstance(tree, dict):
        return {on_one_line(name): on_one_line(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [on_one_line(value) for value in tree]
    return printable(tree) if isinstance(tree, str) else tree


if __name__ == "__main__":
    main()
