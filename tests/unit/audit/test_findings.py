"""The parts of `verify` that need no finished project; tests/pipeline/test_verify.py has the whole."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.audit import rerun
from stages.audit.compare import ExpectedPage, PageFindings, compare, owners
from stages.audit.disk import Disk
from stages.audit.findings import (
    Finding,
    agrees,
    broken,
    differences,
    invalid,
    judged,
    levels,
    missing,
    note,
    page_differs,
    passed,
    status,
)
from stages.audit.numbers import Number, planned
from stages.audit.recount import chosen_indices, first_difference
from stages.audit.rerun import differing
from stages.audit.results import read_loosely
from stages.audit.verify import CheckedNumber, exit_status, print_checked
from stages.audit.witnesses import check_artifact
from stages.config.cells import CellKey
from stages.config.params import Params
from stages.core.errors import ContradictionError, CorruptFileError, ParamError
from stages.core.files import json_text
from stages.engine.images import evenly_spread
from stages.evaluate.prediction import LabelledPredictions
from stages.records.digits import digits
from stages.records.evaluation import File, PredictionHashes, logits_path
from stages.records.lineage import Artifact, Witness
from stages.records.provenance import hash_dependency
from stages.report.levels import LEVELS, following, highest
from stages.report.render import RenderedText as Rendered
from stages.report.render import about
from tests.shipped import shipped_params
from tests.unit.report.conftest import _tested, environment, npy, numerics, scored, synthetic

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def params() -> Params:
    return shipped_params().model_copy(update={"seeds": [0, 1]})


# Findings


def test_what_is_broken_outweighs_what_is_missing_and_a_note_weighs_nothing() -> None:
    gone, wrong, near, known = missing("a", "b"), broken("a", 1, 2), agrees("d"), note("c")
    asked = LEVELS[:3]
    shown = passed("predicted", "the same bytes")
    all_found = ([shown], [near, known], [near, gone], [known], [gone, wrong, shown])
    all_found = ([shown], [near, known], [near, gone], [known], [gone, wrong, shown])
    assert [status(found, asked) for found in all_found] == ["holds", "agrees", "incomplete", "incomplete", "broken"]


@pytest.mark.parametrize(
    ("findings", "reached", "level", "next_level"),
    [
        ([], ["consistent", "recounted"], "recounted", "predicted"),
        ([missing("logits", "git", "recounted")], ["consistent"], "consistent", "recounted"),
        ([missing("commit", "git fetch")], ["recounted"], None, "consistent"),
        ([missing("weights", "dvc pull", "predicted")], ["consistent", "recounted"], "recounted", "predicted"),
        ([passed("derived", "same")], ["consistent", "recounted", "derived"], "recounted", "predicted"),
        (
            [passed("derived", "same"), passed("predicted", "same")],
            ["consistent", "recounted", "predicted", "derived"],
            "derived",
            "retrained",
        ),
        ([passed(level, "same") for level in LEVELS[2:]], [*LEVELS], "retrained", None),
        ([agrees("near")], ["consistent", "recounted"], "recounted", "predicted"),
        ([broken("a", 1, 2), passed("predicted", "same")], [], None, "consistent"),
    ],
)
def test_a_level_is_reached_with_all_before_it(
    findings: list[Finding], reached: list[str], level: str | None, next_level: str | None
) -> None:
    assert levels(findings) == reached
    assert highest(levels(findings)) == level
    assert following(highest(levels(findings))) == next_level


def test_a_number_is_said_by_its_level_and_by_what_it_passed_out_of_turn() -> None:
    number = Number("I", "row", CellKey("cells", "mnist", "c"), 0)
    derived = CheckedNumber(number, 12.5, [passed("derived", "same")])
    assert (derived.status, derived.level, derived.word) == ("holds", "recounted", "recounted, derived")
    asked = derived._replace(asked=LEVELS[:3])
    assert (asked.status, asked.word, exit_status([asked], [])) == ("incomplete", "incomplete", 3)
    assert exit_status([derived], []) == 0
    not_run = CheckedNumber(number, None, [missing("result", "dvc repro")], has_run=False)
    assert (not_run.word, not_run.level) == ("not run", None)
    assert (exit_status([derived, not_run], []), exit_status([not_run], [])) == (0, 3)
    assert exit_status([derived, not_run], [broken("page", 1, 2)]) == 1


def test_a_contradiction_is_one_sentence_and_nothing_in_it_is_expected() -> None:
    said = invalid("result.json", "correct says 410, the confusion matrix counts 100")
    assert str(said) == "result.json: correct says 410, the confusion matrix counts 100"
    assert (said.kind, said.held_against) == ("broken", "")


def test_what_a_place_says_is_held_against_what_another_says_and_neither_is_expected() -> None:
    """Either may be the forged one: `verify --json` and its lines must not call it what is expected."""
    found = [
        broken("result.json, run.sha256", FALSE, f"{FALSE[::-1]} (dvc.lock, train)"),
        page_differs("table_2.md, line 7", "99.9", "12.5"),
        invalid("result.json", "correct says 410, the confusion matrix counts 100"),
        missing("data/raw/mnist", "dvc pull"),
        *judged("result.json", refusing(CorruptFileError("a.npy", "a FIFO", "a regular file"))),
        *judged("result.json", refusing(ContradictionError("b.json", "accuracy says 1.0", "12 correct make 0.1"))),
        *judged("result.json", refusing(OverflowError("too large"))),
    ]
    assert [str(one) for one in found] == [
        f"result.json, run.sha256: found {FALSE}; held against {FALSE[::-1]} (dvc.lock, train)",
        "table_2.md, line 7: the page has 99.9; its results give 12.5",
        "result.json: correct says 410, the confusion matrix counts 100",
        "data/raw/mnist is not here: dvc pull",
        "a.npy: found a FIFO; held against a regular file",
        "b.json: accuracy says 1.0, 12 correct make 0.1",
        "result.json: it cannot be judged: OverflowError (too large)",
    ]
    assert "expected" not in json.dumps([one._asdict() for one in found])


def refusing(error: Exception) -> Iterator[Finding]:
    """A check that ends with an error."""
    yield from ()
    raise error


def test_differences_name_key_and_what_both_places_say() -> None:
    found = {"a": {"b": 1, "c": [1, 2], "d": {}}, "new": None, "same": 0.5}
    expected = {"a": {"b": 2, "c": [1, 2], "d": {"e": 1}}, "old": True, "same": 0.5}
    assert [(one.where, one.found, one.held_against) for one in differences("f", found, expected, "said")] == [
        ("f, a.b", "1", "2 (said)"),
        ("f, a.d.e", "nothing", "1 (said)"),
        ("f, old", "nothing", "True (said)"),
        ("f, a.d", "{}", "nothing (said)"),
        ("f, new", "None", "nothing (said)"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "exact", "same"),
    [
        (0.1 + 0.2, 0.3, True, False),
        (0.1 + 0.2, 0.3, False, True),
        (0.872, 0.873, False, False),
        (1, True, False, False),
        (1, 1.0, True, False),
        (None, None, True, True),
    ],
)
def test_floats_alone_have_a_tolerance(one: Any, other: Any, exact: bool, same: bool) -> None:
    assert (differences("f", one, other, "said", exact=exact) == []) is same


# Witnesses


def found_of(tmp_path: Path, *hashes: str, content: bytes | None = None) -> list[Finding]:
    """What is said of a file with such md5s in so many places, and these bytes."""
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    witnesses = tuple(Witness(f"place{number}", "key", found) for number, found in enumerate(hashes))
    artifact = Artifact("number", "result", str(file), "md5", witnesses)
    return [one for one in check_artifact(artifact, Disk()) if one.kind == "broken"]


FALSE = "f" * 32


def test_the_false_witness_is_accused_and_not_the_true_ones(tmp_path: Path) -> None:
    true = hashlib.md5(b"bytes", usedforsecurity=False).hexdigest()
    (said,) = found_of(tmp_path, FALSE, true, content=b"bytes")
    assert (said.where, said.found, said.held_against) == ("place0, key", FALSE, f"{true} (place1, key)")
    (said,) = found_of(tmp_path, FALSE, true, true)
    assert (said.where, said.found) == ("place0, key", FALSE)
    accused = found_of(tmp_path, true, true, content=b"other bytes")
    assert {said.where for said in accused} == {str(tmp_path / "file")}


def test_where_there_is_no_majority_that_is_said(tmp_path: Path) -> None:
    (said,) = found_of(tmp_path, FALSE, "e" * 32)
    assert said.held_against == f"{FALSE} (place0, key); no majority tells which"
    (said,) = found_of(tmp_path, FALSE, content=b"bytes")
    assert said.held_against.endswith("no majority tells which")


# Pages


@pytest.mark.parametrize(
    ("mark", "cells"),
    [
        (about("mnist/vgg16"), ["mnist/vgg16", "mnist/vgg16"]),  # of two seeds, which share the row
        (about("cifar10/vgg16", 1), ["cifar10/vgg16"]),
        (about("cifar10/resnet18-lr1e-2-sgd", 0), ["cifar10/resnet18-lr1e-2-sgd"]),
        (about("mnist/not-planned"), []),
        ("", []),
    ],
)
def test_a_line_of_a_page_belongs_to_the_number_that_its_template_names(
    params: Params, mark: str, cells: list[str]
) -> None:
    text = f"# Table I\n\n{mark}| VGG16 | 99 | 12.0 |\n\nVGG16"
    page = ExpectedPage(Path("table_1.md"), Rendered.of(text), "I", "aggregate-tables@quick")
    found = [[str(owner.key) for owner in line] for line in owners(page, planned(params))]
    assert found == [[], [], cells, [], []]
    assert page.expected == text.replace(mark, "")


PAGE = Rendered.of(
    f"# Table I: VGG\n\nText.\n\n{about('mnist/vgg16')}| VGG16 | 99 | 12.0 |\n"
    f"{about('mnist/vgg11')}| VGG11 | 99 | 13.0 |\n\nMore.\nEnd.\n"
)


@pytest.mark.parametrize(
    ("found", "of_numbers", "of_pages"),
    [
        (PAGE, [], []),
        (PAGE.replace("12.0", "99.0"), ["mnist/vgg16", "mnist/vgg16"], []),  # of two seeds, which share the row
        (PAGE.replace("Text.", "Text.\nInserted."), [], ["'Inserted.'"]),
        (PAGE.replace("| VGG11 | 99 | 13.0 |\n", ""), ["mnist/vgg11", "mnist/vgg11"], []),
        (PAGE + "| VGG16 | 99 | 99.0 |\n", ["mnist/vgg16"] * 2, []),  # inserted, with the label of the number
        (PAGE + "| VGG13 | 99 | 12.0 |\n", [], ["'| VGG13 | 99 | 12.0 |'"]),  # inserted, of no number
        (PAGE.replace("12.0 |\n", "12.0 |\n| VGG16 | 71 | 99.99 | close |\n"), ["mnist/vgg16"] * 2, []),
        (PAGE.replace("More.\nEnd.", "Less.\nStart."), [], ["'Less.'"]),
        (PAGE.replace("\n", "\r\n"), [], ["other line ends"]),
        ("", ["mnist/vgg16"] * 2 + ["mnist/vgg11"] * 2, ["no such line"]),
    ],
)
def test_a_page_that_differs_says_where_and_of_which_number(
    params: Params, found: str, of_numbers: list[str], of_pages: list[str]
) -> None:
    printed = PageFindings(planned(params))
    compare(ExpectedPage(Path("table_1.md"), PAGE, "I", "aggregate-tables@quick"), found, printed)
    assert [str(number.key) for number in printed.of_numbers] == of_numbers
    assert [finding.found for finding in printed.of_pages] == of_pages
    assert all("; its results give " in str(finding) for finding in printed.of_pages)


def test_the_lines_of_a_page_that_are_not_listed_have_a_command(params: Params) -> None:
    printed = PageFindings(planned(params))
    found = PAGE.replace("More.\nEnd.", "Less.\nStart.")
    compare(ExpectedPage(Path("table_1.md"), PAGE, "I", "aggregate-tables@quick"), found, printed)
    (finding,) = printed.of_pages
    command = "dvc repro --single-item aggregate-tables@quick, then git diff table_1.md"
    assert str(finding).endswith(f"its results give 'More.' (1 more lines differ; all are shown by: {command})")


def test_a_row_that_is_not_there_is_said_of_page_and_results(params: Params) -> None:
    printed = PageFindings(planned(params))
    page = ExpectedPage(Path("table_1.csv"), "row,mean\nVGG16,12.0\nVGG11,13.0\n", "I", "aggregate-tables@quick")
    compare(page, "row,mean\nVGG16,12.0\n", printed)
    (finding,) = {finding for findings in printed.of_numbers.values() for finding in findings}
    assert str(finding) == "table_1.csv, VGG11: the page has no such row; its results give one"


def test_a_csv_file_that_differs_names_row_and_column(params: Params) -> None:
    expected = "row,mean,stages\nVGG16,12.0,a;b\nVGG11,13.0,c;d\n"
    page = ExpectedPage(Path("table_1.csv"), expected, "I", "aggregate-tables@quick")
    printed = PageFindings(planned(params))
    compare(page, expected.replace("13.0", "99.9"), printed)
    assert {str(number.key) for number in printed.of_numbers} == {"mnist/vgg11"}
    (finding,) = {finding for findings in printed.of_numbers.values() for finding in findings}
    assert str(finding) == "table_1.csv, VGG11, mean: the page has '99.9'; its results give '13.0'"
    printed = PageFindings(planned(params))
    compare(page, expected.replace("VGG16,12.0,a;b\n", "VGG16,99.9,a;b\nVGG16,12.0,a;b\n"), printed)
    (finding,) = {finding for findings in printed.of_numbers.values() for finding in findings}
    assert str(finding) == "table_1.csv, VGG16: the page has the row 2 times; its results give it once"
    printed = PageFindings(planned(params))
    compare(page, expected.replace("13.0", "99.9") + "VGG99,1.0,e\n", printed)  # edited, and one appended
    assert {str(number.key) for number in printed.of_numbers} == {"mnist/vgg11"}
    (finding,) = printed.of_pages
    assert str(finding) == "table_1.csv, VGG99: the page has 'VGG99,1.0,e'; its results give no such row"
    printed = PageFindings(planned(params))
    compare(page, "row,mean,stages\nVGG11,13.0,c;d\nVGG16,12.0,a;b\n", printed)  # no row differs, their order does
    assert printed.of_pages


def test_rows_that_their_key_does_not_tell_apart_are_compared_as_lines(params: Params) -> None:
    expected = "table,row,seed,epoch,accuracy\nI,VGG16,0,1,0.5\nI,VGG16,0,2,0.6\n"
    page, printed = (
        ExpectedPage(Path("curves.csv"), expected, None, "aggregate-tables@quick"),
        PageFindings(planned(params)),
    )
    compare(page, expected.replace("0.5", "0.9"), printed)
    said = [*printed.of_pages, *(finding for findings in printed.of_numbers.values() for finding in findings)]
    assert [str(one) for one in said] == [
        "curves.csv, line 2: the page has 'I,VGG16,0,1,0.9'; its results give 'I,VGG16,0,1,0.5'"
    ]


def test_an_entry_that_was_appended_to_an_edited_ledger_is_named(params: Params) -> None:
    def ledger(**means: float) -> str:
        numbers = [{"table": "I", "row": row, "mean": mean, "seeds": []} for row, mean in means.items()]
        return json.dumps({"numbers": numbers})

    page = ExpectedPage(Path("ledger.json"), ledger(VGG16=12.0), None, "aggregate-tables@quick")
    printed = PageFindings(planned(params))
    compare(page, ledger(VGG16=99.0, VGG99=1.0), printed)
    assert {str(number.key) for number in printed.of_numbers} == {"mnist/vgg16"}
    (finding,) = printed.of_pages
    assert str(finding) == "ledger.json, I, VGG99: the page has an entry; its results give no such entry"


BOOK = Rendered.of(
    f"""<section class="page" id="/" data-title="Tables">
