"""The book clicked through in a browser: addresses, keyboard, comparisons, small and dark screens, no network."""

import re
from base64 import b64decode
from itertools import pairwise
from statistics import fmean

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from scipy.stats import binomtest

from tests.browser.conftest import Opener

pytestmark = pytest.mark.slow

DATA = "JSON.parse(document.getElementById('data').textContent)"


def expect_page(page: Page, address: str) -> None:
    """The page at an address is shown, and no other."""
    page.wait_for_function(
        "address => [...document.querySelectorAll('.page')].filter(p => p.offsetParent).map(p => p.id) == address",
        arg=address,
        timeout=5000,
    )


def addresses(page: Page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.page')].map(p => p.id)")


def test_a_click_on_a_number_opens_its_page_and_back_returns(open_book: Opener) -> None:
    page = open_book()
    expect(page).to_have_title(re.compile("^Tables"))
    page.get_by_role("link", name="percent: VGG16 with ADAM, Table IV").click()
    assert page.url.endswith("#/IV/vgg16-adam")
    expect_page(page, "/IV/vgg16-adam")
    expect(page).to_have_title(re.compile("^VGG16 with ADAM, Table IV"))
    expect(page.locator("h1:visible")).to_be_focused()
    assert page.evaluate("scrollY") == 0
    page.get_by_role("link", name="next VGG16 with Data Augmentation").click()
    expect_page(page, "/IV/vgg16-augmented")
    page.go_back()
    page.go_back()
    expect_page(page, "/")
    assert page.evaluate("scrollY") > 300  # at the row that was chosen
    expect(page.get_by_role("link", name="percent: VGG16 with ADAM, Table IV")).to_be_in_viewport()


def test_a_number_has_curve_matrix_report_mistakes_configuration_chain_and_command(open_book: Opener) -> None:
    page = open_book("#/V/resnet18-adam")
    parts = [
        "Curve",
        "Confusion matrix",
        "Report per class",
        "Most confident errors",
        "Configuration",
        "Chain and command",
    ]
    for name in parts:
        expect(page.get_by_role("region", name=name, exact=True)).to_be_visible()
    curve = page.get_by_role("region", name="Curve", exact=True)
    label = curve.get_by_role("img").get_attribute("aria-label") or ""
    assert "validation, mean ends at" in label
    assert "validation, Fig. 17 of the paper ends at" in label
    curve.get_by_label("Loss").check()
    assert (curve.get_by_role("img").get_attribute("aria-label") or "").startswith("Loss by epoch")
    curve.get_by_text("The values").click()
    assert curve.locator("tbody tr").count() == 2
    image = page.get_by_role("img", name="Test image 4711: cat")
    assert image.evaluate("image => image.naturalWidth") == 32


def test_a_curve_holds_the_history(open_book: Opener) -> None:
    page = open_book("#/I/vgg11")
    number = page.evaluate(f"{DATA}.numbers['I/vgg11']")
    page.get_by_role("region", name="Curve", exact=True).get_by_text("The values").click()
    cells = page.locator("section.current .values tbody tr").first.locator("td").all_inner_texts()
    first, second = (100 * seed["history"][0][1] for seed in number["seeds"])
    assert cells[:3] == [f"{first:.1f}", f"{second:.1f}", f"{(first + second) / 2:.1f}"]


def test_every_page_opens_with_its_curves_on_a_phone_and_nothing_overflows(open_book: Opener) -> None:
    page = open_book(viewport={"width": 390, "height": 844})
    for address in addresses(page):
        page.evaluate("address => { location.hash = address; }", address)
        page.wait_for_function("address => document.querySelector('.page.current').id === address", arg=address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        charts = page.locator(".page.current .chart[data-chart]")
        assert charts.count() == charts.locator(":scope > svg[role=img]").count(), address


def test_a_table_wider_than_a_phone_shows_at_its_edge_that_it_scrolls(open_book: Opener) -> None:
    """Shadows that do not move, under a ground that moves along with the table."""
    page = open_book("#/cost", viewport={"width": 400, "height": 844})
    for address in ("/cost", "/network/mnist-vgg16"):
        page.evaluate("address => { location.hash = address; }", address)
        expect_page(page, address)
        wide = page.locator(".page.current .scroll").first
        assert wide.evaluate("scroll => scroll.scrollWidth > scroll.clientWidth")
        drawn = wide.evaluate("scroll => getComputedStyle(scroll).backgroundAttachment")
        assert drawn == "local, local, scroll, scroll"


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("/", "Tables"),
        ("/I/vgg16", "Tables"),
        ("/study/resnet18-lr1e-2-optimizer", "Studies"),
        ("/networks", "Networks"),
        ("/network/mnist-vgg16", "Networks"),
        ("/cost", "Cost"),
        ("/claims", "Claims"),
    ],
)
def test_every_part_is_in_the_navigation_and_the_one_shown_is_marked(opened: Page, address: str, part: str) -> None:
    opened.evaluate(f"location.hash = '#{address}'")
    expect_page(opened, address)
    parts = opened.get_by_role("navigation", name="Parts of the book").get_by_role("link")
    named = ["Tables", "Studies", "Networks", "Cost", "Assumptions", "Claims", "Audit of the paper"]
    assert parts.all_inner_texts() == named
    marked = opened.locator(".bar nav a[aria-current]")
    assert marked.all_inner_texts() == [part]


