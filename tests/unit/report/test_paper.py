"""The paper's printed numbers: read digit for digit, and refused where the files are not what they should be."""

from typing import Any

import pytest

from stages.core.errors import CorruptFileError, MissingFileError
from stages.report.logs import LogLine
from stages.report.paper import read_paper


def test_paper_reads_as_printed(project: Any) -> None:
    paper = read_paper()
    assert paper.epochs == 10
    assert paper.accuracy("I", "VGG19") == "83"
    assert paper.accuracy("I", "mine") is None
    assert paper.log("9").lines[4] == LogLine(90.25, 82.18, 2.93)
    assert (paper.log("9").test_accuracy, paper.log("9").steps) == (82.28, 1407)
    assert paper.report("8")["2"] == {"precision": 0.824, "recall": 0.702, "f1-score": 0.758, "support": 1000}
    assert paper.report("8")["accuracy"] == 0.823


def test_paper_files_that_are_not_right(project: Any) -> None:
    tables = project.folder / "data" / "paper" / "tables.csv"
    tables.write_text(tables.read_text().replace("99.1\n", "991\n", 1))
    with pytest.raises(CorruptFileError, match=r"tables.csv: accuracy 991"):
        read_paper()
    tables.write_text(tables.read_text().replace(",991\n", ",much\n", 1))
    with pytest.raises(CorruptFileError, match=r"tables.csv: accuracy 'much' in line 2; expected a number"):
        read_paper()
    tables.write_text("table,row\n")
    with pytest.raises(CorruptFileError, match="no column accuracy"):
        read_paper()
    tables.unlink()
    with pytest.raises(MissingFileError, match=r"tables.csv is missing"):
        read_paper()


def test_a_log_without_its_final_accuracy_is_refused(project: Any) -> None:
    finals = project.folder / "data" / "paper" / "finals.csv"
    finals.write_text("".join(line for line in finals.read_text().splitlines(True) if not line.startswith("9,")))
    with pytest.raises(CorruptFileError, match=r"finals.csv: no figure 9; expected"):
        read_paper()
