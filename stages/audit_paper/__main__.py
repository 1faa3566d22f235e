"""Stage: the paper's printed numbers against each other -> a page of what does not add up.

    python -m stages.audit_paper --out reports/paper_audit.md

In:  data/paper/*.csv, params.yaml (`tables`, `figures`, `datasets`: what each table and figure is of; `claims`: the
     thresholds that both the paper's numbers and ours are judged by).
Out: the page. Nothing that was trained here has a part in it.
"""

import stages.core.environment  # noqa: F401  # isort: skip

from pathlib import Path

import click

from stages.config.loading import load_params
from stages.core.files import write_text
from stages.core.progress import say


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="the page to write")
def main(out: Path) -> None:
    """Find what does not add up in the paper's printed numbers."""
    params = load_params()
    from stages.audit_paper.page import paper_audit_page
    from stages.audit_paper.rules import findings
    from stages.paper.reading import read_paper

    found = findings(read_paper(), params)
    write_text(out, paper_audit_page(found))
    say(f"the paper's printed numbers: {len(found)} findings in {out}")


if __name__ == "__main__":
    main()
