"""LaTeX that a paper takes in: every group closed, every row as wide as its table, nothing that TeX would read itself.

No LaTeX is run: the source is held to rules that are stricter than TeX's.
"""

import re
from typing import Any

import pytest

from stages.core.errors import StageError
from stages.report.latex import escaped, from_markdown, macro_name, numbers_tex, table_tex

KNOWN = {"begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "textbf", "texttt"}
KNOWN |= {"emph", "ensuremath", "pm", "dag", "ddag", "par", "footnotesize", "newcommand", "textgreater", "textless"}
KNOWN |= {"small", "setlength", "tabcolsep", "belowcaptionskip", "raggedright", "quad", "PackageError"}


def check(source: str) -> None:
    """Fail for a source that TeX may refuse, or read as something else than text."""
    assert source.isascii()
    assert source.endswith("\n")
    code = "\n".join(re.sub(r"(?<!\\)%.*", "", line) for line in source.splitlines())
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", code):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"\\begin\{(\w+)\}", code) == re.findall(r"\\end\{(\w+)\}", code)[::-1]
    code = re.sub(r"p\{0\.\d+\\linewidth\}", "p", code)
    text = re.sub(r"\\label\{[^}]*\}|\\newcommand\{[^}]*\}", "", code)
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= KNOWN
    assert re.findall(r"(?<!\\)[#$_^~]", text) == []
    for table in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", code, re.DOTALL):
        columns, body = table
        rows = [line for line in body.splitlines() if line.strip() and not line.strip().startswith("\\")]
        assert rows
        assert all(line.endswith("\\\\") for line in rows)
        assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {len(columns) - 1}


def macros(source: str) -> dict[str, tuple[str, str]]:
    """Value and comment of each macro."""
    found = [re.fullmatch(r"\\newcommand\{\\(.*?)\}\{(.*)\}% (.*)", line) for line in source.splitlines()[1:]]
    assert all(found)
    values = {match[1]: (match[2], match[3]) for match in found if match}
    assert len(values) == len(found)
    return values


@pytest.mark.parametrize("number", ["I", "II", "III", "IV", "V", "VI"])
def test_a_table_is_latex_that_can_be_set(filled: Any, number: Any) -> None:
    source = table_tex(filled.evidence(), number)
    check(source)
    assert source.count("\\\\\n") == 1 + len(filled.params.tables[number].rows) + source.count("\\quad as logged &")
    assert f"\\label{{tab:{number.lower()}}}" in source
    assert "These are not the paper's conditions" in source


def test_a_mean_of_several_seeds_has_its_deviation(project: Any) -> None:
    project.edit(lambda raw: raw.update(seeds=[0, 3]))
    source = table_tex(project.fill().evidence(), "I")
    check(source)
    assert source.count("\\ensuremath{\\pm} ") == 8
    found = macros(numbers_tex(project.evidence()))
    name = "QuickMnistVggOneSixAdam"
    right = [project.read("mnist/vgg16-adam", seed) for seed in (0, 3)]
    assert found[f"{name}Mean"][0] == f"{sum(one['correct'] for one in right) / 20:.1f}"
    assert found[f"{name}N"][0] == "2"
    assert f"{name}Std" in found
    assert f"{name}Low" not in found
    for one in right:
        run = one["run"]
        origin = f"MLflow run {run['mlflow']['run_id']}, commit {run['provenance']['git']['commit']}"
        assert f"seed {one['run']['seed']}: {run['stage']}, {origin}" in found[f"{name}Mean"][1]


def test_every_number_is_a_macro_and_what_is_not_run_stops_latex(filled: Any) -> None:
    filled.remove("mnist/vgg16")
    evidence = filled.evidence()
    source = numbers_tex(evidence)
    check(source)
    found = macros(source)
    assert {name for name in found if name.startswith("QuickMnistVggOneSix") and "See" not in name} >= {
        "QuickMnistVggOneSixMean",
        "QuickMnistVggOneSixPrinted",
    }
    stops = "\\PackageError{numbers.tex}{mnist/vgg16 has no result at budget quick}{Run it, or leave it out.}"
    assert found["QuickMnistVggOneSixMean"] == (stops + "\\textbf{??}", "Table I, VGG16; not run")
    assert "QuickMnistVggOneSixDifference" not in found
    planned = {str(key) for key in filled.params.cell_keys()}
    assert sum(name.endswith("Mean") for name in found) == len(planned)


def test_marks_are_explained_below_the_table(filled: Any) -> None:
    filled.change("mnist/vgg16", at_chance=True)
    source = table_tex(filled.evidence(), "I")
    check(source)
    assert re.search(r"VGG16 & 99\.1 & \d+\.\d \\ddag\{\} &", source)
    assert "\\par\\footnotesize \\ddag{} At chance" in source


def test_two_cells_of_one_name_are_refused(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.report.latex.macro_name", lambda *words: "Same")
    with pytest.raises(StageError, match=r"its macro \\Same is another cell's too"):
        numbers_tex(filled.evidence())


def test_what_tex_would_read_is_escaped() -> None:
    assert escaped("a_b & 5 % of $x$ #1 {y} ~ ^ \\") == (
        r"a\_b \& 5 \% of \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert from_markdown("**a_b** is `c_d`, *e*: 1 &lt; 2 \\| −3") == (
        r"\textbf{a\_b} is \texttt{c\_d}, \emph{e}: 1 \textless{} 2 \textbar{} \ensuremath{-}3"
    )
    assert macro_name("quick", "cifar10", "vgg16-lr1e-2") == "QuickCifarOneZeroVggOneSixLrOneETwo"
