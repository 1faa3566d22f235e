"""README and docs: links lead to files, README is short, and what a user trips over is said where it matters."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
README = ROOT / "README.md"


def links(page: Path) -> set[Path]:
    """The files that a page links to, or shows."""
    found = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    names = {link.partition("#")[0] for link in found if "://" not in link}
    return {(page.parent / name).resolve() for name in names - {""}}


def text(name: str) -> str:
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", [*PAGES, README, ROOT / "BENCHMARKS.md"], ids=lambda page: page.name)
def test_every_link_leads_to_its_file(page: Path) -> None:
    assert [link for link in sorted(links(page)) if not link.exists()] == []


def test_every_page_is_found_from_the_readme() -> None:
    found, waiting = set[Path](), {README}
    while waiting:
        page = waiting.pop()
        found.add(page)
        waiting |= {link for link in links(page) if link.suffix == ".md" and "reports" not in link.parts} - found
    assert set(PAGES) - found == set()


def test_the_readme_is_short_and_begins_with_what_came_out() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert next(line for line in lines if line.startswith("## ")) == "## What comes out"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("docs/changing.md", "leaves the tables stale"),
        ("docs/changing.md", "Those of another budget exist only once `budget:` in `params.yaml` names it"),
        ("docs/changing.md", 'a stage that was broken off "deleted". Nothing is lost: `dvc repro` restores both'),
        ("docs/changing.md", "(many-at-once.md)"),
        ("docs/running.md", "must not be `data/raw` of the same checkout"),
        ("docs/running.md", "`git fetch --unshallow`"),
    ],
)
def test_what_a_new_user_trips_over_is_said(page: str, said: str) -> None:
    assert said in text(page)
