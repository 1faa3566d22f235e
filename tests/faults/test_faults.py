"""The short form: what is thrown within one process. `make faults` throws the rest, too."""

import re
from pathlib import Path

import pytest

from tests.faults.__main__ import table
from tests.faults.outcome import Outcome, check, in_child
from tests.faults.throwing import KINDS, LONGEST_FIRST, jobs_of, throw


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["downloads", "configuration", "files"])
def test_nothing_is_lost(kind: str) -> None:
    outcomes = throw([kind], seed=1, amount=0.06)
    assert sum(one.tried for one in outcomes) >= 30
    assert [why for one in outcomes for why in one.lost] == []


def test_a_loss_is_told_with_its_reason() -> None:
    outcome = Outcome("kind", "fault")
    for what in (True, False):
        with outcome.trial(f"{what}"):
            check(what, "it is not so")
    with outcome.trial("child"):
        in_child(lambda: 1 / 0)
    assert (outcome.tried, outcome.survived) == (3, 1)
    assert "it is not so" in outcome.lost[0]
    assert "ZeroDivisionError" in outcome.lost[1]
    assert table([outcome]).endswith("| kind | fault | 3 | 1 | 2 |")


def test_no_fault_names_a_device_of_this_machine() -> None:
    """Run as root, a stage that is made to write to /dev/full would replace it; a folder of the trial stands for it."""
    folder = Path(__file__).parent
    named = [path.name for path in folder.glob("*.py") if path != Path(__file__) and "/dev/" in path.read_text()]
    assert named == []


def test_every_kind_is_there() -> None:
    folder = Path(__file__).parent
    assert all((folder / f"{kind}.py").is_file() for kind in KINDS)
    assert set(LONGEST_FIRST) <= {(kind, name) for kind in KINDS for name in jobs_of(kind)}
    assert re.search(r"python -m tests\.faults", (folder.parents[1] / "Makefile").read_text(encoding="utf-8"))
