"""A paper whose numbers are all rounded from one count has nothing to be found, whatever the numbers are."""

from collections.abc import Callable

import pytest

from stages.audit_paper.page import paper_audit_page
from stages.audit_paper.rules import findings
from stages.config.params import Params
from stages.paper.schema import Paper


@pytest.mark.parametrize("seed", range(25))
def test_a_clean_paper_has_no_findings(clean: Callable[[int], Paper], params: Params, seed: int) -> None:
    assert findings(clean(seed), params) == []


def test_a_table_that_params_does_not_have_is_not_audited(paper: Paper, params: Params) -> None:
    fewer = params.model_copy(update={"tables": {"I": params.tables["I"]}})
    assert {each.rule for each in findings(paper, fewer)} <= {"claim-without-row"}


def test_the_page_of_a_clean_paper_says_so() -> None:
    page = paper_audit_page([])
    assert "No findings in what the paper prints.\n" in page
    assert "## Certain" not in page
    assert "| `outlier` | 0 |" in page
