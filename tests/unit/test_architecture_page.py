"""docs/architecture.md against the tree: what it names is there, and every package has its place in the picture."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PICTURE = PAGE[PAGE.index("```mermaid") : PAGE.index("\n```\n")]


def test_every_path_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:stages|tests)/[\w/.]+|dvc\.yaml|params\.yaml)`", PAGE))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_link_leads_to_its_file() -> None:
    links = re.findall(r"\]\(\.\./([^)]+)\)", PAGE)
    assert len(links) >= 8
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_every_package_and_stage_stands_on_the_page() -> None:
    packages = {path.name for path in (ROOT / "stages").iterdir() if path.is_dir() and (path / "__init__.py").is_file()}
    modules = {path.name for path in (ROOT / "stages").glob("*.py")} - {"__init__.py"}
    drawn = set(re.findall(r"[\w.]+", PICTURE)) | set(re.findall(r"`(\w+)`", PAGE))
    assert (packages | modules) - drawn == set()
