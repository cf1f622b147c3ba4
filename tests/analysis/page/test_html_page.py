"""The HTML page as a reader's browser shows it: headless Chromium opens it, clicks, and is asked what it sees.

Needs a Chromium (``apt-get install chromium``, or CHROMIUM=path) and the package playwright to drive it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.page.html_page import to_html
from analysis.recommendation.page import write_report
from analysis.text import table
from tests.analysis.conftest import check_legible, look_at_figures, row, writer

# One browser and one page of each kind serve all.
pytestmark = pytest.mark.xdist_group("browser")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
# Without these Chromium looks for updates and its maker's services at every start; as root it has no sandbox.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
DESK = {"width": 1280, "height": 720}
Open = Callable[..., Any]


def chromium() -> str | None:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found or (MAC if Path(MAC).exists() else None)


@pytest.fixture(scope="module")
def tab() -> Iterator[Any]:
    """An empty page of a browser, for all tests: each page of its own is a process of its own, which takes a second."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright drives the browser: pip install playwright"
    )
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium: apt-get install chromium, or name one in CHROMIUM")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=executable, args=FLAGS)
        page = opened.new_page()
        page.on("request", lambda request: page.seen["requests"].append(request.url))
        page.on("console", lambda said: page.seen["complaints"].append(said.text))
        page.on("pageerror", lambda error: page.seen["complaints"].append(str(error)))
        yield page
        opened.close()


@pytest.fixture
def show(tab: Any) -> Open:
    """``show(file)`` opens a page; what it asks of the network and what it complains of are in ``seen``."""

    def opened(file: Path, color_scheme: str = "light", viewport: Mapping[str, int] = DESK) -> Any:
        tab.set_viewport_size(viewport)
        tab.emulate_media(color_scheme=color_scheme)
        tab.seen = {"requests": [], "complaints": []}
        tab.goto(file.resolve().as_uri())
        return tab

    return opened


@pytest.fixture(scope="module")
def legible() -> Iterator[None]:
    """Looks at each figure that a page of this module has."""
    with pytest.MonkeyPatch.context() as patch:
        look_at_figures(patch, check_legible)
        yield