def test_rows_are_compared_by_ticking_them(open_book: Opener) -> None:
    page = open_book()
    page.get_by_label("Compare VGG16 with ADAM, Table IV").check()
    expect(page.get_by_role("region", name="Rows to compare")).to_contain_text("tick another")
    page.get_by_label("Compare VGG16 with SGD, Table IV").check()
    page.get_by_label("Compare VGG16 with SGD, Table I", exact=True).check()
    page.get_by_role("link", name="Compare", exact=True).click()
    assert page.url.endswith("#/compare/IV/vgg16-adam+IV/vgg16-sgd+I/vgg16-sgd")
    label = page.locator("#compare-chart").get_by_role("img").get_attribute("aria-label") or ""
    assert all(f"{name}, mean ends at" in label for name in ("VGG16 with ADAM (Table IV)", "VGG16 with SGD (Table I)"))
    settings = page.locator("#compare-settings tbody th").all_inner_texts()
    assert {"optimizer", "dataset"} <= set(settings)
    assert "lr" not in settings
    optimizer = page.locator("#compare-settings tbody tr", has_text="optimizer").locator("td").all_inner_texts()
    assert optimizer == ["adam", "sgd", "sgd"]
    assert "2 pairs are of different data sets" in page.locator("#compare-mcnemar").inner_text()
    page.get_by_label("Training loss").check()
    page.get_by_role("button", name="Leave out VGG16 with SGD (Table I)").click()
    assert page.url.endswith("#/compare/IV/vgg16-adam+IV/vgg16-sgd")
    page.go_back()
    assert page.url.endswith("+I/vgg16-sgd")


def test_mcnemar_is_scipys_for_every_pair_of_a_table_and_seed(open_book: Opener) -> None:
    page = open_book("#/")
    data = page.evaluate(DATA)
    ids = [name for name in data["numbers"] if name.startswith(("IV/", "II/"))]
    tested = 0
    for one, other in pairwise(ids):
        first, second = data["numbers"][one], data["numbers"][other]
        if first["dataset"] != second["dataset"]:
            continue
        page.evaluate("address => { location.hash = address; }", f"#/compare/{one}+{other}")
        page.wait_for_function("one => document.querySelector('#compare-chosen a')?.hash === one", arg=f"#/{one}")
        for place, seed in enumerate((0, 1)):
            page.locator("#compare-seed select").select_option(str(seed))
            one_right, other_right = (
                np.unpackbits(np.frombuffer(b64decode(number["seeds"][place]["right"]), np.uint8)).astype(bool)
                for number in (first, second)
            )
            only_first, only_second = int((one_right & ~other_right).sum()), int((other_right & ~one_right).sum())
            cells = page.locator("#compare-mcnemar tbody td")
            assert cells.all_inner_texts()[2:4] == [str(only_first), str(only_second)]
            expected = binomtest(only_first, only_first + only_second).pvalue
            assert float(cells.nth(4).get_attribute("data-p") or "") == pytest.approx(expected, rel=1e-9)
            tested += 1
    assert tested > 20


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (1, 0), (0, 12), (5, 5), (5, 6), (300, 421), (4000, 5200), (0, 9000)]
)
def test_mcnemar_is_scipys_at_the_ends(opened: Page, first: int, second: int) -> None:
    same = [True] * 2
    ours, theirs = ([a] * first + [not a] * second + same for a in (True, False))
    found = opened.evaluate("([a, b]) => book.mcnemar(a, b)", [np.packbits(right).tolist() for right in (ours, theirs)])
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert (found["first"], found["second"]) == (first, second)
    assert found["p"] == pytest.approx(expected, rel=1e-9, abs=1e-320)


