"""A book of synthetic results, and its HTML as a tree of sections."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stages.audit_paper.rules import findings
from stages.book.networks import NetworkPage
from stages.book.page import book
from stages.report.claims import judge_claims
from stages.report.evidence import Evidence
from tests.remembered import remembered_results, remembered_yaml
from tests.unit.report.conftest import Project

VOID = {"meta", "link", "input", "img", "br", "line", "circle"}


@dataclass
class Element:
    """An element of the page: its name, attributes, and what stands in it."""

    name: str
    attributes: dict[str, str]
    parent: "Element | None" = None
    children: list["Element | str"] = field(default_factory=list)

    def all(self, *names: str, **attributes: str) -> list["Element"]:
        """The elements below with one of these names and these attributes (`class_` holds the word)."""
        return [found for found in self.walk() if found.fits(names, attributes)]

    def fits(self, names: tuple[str, ...], attributes: dict[str, str]) -> bool:
        if names and self.name not in names:
            return False
        classes = self.attributes.get("class", "").split()
        return all(
            value in classes if key == "class_" else self.attributes.get(key) == value
            for key, value in attributes.items()
        )

    def walk(self) -> Iterator["Element"]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.walk()

    @property
    def text(self) -> str:
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join("".join(parts).split())


class Tree(HTMLParser):
    """Builds the elements, and fails on a tag that is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = self.at = Element("document", {})
        self.feed(html)
        self.close()
        assert self.at is self.root, f"<{self.at.name}> is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Element(tag, {name: value or "" for name, value in attrs}, self.at))

    def handle_endtag(self, tag: str) -> None:
        assert self.at.name == tag, f"</{tag}> closes <{self.at.name}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


@dataclass(frozen=True)
class Book:
    """A made book: its evidence, text and elements."""

    evidence: Evidence
    html: str
    root: Element

    def page(self, address: str) -> Element:
        """The section at an address as it stands in a link, `#/IV/vgg16`."""
        (page,) = self.root.all("section", id=address.removeprefix("#"))
        return page


def bind(evidence: Evidence, networks: Sequence[NetworkPage] = ()) -> str:
    """The book of these results, with everything that the stage puts into it."""
    audit = findings(evidence.paper, evidence.params)
    return book(evidence, judge_claims(evidence), audit, networks)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The book of a quick budget with one seed. Read it, change nothing."""
    evidence = Project(tmp_path_factory.mktemp("book")).fill().evidence()
    html = bind(evidence)
    return Book(evidence, html, Tree(html).root)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def _remembered() -> Iterator[None]:
    with remembered_results(), remembered_yaml():
        yield
