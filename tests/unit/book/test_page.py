"""The book as HTML: every number leads to all that is behind it, and the file asks nobody for anything."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pytest

from stages.book.page import inline, p_value
from stages.config.schema import Row, Table
from stages.core.errors import CorruptFileError
from stages.core.files import digest, flatten, json_text
from stages.records.attempts import Attempts, Entry, judging
from stages.records.evaluation import Evaluation
from stages.report.claims import judge_claims
from stages.report.claims_page import paired_column
from stages.report.formats import decimals
from stages.report.overview import overview_page
from stages.report.studies import compare_studies
from tests.shipped import shipped_params
from tests.unit.book.conftest import Book, Element, Tree, bind
from tests.unit.report.conftest import Project

MEGABYTE = 1_000_000


def rows(made: Book) -> list[tuple[Table, Row, Element]]:
    """Table number, row of params.yaml and row of the page, of all printed numbers."""
    found = []
    for number, table in made.evidence.params.tables.items():
        (part,) = made.root.all("div", id=f"/{number}")
        shown = [line for line in part.all("tbody")[0].all("tr") if "class" not in line.attributes]  # not as logged
        found += [(number, row, line) for row, line in zip(table.rows, shown, strict=True)]
    return found


def test_the_tables_stand_as_the_paper_prints_them_with_ours_beside(made: Book) -> None:
    found = rows(made)
    assert len(found) == 34
    for number, row, line in found:
        dataset = made.evidence.params.tables[number].dataset
        ours = made.evidence.cell(dataset, row.cell)
        name, paper, value, _, difference = [cell.text for cell in line.children if not isinstance(cell, str)][1:]
        assert name == row.row
        assert paper == made.evidence.paper.accuracy(number, row.row)
        assert value.startswith(f"{ours.mean:.{decimals(ours.results[0].test_images)}f}")
        assert ours.mean is not None
        assert float(difference.replace("\N{MINUS SIGN}", "-")) == pytest.approx(ours.mean - float(paper), abs=0.051)


def test_every_number_leads_to_configuration_curve_matrix_report_mistakes_chain_and_command(made: Book) -> None:
    for number, row, line in rows(made):
        (link,) = line.all("a", class_="value")
        page = made.page(link.attributes["href"])
        result = made.evidence.cell(made.evidence.params.tables[number].dataset, row.cell).results[0]
        assert page.all("h1")[0].text == row.row
        assert page.all("figure", class_="chart")[0].attributes["data-id"] == page.attributes["id"].removeprefix("/")
        check_settings(page, result)
        check_scores(page, result)
        check_origin(page, result)


def check_settings(page: Any, result: Any) -> None:
    names = [line.all("dt")[0].text for line in page.all("dl", class_="settings")[0].all("div")]
    assert sorted(names) == sorted(name.removeprefix("cell.") for name in flatten(result.run.config.model_dump()))
    assert page.all("ul", class_="rests")[0].all("li")


def check_scores(page: Any, result: Any) -> None:
    matrix = page.all("table", class_="heat")[0].all("tbody")[0]
    assert [[int(cell.text) for cell in line.all("td")] for line in matrix.all("tr")] == result.confusion
    report = page.all("table", class_="report")[0].all("tbody")[0].all("tr")
    assert [line.all("th")[0].text for line in report] == [*result.classes, "macro avg", "weighted avg"]
    first = result.report[result.classes[0]]
    assert report[0].all("td")[0].text.split()[0] == f"{100 * first['precision']:.1f}"
    (image,) = page.all("img")
    assert base64.b64decode(image.attributes["src"].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert image.attributes["alt"] == f"Test image 4711: {result.classes[3]}"


def check_origin(page: Any, result: Any) -> None:
    check, command = (block.text for block in page.all("pre")[:2])
    assert "stages.audit verify" in check
    assert f"git checkout {result.run.provenance.git.commit}" in command
    assert f"dvc repro {result.stage}" in command
    hashes = {code.attributes["title"] for code in page.all("code", class_="hash")}
    assert f"sha256 {result.run.sha256.weights}" in hashes
    assert f"sha256 {result.sha256.logits}" in hashes
    assert f"md5 {result.file.md5}" in hashes
    assert {f"md5 {md5}" for md5 in result.run.data.made_from.raw_md5.values()} <= hashes
    assert len(page.all("ol", class_="chain")[0].children) > 7


def test_settings_that_differ_from_the_tables_first_row_or_that_the_budget_replaced_are_marked(made: Book) -> None:
    page = made.page("#/IV/vgg16-adam")
    marked = {line.all("dt")[0].text: line.text for line in page.all("div", class_="differs")}
    assert set(marked) == {"optimizer", "beta1", "beta2"}
    assert "adam (vgg16: rmsprop)" in marked["optimizer"]
    replaced = {
        line.all("dt")[0].text for line in page.all("dl", class_="settings")[0].all("div") if "instead" in line.text
    }
    assert replaced == {"batch_size", "hidden_layers"}


def test_the_papers_report_stands_beside_ours_where_it_prints_one(made: Book) -> None:
    printed = made.page("#/IV/vgg16-adam").all("span", class_="printed")
    assert len(printed) == 3 * 12
    assert not made.page("#/IV/vgg11").all("span", class_="printed")


def test_every_link_leads_to_a_page_or_a_place_and_every_one_is_led_to(made: Book) -> None:
    """Tables, assumptions and claims are places in pages."""
    pages = {section.attributes["id"] for section in made.root.all("section", class_="page")}
    ids = [element.attributes["id"] for element in made.root.walk() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = {link.attributes["href"] for link in made.root.all("a")}
    assert {link.split("+")[0] for link in links if not link.startswith("#/")} == {"#content"}
    targets = {link.removeprefix("#") for link in links} - {"content"}
    compared = {target for target in targets if target.startswith("/compare/")}
    params = made.evidence.params
    tables, assumed = {f"/{table}" for table in params.tables}, {f"/assumptions/{one.id}" for one in params.assumptions}
    places = tables | assumed | {f"/claims/C{n}" for n in range(1, 8)}
    assert {name for name in ids if name.startswith("/")} == pages | places
    assert targets - compared == (pages - {"/nothing"}) | places
    for target in compared:
        assert {f"/{one}" for one in target.removeprefix("/compare/").split("+")} <= pages


def test_nothing_is_fetched(made: Book) -> None:
    for element in made.root.walk():
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = element.attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (element.name, name, value)
        assert "http" not in element.attributes.get("style", "")
    style = "".join(element.text for element in made.root.all("style"))
    assert "@import" not in style
    assert set(re.findall(r"url\((.{5})", style)) == {"data:"}
    (policy,) = (one for one in made.root.all("meta") if "http-equiv" in one.attributes)
    assert policy.attributes["content"].startswith("default-src 'none'")


def test_the_study_says_what_comes_closest_and_that_it_decides_nothing_here(made: Book) -> None:
    page = made.page("#/study/resnet18-lr1e-2-optimizer")
    comparison = next(one for one in compare_studies(made.evidence) if one.name == "resnet18-lr1e-2-optimizer")
    assert page.all("h1")[0].text == comparison.study.question
    assert page.all("p", class_="lead")[0].text == comparison.verdict.replace("`", "")
    assert "Undecided" in page.all("p", class_="badge")[0].text
    names = [line.all("th")[0].text for line in page.all("tbody")[0].all("tr")]
    assert names == [candidate.name for candidate in comparison.ranking]
    assert made.page("#/cifar10/resnet18-lr1e-2-sgd").all("h1")[0].text == "resnet18-lr1e-2-sgd"


def test_ledger_claims_and_paper_audit_are_whole(made: Book) -> None:
    params = made.evidence.params
    ledger = made.page("#/assumptions").all("ol")[0]
    assert [line.text for line in ledger.all("a", class_="id")] == [line.id for line in params.assumptions]
    untried = {line.id for line in params.assumptions} - {study.assumption for study in params.studies.values()}
    assert ledger.text.count("No study tries it.") == len(untried)
    assert ledger.text.count("Not run.") == len(params.studies) - 3  # two are between rows of the tables
    claims = made.page("#/claims")
    assert [line.text for line in claims.all("a", class_="id")] == [f"C{n}" for n in range(1, 8)]
    assert "this judges those numbers, not the paper" in claims.text
    paper_audit = made.page("#/paper-audit").text
    assert "99.1 % on CIFAR10" in paper_audit
    assert "Fig. 6 · Fig. 10" in paper_audit


def test_what_is_not_the_papers_condition_says_so_on_every_page_with_a_number(made: Book) -> None:
    for page in ["#/", *(line.all("a", class_="value")[0].attributes["href"] for _, _, line in rows(made))]:
        assert "not the paper’s conditions" in made.page(page).all("p", class_="badge")[0].text


def test_the_same_results_give_the_same_bytes(made: Book) -> None:
    assert bind(made.evidence) == made.html


def test_several_seeds_have_a_chain_and_a_command_each(project: Project) -> None:
    project.edit(lambda raw: raw.update(seeds=[0, 1, 2]))
    html = bind(project.fill().evidence())
    book = Book(project.evidence(), html, Tree(html).root)
    page = book.page("#/V/resnet18")
    assert [one.all("summary")[0].text[:6] for one in page.all("details", class_="seed")] == [
        "Seed 0",
        "Seed 1",
        "Seed 2",
    ]
    assert {f"evaluate-cifar10@quick-resnet18-{seed}" for seed in range(3)} <= set(
        " ".join(pre.text for pre in page.all("pre")).split()
    )
    assert "±" in page.all("dl", class_="figures")[0].text
    check_seeds(page, book.evidence.cells["cifar10/resnet18"].results)


def names_of_facts(seed: Element) -> list[str]:
    return [line.all("dt")[0].text for line in seed.all("dl", class_="facts")[0].all("div")]


def check_seeds(page: Element, results: Sequence[Evaluation]) -> None:
    """The first seed has its whole chain; another what is its own, and names what it shares with the first."""
    whole, *others = page.all("details", class_="seed")
    every = names_of_facts(whole)
    for result, own in zip(results, (whole, *others), strict=True):
        hashes = {code.attributes["title"] for code in own.all("code", class_="hash")}
        assert {f"sha256 {result.run.sha256.weights}", f"sha256 {result.sha256.logits}"} <= hashes
        assert (f"md5 {result.run.data.made_from.raw_md5['data_batch_1.bin']}" in hashes) == (own is whole)
        said = [line.text for line in own.all("p", class_="note")]
        if own is whole:
            assert said == []
            continue
        (line,) = said
        assert line.startswith("Shared with seed 0: Raw data, Arrays, spec (Training), code (Training)")
        shared = line.removeprefix("Shared with seed 0: ").removesuffix(".").split(", ")
        assert {"Commit", "Packages"} <= set(shared)
        assert sorted([*names_of_facts(own), *(name for name in shared if name in every)]) == sorted(every)
    assert len(page.all("pre")) == 1 + len(results)


def test_the_script_gets_a_bit_for_every_image_that_was_named_right(made: Book) -> None:
    (data,) = made.root.all("script", id="data")
    numbers = json.loads("".join(str(child) for child in data.children))["numbers"]
    result = made.evidence.cells["cifar10/vgg16"].results[0]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(numbers["IV/vgg16"]["seeds"][0]["right"]), np.uint8))
    right = [one == label for one, label in zip(result.predictions, result.labels, strict=True)]
    assert bits.tolist() == right + [0] * (-len(right) % 8)


@pytest.mark.slow
def test_a_book_of_the_papers_budget_with_five_seeds_is_under_three_and_a_half_megabytes(project: Project) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw.update(budget="paper", seeds=[0, 1, 2, 3, 4])

    project.edit(change)
    project.fill()
    images = ["A" * 3200] * 8  # base64 characters of CIFAR10 images as PNG
    for path in project.cells.rglob("*.json"):
        content = json.loads(path.read_text())
        content["most_confused"] = [{**content["most_confused"][0], "png": image} for image in images]
        path.write_text(json_text(content))
    html = bind(project.evidence())
    assert "verdict close" in html or "verdict far" in html
    assert "Verdict: <em>close</em>" in html
    assert "not the paper’s conditions" not in html
    assert 2 * MEGABYTE < len(html.encode()) < 3.5 * MEGABYTE


def test_what_params_say_is_text_and_never_markup(project: Project) -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["tables"]["I"]["caption"] = "</script><b>bold</b>"
        raw["assumptions"][0]["point"] = "<img src=x>"

    project.edit(change)
    html = bind(project.fill().evidence())
    root = Tree(html).root
    assert "</script><b>bold</b>" in root.all("caption")[0].text
    assert [image for image in root.all("img") if image.attributes["src"] == "x"] == []
    (data,) = root.all("script", id="data")
    assert json.loads("".join(str(child) for child in data.children))["numbers"]["I/vgg16"]["label"] == "VGG16"


def test_results_of_other_test_images_are_refused(project: Project) -> None:
    evidence = project.fill().evidence()
    cell = evidence.cells["mnist/vgg16"]
    other = cell.results[0].model_copy(update={"labels": cell.results[0].labels[::-1]})
    evidence.cells["mnist/vgg16"] = type(cell)(cell.key, cell.planned, (other,))
    from stages.book.page import book

    with pytest.raises(CorruptFileError, match="the same test images"):
        book(evidence, [], [])


def test_the_markdown_of_the_reports_is_set(made: Book) -> None:
    assert inline("`a<b>` &lt;c&gt; **d** *e* \\| f") == (
        "<code>a&lt;b&gt;</code> &lt;c&gt; <strong>d</strong> <em>e</em> | f"
    )
    page = overview_page(made.evidence, compare_studies(made.evidence), "figures", "studies")
    for line in page.splitlines():
        assert "`" not in inline(line), line


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, "–"),
        (1.0, "1.000"),
        (0.0123, "0.012"),
        (0.00042, "4.2 × 10<sup>−4</sup>"),
        (3e-55, "3.0 × 10<sup>−55</sup>"),
        (0.0, "&lt; 10<sup>−300</sup>"),
    ],
)
def test_p_values(p: float | None, text: str) -> None:
    assert p_value(p) == text


def test_the_book_and_the_page_of_the_claims_print_the_same_p_values(made: Book) -> None:
    parts = {claim.name: claim.parts[0] for claim in judge_claims(made.evidence)}
    depth, cost = parts["C1"], parts["C7"]
    tables = {table.all("tbody")[0].all("th")[0].text: table for table in made.page("#/claims").all("table")}
    shown, column = tables[depth.checks[0].name], paired_column(depth)
    assert column
    assert column.title == "McNemar's p (Holm's)"
    assert shown.all("thead")[0].all("th")[-1].text == column.title
    assert [line.all("td")[-1].text for line in shown.all("tbody")[0].all("tr")] == [
        unescape(entry) for entry in column.entries
    ]
    assert paired_column(cost) is None
    assert tables[cost.checks[0].name].all("thead")[0].all("th")[-1].text == "p against"


def test_what_each_claim_needs_is_said_in_words(made: Book) -> None:
    text = made.page("#/claims").text
    assert "every comparison must bear it out." in text
    assert "one comparison that bears it out is enough." in text


def entry(kind: str, moment: str, **fields: Any) -> Entry:
    """A line of the attempts, at a minute of the day on which the synthetic trainings started."""
    time = f"2026-11-24T{moment}:00.000+00:00"
    made = {"kind": kind, "time": time, "after": [], "commit": "c" * 40, "judging": judging(shipped_params()), **fields}
    return Entry.model_validate({**made, "sha256": digest(made)})


def test_every_attempt_of_a_number_is_on_its_page_and_the_counts_stand_on_the_first(made: Book) -> None:
    cell = "mnist/vgg16"
    binding = made.evidence.cells[cell].results[0].run.binding
    begun, of_cell = entry("begin", "03:00"), {"cell": cell, "spec": "a" * 32, "device": "cpu"}
    first, second = entry("start", "04:00", seed=0, **of_cell), entry("start", "05:00", seed=7, **of_cell)
    lines = [begun, first, second, entry("resume", "04:30", attempt=first.sha256, commit="d" * 40)]
    lines += [entry("end", "04:40", attempt=first.sha256, outcome="finished", run=binding)]
    lines += [entry("end", "05:40", attempt=second.sha256, outcome="diverged", run="b" * 64)]
    html = bind(replace(made.evidence, attempts=Attempts(lines)))
    root = Tree(html).root
    (page,) = root.all("section", id="/I/vgg16")
    shown = [[cell.text for cell in line.all("td")] for line in page.all("table", class_="attempts")[0].all("tr")][1:]
    assert shown == [
        ["2026-11-24 04:30", "0", "d" * 10, "finished, started 2 times", "yes"],
        ["2026-11-24 05:00", "7", "c" * 10, "diverged", "no"],
    ]
    (other,) = root.all("section", id="/I/vgg11")
    ((_, seed, _, outcome, stands),) = (
        [cell.text for cell in line.all("td")] for line in other.all("table", class_="attempts")[0].all("tr")[1:]
    )
    assert (seed, outcome, stands) == ("0", "finished (nowhere written down as started)", "yes")
    (home,) = root.all("section", id="/")
    repeated = "1 more than once, after a kill or a failure"
    assert f"2 started ({repeated}); 1 of the trainings are in these tables" in home.text
    assert "Started, and not in these tables: mnist/vgg16 seed 7 (diverged, 2026-11-24T05:00)." in home.text
    assert made.root.all("table", class_="attempts") == []