def test_holm_is_a_textbooks(opened: Page) -> None:
    """Holm 1979: the k-th smallest of n times n - k + 1, never less than the one before, at most 1."""
    found = opened.evaluate("book.holm([0.01, 0.04, 0.03, 0.005, 0.9])")
    assert found == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.9])


def test_by_keyboard_alone(open_book: Opener) -> None:
    page = open_book("")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect_page(page, "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Table I", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Compare VGG16, Table I", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_page(page, "/I/vgg16")
    expect(page.locator(".current h1")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".current .choose input")).to_be_focused()
    expect(page.locator(".current .choose input")).to_be_checked()
    widths = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert widths == "2px"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_until_they_are_chosen(open_book: Opener, scheme: str) -> None:
    page = open_book(color_scheme=scheme)

    def brightness() -> float:
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return fmean(map(float, re.findall(r"\d+", color)[:3]))

    assert (brightness() > 128) == (scheme == "light")
    button = page.locator("#theme")
    button.click()
    assert brightness() > 128
    button.click()
    assert brightness() < 128
    page.reload()
    assert brightness() < 128


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_book: Opener, scheme: str) -> None:
    """WCAG 2.1, 1.4.3: a contrast of at least 4.5."""
    page = open_book(color_scheme=scheme)
    found = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const light = (name) => {
            const hex = style.getPropertyValue(name).trim().slice(1);
            const full = hex.length === 3 ? [...hex].map((d) => d + d).join("") : hex;
            const [r, g, b] = [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16) / 255)
              .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const pairs = ["--ink", "--soft", "--ours", "--printed", "--good", "--middle", "--bad"]
            .flatMap((name) => ["--paper", "--raised"].map((ground) => [name, ground]));
          return [...pairs, ["--on-heat", "--heat"]].map(([a, b]) => {
            const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
            return [a, b, (high + 0.05) / (low + 0.05)];
          });
        }"""
    )
    assert [line for line in found if line[2] < 4.5] == []


def test_an_address_is_opened_at_once_and_an_unknown_one_says_so(open_book: Opener) -> None:
    expect_page(open_book("#/study/resnet18-lr1e-2-optimizer"), "/study/resnet18-lr1e-2-optimizer")
    page = open_book("#/VII/alexnet")
    expect_page(page, "/nothing")
    page.get_by_role("link", name="All tables").click()
    expect_page(page, "/")
    expect_page(open_book("#/compare/IV/vgg16+no/such"), "/compare")
    for address in ("/networks", "/network/mnist-vgg16", "/claims"):
        expect_page(open_book(f"#{address}"), address)


@pytest.mark.parametrize(
    ("address", "shown", "says"),
    [("#/IV", "/", "Table IV"), ("#/assumptions/A9", "/assumptions", "A9"), ("#/claims/C3", "/claims", "C3")],
)
def test_a_table_an_assumption_and_a_claim_have_addresses(
    open_book: Opener, address: str, shown: str, says: str
) -> None:
    """At once, and by a click from another page; the place is in sight and has the focus, and Back returns."""
    page = open_book(address)
    place = page.locator(f"[id='{address[1:]}']")
    expect_page(page, shown)
    expect(place).to_be_in_viewport()
    expect(place.get_by_role("link", name=says, exact=True)).to_be_in_viewport()
    page.evaluate("location.hash = '#/paper-audit'")
    expect_page(page, "/paper-audit")
    page.evaluate(f"location.hash = '{address}'")
    expect_page(page, shown)
    expect(place).to_be_focused()
    expect(place.get_by_role("link", name=says, exact=True)).to_be_in_viewport()


def test_a_number_names_its_table_and_its_assumptions(open_book: Opener) -> None:
    page = open_book("#/IV/vgg16-adam")
    page.get_by_role("link", name="A9", exact=True).click()
    expect_page(page, "/assumptions")
    expect(page.locator("[id='/assumptions/A9']")).to_be_in_viewport()
    page.go_back()
    page.locator("p.over a:visible").click()
    assert page.url.endswith("#/IV")
    expect(page.locator("[id='/IV']")).to_be_focused()


def test_without_script_every_page_stands_in_one_document(open_book: Opener) -> None:
    page = open_book(java_script_enabled=False)
    expect(page.locator("section.page h1").first).to_be_visible()
    expect(page.locator("[id='/IV/vgg16-adam'] .command").first).to_be_visible()
    expect(page.locator("input.tick").first).to_be_hidden()


def test_the_command_can_be_copied(open_book: Opener) -> None:
    page = open_book("#/I/vgg16", permissions=["clipboard-read", "clipboard-write"])
    button = page.locator(".current .copy").first
    button.click()
    expect(button).to_have_text(re.compile("Copied|Selected"))