@pytest.fixture(scope="module")
def report(legible: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real report with several figures and tables, its results full of what must not run."""
    rows = [
        row(0, batch_size=8, step_median_s=0.1),
        row(1, device="gpu", batch_size=8, step_median_s=0.001, energy_per_item_j=0.5, items_per_j=2.0),
        row(2, device="gpu", batch_size=64, step_median_s=0.004, energy_per_item_j=0.2, items_per_j=5.0),
        row(3, device="gpu", batch_size=128, status="oom", throughput_items_per_s=None, step_median_s=0.1,
            error_message="<img src=x onerror=\"window.ran = 1\"> <script>window.ran = 2</script> | `x` [y](javascript:z)"),
    ]  # fmt: skip
    rounds = [{"trial_key": "k002", "round": r, "elapsed_s": r + 1.0, "accuracy": 0.4 * r} for r in range(3)]
    return write_report(writer(tmp_path_factory.mktemp("report"))(rows, rounds=rounds), html=True)


def texts(page: Any, table_: int, column: int) -> list[str]:
    return page.locator("table").nth(table_).locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()


def click(page: Any, table_: int, column: int) -> None:
    page.locator("table").nth(table_).locator("th button").nth(column).click()


def test_a_report_opens_without_complaint_and_asks_nothing_of_the_network(show: Open, report: Path) -> None:
    page = show(report)
    assert page.title().startswith("inference")
    assert page.seen["complaints"] == []
    assert [url for url in page.seen["requests"] if not url.startswith("data:")] == [report.resolve().as_uri()]
    assert page.evaluate("window.ran") is None, "text from results ran"


def test_every_figure_is_shown_and_has_an_alternative_text(show: Open, report: Path) -> None:
    page = show(report)
    figures = page.locator("svg").all()
    assert len(figures) == 3, "what each axis buys, settings over batch size, accuracy over time"
    for figure in figures:
        assert len(figure.get_attribute("aria-label")) > 20
        assert figure.bounding_box()["width"] > 400
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => [e.id, e.outerHTML])")
    assert len({told for told, _ in ids}) == len({(told, html) for told, html in ids}), "one name, one shape"


def test_the_cells_of_a_real_report_sort_by_throughput(show: Open, report: Path) -> None:
    page = show(report)
    heads = page.locator("h2", has_text="Every cell measured").locator("xpath=following::table[1]")
    column = [text.split(" (")[0] for text in heads.locator("th").all_inner_texts()].index("throughput")
    heads.locator("th button").nth(column).click()
    shown = heads.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
    values = [float(text.replace(",", "")) for text in shown]
    assert values == sorted(values)
    assert any("," in text for text in shown), "one with a thousands separator"
    assert heads.locator("th").nth(column).get_attribute("aria-sort") == "ascending"


@pytest.fixture
def sortable(tmp_path: Path) -> Path:
    """One table of every kind of value that reports write, missing ones among them."""
    rows = [("b10", "1,234", "5.0 to 6"), ("b9", "56.0", "n/a"), ("a", "n/a (n=15)", "10 to 20"), ("c", "1.50e-09", ""),
            ("d", "\u2013", "over 7.5"), ("e", "\u22123", "100.0 %")]  # fmt: skip
    file = tmp_path / "sortable.html"
    file.write_text(
        to_html(f"# Sort\n\n{table(['name', 'x (ms)', 'y'], rows, n_left=1)}\n", tmp_path), encoding="utf-8"
    )
    return file


def test_numbers_sort_as_numbers_up_and_down_and_what_is_missing_comes_last(show: Open, sortable: Path) -> None:
    page = show(sortable)
    click(page, 0, 1)
    assert texts(page, 0, 1) == ["\u22123", "1.50e-09", "56.0", "1,234", "n/a (n=15)", "\u2013"]
    click(page, 0, 1)
    assert texts(page, 0, 1) == ["1,234", "56.0", "1.50e-09", "\u22123", "n/a (n=15)", "\u2013"]
    click(page, 0, 2)
    assert texts(page, 0, 2) == ["5.0 to 6", "over 7.5", "10 to 20", "100.0 %", "n/a", ""]


def test_words_sort_as_people_count_and_rows_stay_whole(show: Open, sortable: Path) -> None:
    page = show(sortable)
    click(page, 0, 0)
    assert texts(page, 0, 0) == ["a", "b9", "b10", "c", "d", "e"]
    assert texts(page, 0, 1)[1] == "56.0"
    click(page, 0, 0)
    assert texts(page, 0, 0) == ["e", "d", "c", "b10", "b9", "a"]


def test_tables_sort_by_keyboard_and_only_one_column_is_marked(show: Open, sortable: Path) -> None:
    page = show(sortable)
    page.keyboard.press("Tab")  # the table's own scrolling region comes first
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert texts(page, 0, 0)[0] == "a"
    click(page, 0, 1)
    marks = [head.get_attribute("aria-sort") for head in page.locator("th").all()]
    assert marks == [None, "ascending", None]


def contrast(page: Any) -> float:
    """Contrast ratio of text on paper (WCAG 2.2, relative luminance)."""
    style = page.evaluate("(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))")

    def luminance(colour: str) -> float:
        parts = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted(map(luminance, style), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_dark_readers_get_dark_paper_and_both_can_be_read(show: Open, report: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = show(report, color_scheme=scheme)
        colours[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert contrast(page) > 7
    assert colours["light"] != colours["dark"]


def test_wide_tables_scroll_in_place_and_the_page_does_not(show: Open, report: Path) -> None:
    page = show(report, viewport={"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_the_page_does_not_hold_is_not_fetched(show: Open, tmp_path: Path) -> None:
    file = tmp_path / "remote.html"
    file.write_text(
        to_html("# Remote\n\n![a tracker](http://127.0.0.1:9/x.png) <script>window.ran = 1</script>\n", tmp_path)
    )
    page = show(file)
    assert page.seen["requests"] == [file.resolve().as_uri()]
    assert page.locator("img").count() == 0
    assert "a tracker" in page.inner_text("main")
    assert page.evaluate("window.ran") is None


@pytest.fixture(scope="module")
def many(legible: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a table of cells that is worth filtering."""
    cells = [(p, c, b) for p in ("fp32", "bf16") for c in ("none", "default") for b in (1, 8, 64)]
    rows = [
        row(i, precision=p, compile=c, batch_size=b, step_median_s=0.01 * b / (1 + i))
        for i, (p, c, b) in enumerate(cells)
    ]
    return write_report(writer(tmp_path_factory.mktemp("many"))(rows), html=True)


def cells_table(page: Any) -> Any:
    return page.locator("h2", has_text="Every cell measured").locator("xpath=following::table[1]")


def test_on_a_phone_the_throughput_is_seen_beside_what_names_the_cell(show: Open, many: Path) -> None:
    page = show(many, viewport={"width": 390, "height": 844})
    assert page.seen["complaints"] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    table = cells_table(page)
    column = [text.split(" (")[0] for text in table.locator("th").all_inner_texts()].index("throughput")
    box = table.locator("tbody tr").first.locator("td").nth(column).bounding_box()
    assert 0 <= box["x"] <= 390 - box["width"]
    name = table.locator("tbody td.name").first
    assert name.is_visible()
    assert name.inner_text() == "cpu, fp32, batch 1"
    before = name.bounding_box()["x"]
    table.locator("xpath=..").evaluate("scroll => scroll.scrollLeft = 200")
    assert name.bounding_box()["x"] == before, "it stays where it is"


def test_on_a_desk_the_first_column_and_the_header_stay_in_view(show: Open, many: Path) -> None:
    page = show(many, viewport={"width": 800, "height": 500})
    table = cells_table(page)
    assert not table.locator("td.name").first.is_visible()
    first = table.locator("tbody tr").first.locator("td.first")
    before = first.bounding_box()["x"]
    table.locator("xpath=..").evaluate(
        "scroll => { scroll.style.maxHeight = '100px'; scroll.scrollLeft = 300; scroll.scrollTop = 90 }"
    )
    assert first.bounding_box()["x"] == before
    scroll = table.locator("xpath=..").bounding_box()
    assert abs(table.locator("th.first").bounding_box()["y"] - scroll["y"]) < 2


def test_a_table_shows_the_rows_with_all_words_of_its_filter(show: Open, many: Path) -> None:
    page = show(many)
    table = cells_table(page)
    table.locator("xpath=preceding::input[1]").fill("bf16 DEFAULT")
    assert table.locator("tbody tr:visible").count() == 3
    assert "3 of 12 rows" in page.inner_text("main")


def test_a_link_finds_its_cell_even_behind_a_filter(show: Open, many: Path) -> None:
    page = show(many)
    table = cells_table(page)
    row_ = table.locator("#cell-k004")
    assert row_.locator("a.link").get_attribute("href") == "#cell-k004"
    table.locator("xpath=preceding::input[1]").fill("bf16")
    assert not row_.is_visible()
    page.evaluate("location.hash = '#cell-k004'")
    page.wait_for_function("!document.getElementById('cell-k004').hidden")
    assert row_.is_visible()
    page.goto(many.resolve().as_uri() + "#cell-k011")
    page.reload()
    assert page.locator("tr:target").get_attribute("id") == "cell-k011"


PAINTS = """() => [...document.querySelectorAll("svg path, svg use, svg text")].flatMap(e => {
  const {fill, stroke} = getComputedStyle(e);
  return [fill, stroke];
})"""


def test_figures_follow_dark_mode(show: Open, many: Path) -> None:
    paints, papers = {}, {}
    for scheme in ("light", "dark"):
        page = show(many, color_scheme=scheme)
        papers[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        paints[scheme] = {colour(told) for told in page.evaluate(PAINTS)} - {None}
    light, dark = paints.values()
    assert colour(papers["light"]) in light
    assert colour(papers["dark"]) in dark
    assert colour(papers["light"]) not in dark, "no white paper on a dark page"
    assert (0, 114, 178) in light, "the first colour as it is drawn"
    assert (51, 142, 193) in dark, "and lighter"


def colour(told: str) -> tuple[int, ...] | None:
    """A computed colour as red, green and blue of 255."""
    parts = [float(n) for n in re.findall(r"[\d.]+", told)]
    if told.startswith("color(srgb"):
        return tuple(round(255 * part) for part in parts[:3])
    return tuple(round(part) for part in parts[:3]) if told.startswith("rgb(") else None
