"""Style, script, plotting library and typefaces, as text that goes into the page: the book asks for no other file.

`vendor/README.md` says where each file that is not ours comes from, under which licence, and its sha256.
"""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "templates"
VENDOR = FOLDER / "vendor"
LIBRARIES = ("d3.min.js", "plot.umd.min.js")  # in the order in which they must run
FACES = {
    "Source Serif 4": "source-serif-4-latin-wght-normal.woff2",
    "Source Sans 3": "source-sans-3-latin-wght-normal.woff2",
}


@dataclass(frozen=True)
class Assets:
    """What is written into the page beside its content."""

    style: str
    libraries: list[str]
    script: str


def assets() -> Assets:
    """Read them all from this package."""
    style = _faces() + (FOLDER / "static" / "book.css").read_text(encoding="utf-8")
    libraries = [(VENDOR / name).read_text(encoding="utf-8") for name in LIBRARIES]
    return Assets(style, libraries, (FOLDER / "static" / "book.js").read_text(encoding="utf-8"))


def _faces() -> str:
    return "".join(
        f'@font-face{{font-family:"{family}";font-weight:200 900;font-display:block;'
        f'src:url(data:font/woff2;base64,{b64encode((VENDOR / name).read_bytes()).decode()}) format("woff2")}}\n'
        for family, name in FACES.items()
    )