two numbers
{about("mnist/vgg16")}<section class="page number" id="/I/vgg16" data-title="VGG16">
<section class="block" aria-label="Curve">
a curve
</section>{about("cifar10/resnet18-lr1e-2-sgd")}<section class="page number" id="/cifar10/resnet18-lr1e-2-sgd">
a study's
</section>{about()}<section class="page" id="/studies" data-title="Studies">
all studies
""",
    lasting=True,
)


def test_a_line_of_the_book_belongs_to_the_number_whose_section_it_is_in(params: Params) -> None:
    page = ExpectedPage(Path("index.html"), BOOK, None, "aggregate-tables@quick")
    found = owners(page, [number for number in planned(params) if number.seed == 0])
    vgg, study = ["mnist/vgg16"], ["cifar10/resnet18-lr1e-2-sgd"]
    assert [[str(owner.key) for owner in line] for line in found] == [[], [], vgg, vgg, vgg, study, study, [], []]


@pytest.mark.parametrize(
    ("found", "of_numbers", "of_pages"),
    [
        (BOOK, [], []),
        (BOOK.replace("a curve", "another curve"), ["mnist/vgg16"] * 2, []),
        (BOOK.replace("two numbers", "three"), [], ["'three'"]),
        (BOOK + "more\n", [], ["'more'"]),
        ("", ["mnist/vgg16"] * 6 + ["cifar10/resnet18-lr1e-2-sgd"] * 4, ["no such line"]),
    ],
)
def test_a_book_that_differs_says_where_and_of_which_number(
    params: Params, found: str, of_numbers: list[str], of_pages: list[str]
) -> None:
    printed = PageFindings(planned(params))
    compare(ExpectedPage(Path("index.html"), BOOK, None, "aggregate-tables@quick"), found, printed)
    owners = [str(number.key) for number, findings in printed.of_numbers.items() for _ in findings]
    assert sorted(owners) == sorted(of_numbers)
    assert [finding.found for finding in printed.of_pages] == of_pages


def test_of_two_long_lines_the_difference_is_shown(params: Params) -> None:
    printed = PageFindings(planned(params))
    expected = "x" * 1000 + "right" + "y" * 1000
    compare(
        ExpectedPage(Path("index.html"), expected, None, "aggregate-tables@quick"),
        expected.replace("right", "wrong"),
        printed,
    )
    (finding,) = printed.of_pages
    assert finding.found.startswith(f"... '{'x' * 40}wrong")
    assert finding.held_against.startswith(f"... '{'x' * 40}right")


# Files


def test_hashes_are_those_of_the_bytes_even_when_size_and_time_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    for name in ("a", "in/b", ".x.json"):
        (folder / name).write_text(name)
    disk = Disk()
    disk.prefetch([folder])
    assert disk.tree(folder) == hash_dependency(folder)
    assert disk.tree(tmp_path / "none") is None
    times = (folder / "a").stat()
    (folder / "a").write_text("A")
    os.utime(folder / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Disk().tree(folder) == hash_dependency(folder) != disk.tree(folder)


@pytest.mark.parametrize(
    ("content", "where", "found"),
    [
        ("{", "result.json", "not JSON"),
        ("{}", "result.json", "no stage"),
        ("[]", "result.json", "a list"),
        ('{"stage": NaN}', "result.json", "NaN is not finite"),
    ],
)
def test_a_file_that_is_no_result_is_broken_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, where: str, found: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("result.json").write_text(content)
    result, (said,) = read_loosely(Path("result.json"), "evaluate-mnist@quick-vgg16-0")
    assert result is None
    assert said.where == where
    assert found in said.found


NONE = "0" * 64


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda result: result["run"].update(budget="paper"), ["result.json, run.binding"]),
        (lambda result: result["run"]["config"]["cell"].update(lr=0.5), ["result.json, run.binding"]),
        (
            lambda result: result["run"]["sha256"].update({"weights.safetensors": "0" * 64}),
            ["result.json, run.binding"],
        ),
        (lambda result: result["run"]["data"]["sha256"].update(train_images=NONE), ["result.json, run.binding"]),
        (lambda result: result["run"].update(binding=NONE), ["result.json, run.binding", "result.json, binding"]),
        (lambda result: result.update(predictions=result["labels"]), ["result.json, binding"]),
        (lambda result: result["sha256"].update({"logits.npy": NONE}), ["result.json, binding"]),
        (lambda result: result["provenance"]["code"].update(sha256=NONE), ["result.json, binding"]),
        (lambda result: result.update(loss=9.0), []),  # does not bind; it is computed again
    ],
)
def test_parts_that_do_not_belong_together_are_said_in_words_and_the_rest_is_read(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, where: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = synthetic(params, "quick", CellKey("cells", "mnist", "vgg16"), 0).content()
    change(content)
    Path("result.json").write_text(json_text(content))
    result, said = read_loosely(Path("result.json"), "evaluate-mnist@quick-vgg16-0")
    assert result is not None
    assert [finding.where for finding in said] == where
    assert all("the one hash over " in finding.held_against for finding in said)


def test_a_key_that_stands_twice_is_seen(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = synthetic(params, "quick", CellKey("cells", "mnist", "vgg16"), 0).text()
    Path("result.json").write_text(text.replace('{\n "schema"', '{\n "loss": 0.0,\n "schema"', 1))
    _, (said,) = read_loosely(Path("result.json"), "evaluate-mnist@quick-vgg16-0")
    assert said.found == "not JSON (key 'loss' stands twice)"


def test_the_first_line_that_differs_is_shown() -> None:
    assert first_difference("a\nb\n", "a\nc\n") == ("line 2 'b'", "'c'")
    assert first_difference("a\n", "a\nc\n") == ("line 2 ''", "'c'")
    assert first_difference("a", "a\n") == ("other line ends", "those that were written")


@pytest.mark.parametrize(("total", "count"), [(10000, 500), (10000, 10000), (7, 3)])
def test_the_tested_images_are_those_that_evaluate_takes(total: int, count: int) -> None:
    assert np.array_equal(chosen_indices(total, count), evenly_spread(total, count))


# Machines


def test_what_bits_depend_on_is_named_where_it_differs() -> None:
    then, recorded = environment(), numerics()
    now = recorded.model_dump(mode="json")
    assert differing(then, recorded, now, then) == []
    variables = then.variables | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    other = then.model_copy(update={"processor": "another", "variables": variables})
    backend = now["backend"] | {"capability": "AVX512"}
    assert differing(then, recorded, now | {"threads": 2, "backend": backend}, other) == [
        "threads 2, was 1",
        "capability AVX512, was AVX2",
        "processor another, was A processor",
        "ONEDNN_MAX_CPU_ISA AVX2, was None",
    ]
    faster = then.model_copy(update={"speed_variables": {"MALLOC_TRIM_THRESHOLD_": "1"}})
    assert differing(then, recorded, now, faster) == []


# What is printed


@pytest.mark.parametrize(
    ("forged", "kinds"),
    [
        (lambda logits: logits, ["note"]),
        (lambda logits: logits * np.float32(1.00001), ["agrees"]),
        (lambda logits: flipped(logits, 15), ["broken", "agrees"]),  # 1.5 % of the images, within --changed
        (lambda logits: named(logits, 15, np.nan), ["broken", "agrees"]),  # as `argmax` takes it
        (lambda logits: logits[:-1], ["broken", "broken"]),
    ],
)
def test_another_processor_explains_what_rounding_moves_and_no_more(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forged: Any, kinds: list[str]
) -> None:
    """A record that names another processor gets a tolerance; classes that were exchanged under it are found."""
    key = CellKey("cells", "mnist", "vgg16")
    honest = scored(*_tested(params, "quick", key, 0))
    stored = forged(honest.logits)
    result = synthetic(params, "quick", key, 0)
    hashes = PredictionHashes.model_validate({"logits": sha256_of(stored), "labels": honest.labels_sha256})
    predictions = digits(stored.argmax(1))
    file = tmp_path / "result.json"
    logits_path(file).write_bytes(npy(stored))
    result = result.model_copy(
        update={"sha256": hashes, "predictions": predictions, "file": File(path=str(file), md5="0" * 32)}
    )
    places = np.arange(len(honest.labels))
    images = np.zeros((len(places), 1, 1, 1), np.uint8)
    recorded = numerics().model_dump(mode="json")
    again = LabelledPredictions(honest.logits, honest.labels, honest.loss, recorded, images, places)
    monkeypatch.setattr(rerun, "_predict", lambda *arguments: again)
    found = list(rerun._compare_predictions("number", result.run, tmp_path, result, tmp_path, 3.0))
    assert [one.kind for one in found] == kinds
    assert [one.level for one in found if one.kind == "note"] == ["predicted"] * kinds.count("note")


def flipped(logits: Any, count: int) -> Any:
    """The logits with another class for so many images, just above the one that the network says."""
    changed = logits.copy()
    for image in range(count):
        order = np.argsort(logits[image])
        changed[image, order[0]] = logits[image, order[-1]] + 0.01
    return changed


def named(logits: Any, count: int, by: float) -> Any:
    """The logits with this value at the least likely class of so many images."""
    changed = logits.copy()
    changed[np.arange(count), logits[:count].argmin(1)] = by
    return changed


@pytest.mark.parametrize(("forged", "kinds"), [(0, ["agrees"]), (15, ["broken", "agrees"]), (300, ["broken"] * 2)])
def test_a_record_that_names_a_device_that_is_not_here_is_predicted_again_on_the_processor(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forged: int, kinds: list[str]
) -> None:
    key = CellKey("cells", "mnist", "vgg16")
    honest = scored(*_tested(params, "quick", key, 0))
    stored = flipped(honest.logits * np.float32(1.0001), forged)
    result, file = synthetic(params, "quick", key, 0), tmp_path / "result.json"
    logits_path(file).write_bytes(npy(stored))
    result = result.model_copy(
        update={
            "sha256": PredictionHashes.model_validate({"logits": sha256_of(stored), "labels": honest.labels_sha256}),
            "predictions": digits(stored.argmax(1)),
            "numerics": result.numerics.model_copy(update={"device": "cuda: NVIDIA H200"}),
            "file": File(path=str(file), md5="0" * 32),
        }
    )
    recorded = numerics().model_dump(mode="json")
    places = np.arange(len(honest.labels))
    images = np.zeros((len(places), 1, 1, 1), np.uint8)

    def predict(_: Any, __: Any, trained_with: Any, *___: Any) -> LabelledPredictions:
        if trained_with["device"] != "cpu":
            raise ParamError("device", "cuda", "auto, cpu")
        return LabelledPredictions(honest.logits, honest.labels, honest.loss, recorded, images, places)

    monkeypatch.setattr(rerun, "predict_test", predict)
    found = list(rerun._compare_predictions("number", result.run, tmp_path, result, tmp_path, 3.0))
    assert [one.kind for one in found] == kinds
    assert all("device cpu, was cuda: NVIDIA H200" in str(one) for one in found)


def test_a_record_of_a_million_threads_starts_none(params: Params, tmp_path: Path) -> None:
    result = synthetic(params, "quick", CellKey("cells", "mnist", "vgg16"), 0)
    result = result.model_copy(update={"numerics": result.numerics.model_copy(update={"threads": 10**6})})
    (said,) = rerun._compare_predictions("number", result.run, tmp_path, result, tmp_path, 3.0)
    assert str(said) == "number, numerics.threads: 1000000, more than any machine has"


def sha256_of(array: Any) -> str:
    return hashlib.sha256(npy(array)).hexdigest()


def test_a_finding_that_many_share_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    gone = missing("data/raw/mnist", "dvc pull")
    numbers = [Number("I", f"row {n}", CellKey("cells", "mnist", f"c{n}"), 0) for n in range(7)]
    checked = [CheckedNumber(number, 12.5, [gone] if number.row != "row 6" else []) for number in numbers]
    print_checked(checked, [], 1.0)
    said = capsys.readouterr().out
    assert said.count("data/raw/mnist is not here: dvc pull") == 1
    assert "    I, row 0, seed 0; I, row 1, seed 0; I, row 2, seed 0; I, row 3, seed 0; and 2 more\n" in said
    assert "numbers: 1 recounted, 6 incomplete, 0 broken; the pages: consistent (1.0 s)" in said


def test_agreement_is_not_taken_for_proof(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [Number("I", f"row {n}", CellKey("cells", "mnist", f"c{n}"), 0) for n in range(3)]
    near = agrees("row 1, predicted again: 0.20 % of the images changed class, within 3")
    same = passed("predicted", "the same logits")
    found = [[near] if number.row == "row 1" else [same] for number in numbers]
    checked = [CheckedNumber(number, 12.5, of, asked=LEVELS[:3]) for number, of in zip(numbers, found, strict=True)]
    print_checked(checked, [], 1.0)
    said = capsys.readouterr().out
    assert "agrees      I, row 1" in said
    assert f"\nagrees:\n- {near}\n    I, row 1, seed 0\n" in said
    assert "numbers: 2 predicted, 1 agrees, 0 incomplete, 0 broken; the pages: consistent (1.0 s)" in said


def test_the_command_waits_for_no_torch() -> None:
    code = "import sys, stages.audit.verify, stages.audit.checks, stages.audit.pages; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_usage_error_has_a_status_of_its_own() -> None:
    command = [sys.executable, "-m", "stages.audit", "verify", "--what"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert json.dumps("--what")[1:-1] in done.stderr
