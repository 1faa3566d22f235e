"""`tables.md`: all tables, the assumption ledger, the studies, and the way to everything else."""

from stages.config.schema import DATASETS
from stages.report.captions import done_sentence
from stages.report.evidence import Evidence
from stages.report.gallery import cost_points
from stages.report.printed_curves import NAME, printed_panels
from stages.report.render import RenderedText, markdown
from stages.report.started import attempts_sentence
from stages.report.studies import Comparison
from stages.report.tables import cost_name, table_content


def overview_page(evidence: Evidence, comparisons: list[Comparison], figures: str, studies: str) -> RenderedText:
    """The whole page. `figures` and `studies` are the ways to their folders."""
    by_name = {comparison.name: comparison for comparison in comparisons}
    return markdown(
        "tables",
        budget=evidence.budget_name,
        done_sentence=done_sentence(evidence.cells.values()),
        attempts_sentence=attempts_sentence(evidence),
        tables=[table_content(evidence, number) for number in evidence.params.shown_tables],
        assumptions=evidence.params.assumptions,
        studies=[
            {"name": name, "question": study.question, "assumption": study.assumption, "comparison": by_name.get(name)}
            for name, study in evidence.params.studies.items()
        ],
        has_panels=bool(printed_panels(evidence)),
        curves=NAME,
        datasets=[(dataset, evidence.params.datasets.of(dataset).title) for dataset in DATASETS],
        costs=[(evidence.dataset(dataset).title, cost_name(dataset)) for dataset in cost_points(evidence)],
        ways={"figures": figures, "studies": studies},
    )
