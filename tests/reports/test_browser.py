"""Pages in a real browser: what a reader can do with them, and that their policy lets nothing else run."""

import io

import pytest
from PIL import Image

from asli.messages import message
from asli.reports import plots
from asli.reports.colors import Status
from asli.reports.kit import (
    BaseRate,
    CaptionedImage,
    KeyNumber,
    Report,
    ReportFigure,
    ReportTable,
    Section,
    TableCell,
    measured,
    stacked_rate,
)
from asli.reports.render import write_report
from asli.scanning.gallery_page import render
from asli.scanning.gallery_rows import CATEGORIES


def gradient():
    stream = io.BytesIO()
    Image.linear_gradient("L").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    bins = [{"score": s, "fake": {"value": s, "low": s / 2, "high": (1 + s) / 2, "n": 20}} for s in (0.1, 0.6)]
    rows = [
        ["b <script>alert(1)</script>", *measured({"value": 0.9, "low": 0.8, "high": 0.95, "n": 10})],
        ['a, "quoted"', *measured({"value": 0.123456, "low": 0.05, "high": 0.3, "n": 10})],
        ["c", TableCell(text="", value=None), ""],
    ]
    table = ReportTable(
        columns=["name", "value", "95 % CI"], rows=rows, marked={1: "worst of all: value"}, void={2: "void: no images"}
    )
    whole = {"value": 0.105, "low": 0.0705, "high": 0.155, "n": 200}
    stacked_table = ReportTable(
        columns=["name", *(f"rate {number}" for number in range(24))],
        rows=[["d", *([stacked_rate(whole)] * 24)]],
        caption="Wide",
        void_columns=frozenset({2}),
    )
    drawn = dict.fromkeys(("en", "id"), gradient())
    page = Report(
        title="A report",
        origin="of a test",
        summary=[message("report.like_these", name="cats & dogs")],
        key_numbers=[KeyNumber(title="n", value="1", status=Status.GOOD, meaning="better than chance")],
        base_rate=BaseRate(
            recall=(0.9, 0.8, 1.0),
            false_positive_rate=(0.1, 0.05, 0.2),
            missed=(0.08, 0.04, 0.15),
            cleared=(0.85, 0.7, 0.9),
            photographs=200,
            fakes=100,
        ),
        sections=[
            Section(id="one", title="One", tables=[table, stacked_table]),
            Section(
                id="two", title="Two", figures=[ReportFigure(name="r", title="R", drawing=plots.reliability(bins))]
            ),
            Section(id="three", title="Three", images=[CaptionedImage(data=drawn, lines=["A map"], wide=True)]),
        ],
    )
    return write_report(folder, page)


def opened(browser, path, locale="en-US", **settings):
    page = browser.new_context(locale=locale, accept_downloads=True, **settings).new_page()
    page.set_default_timeout(120_000)
    page.faults = []
    page.on("console", lambda line: page.faults.append(line.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.faults.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    return page


def names(page):
    return [text.split("\n")[0][:1] for text in page.locator("#one table").first.locator("tbody th").all_inner_texts()]


def test_a_table_sorts_and_empty_cells_stay_last(browser, report):
    page = opened(browser, report)
    heading = page.locator("#one thead button").nth(1)
    heading.click()
    assert names(page) == ["a", "b", "c"]
    heading.press("Enter")  # by keyboard, too
    assert names(page) == ["b", "a", "c"]
    assert page.locator("#one thead th").nth(1).get_attribute("aria-sort") == "descending"
    assert page.faults == []


def test_a_table_is_saved_as_csv_in_full_precision(browser, report):
    page = opened(browser, report)
    with page.expect_download() as download:
        page.locator("#one .csv").first.click()
    lines = download.value.path().read_text(encoding="utf-8").replace("\u00a0", " ").splitlines()
    assert lines == [
        "name,value,95 % CI low,95 % CI high",
        "b <script>alert(1)</script>,0.9,0.8,0.95",
        '"a, ""quoted""",0.123456,0.05,0.3',
        "c,,,",
    ]
    with page.expect_download() as download:
        page.locator("#one .csv").nth(1).click()
    lines = download.value.path().read_text(encoding="utf-8").replace("\u00a0", " ").splitlines()
    assert lines[0].startswith('name,rate 0,"rate 0, 95 % CI low","rate 0, 95 % CI high",rate 1,')
    assert lines[1].startswith("d,0.105,0.0705,0.155,0.105,")
    assert page.faults == []


def test_marks_are_words_and_symbols_are_never_alone(browser, report):
    page = opened(browser, report)
    rows = page.locator("#one table").first.locator("tbody tr")
    assert rows.nth(1).locator("th").inner_text().endswith("worst of all: value")
    assert rows.nth(2).locator("th").inner_text().endswith("void: no images")
    assert page.locator(".number .meaning").inner_text().split() == ["✓", "better", "than", "chance"]
    plain, gray = (rows.nth(n).locator("td").first.evaluate("node => getComputedStyle(node).color") for n in (0, 2))
    wide = page.locator("#one table").nth(1).locator("tbody td")
    assert wide.nth(1).evaluate("node => getComputedStyle(node).color") == gray != plain
    assert wide.nth(0).evaluate("node => getComputedStyle(node).color") == plain
    seen = page.locator(".symbol").evaluate_all(
        "all => all.map((one) => [one.ariaHidden, one.parentElement.textContent.length > one.textContent.length])"
    )
    assert seen == [["true", True]] * len(seen)
    for button in page.locator("thead button").all()[:3]:  # no arrow in what screen readers hear
        assert not set("↕↑↓") & set(button.aria_snapshot())


def test_a_table_that_is_too_wide_says_how_to_see_the_rest(browser, report):
    page = opened(browser, report, viewport={"width": 1280, "height": 900})
    hints = page.locator("#one .hint")
    assert not hints.first.is_visible()
    hints.nth(1).wait_for()
    assert hints.nth(1).inner_text() == "Scroll the table sideways to see all columns."
    page.set_viewport_size({"width": 9000, "height": 900})
    page.locator("main").evaluate(
        "node => { node.parentElement.style.maxWidth = 'none'; node.parentElement.style.display = 'block'; }"
    )
    hints.nth(1).wait_for(state="hidden")
    assert page.faults == []


def test_the_slider_says_how_many_alarms_are_false(browser, report):
    page = opened(browser, report)
    alarms, reals = page.locator(".base-rate .alarms"), page.locator(".base-rate .reals")
    assert "If 1 picture in 100 is AI-generated, about 92 of 100 alarms are false" in alarms.inner_text()
    said = reals.inner_text().replace("\u00a0", " ")
    assert said == (
        "If 1 picture in 100 is AI-generated, about 95 of 100,000 pictures called real are AI-generated"
        " (95 % CI 45 to 220)."
    )
    assert (
        "20 of 110 alarms were false; 8 of 178 pictures called real were AI" in page.locator(".base-rate").inner_text()
    )
    page.locator("#base-rate-slider").focus()
    page.keyboard.press("Home")
    assert "If 1 picture in 2 is AI-generated, about 10 of 100 alarms are false" in alarms.inner_text()
    # 0.08 / (0.08 + 0.85), 0.04 / (0.04 + 0.9), 0.15 / (0.15 + 0.7)
    assert "about 86 of 1,000 pictures called real are AI-generated (95\u00a0% CI 43 to 180)" in reals.inner_text()
    page.keyboard.press("End")
    assert "fewer than 1 of 100,000 pictures called real" in reals.inner_text()
    assert page.faults == []


def test_the_server_and_the_script_say_the_same_of_either_verdict(browser, report):
    written = (
        opened(browser, report, java_script_enabled=False).locator(".base-rate .said span:lang(en)").all_inner_texts()
    )
    said = opened(browser, report).locator(".base-rate .said").all_inner_texts()
    assert [text.replace("\u00a0", " ") for text in written] == [text.replace("\u00a0", " ") for text in said]


def test_the_language_is_the_browsers_and_can_be_switched(browser, report):
    page = opened(browser, report, locale="id-ID")
    assert "Angka-angka ini berlaku" in page.locator(".summary").inner_text()
    assert "Jika 1 dari 100" in page.locator(".alarms").inner_text()
    assert "sekitar 95 dari 100.000 gambar yang dinyatakan asli" in page.locator(".reals").inner_text()
    assert page.locator("#three img").evaluate_all("all => all.map((one) => one.checkVisibility())") == [False, True]
    page.get_by_role("button", name="Perbesar A map").click()
    assert page.locator("dialog").evaluate("node => node.ariaLabel") == "Diperbesar"
    assert page.locator("dialog img").get_attribute("lang") == "id"
    page.get_by_role("button", name="Tutup").click()
    page.get_by_role("button", name="English").click()
    assert "These numbers hold for images like those of cats & dogs" in page.locator(".summary").inner_text()
    assert page.locator("html").get_attribute("lang") == "en"


def test_a_figure_shows_its_values_and_is_enlarged(browser, report):
    page = opened(browser, report)
    page.locator("#two [data-tip]").first.hover(force=True)
    assert "mean score 0.100" in page.locator(".tip").inner_text()
    page.locator("#two .enlarge").click()
    assert page.locator("dialog svg").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_does_not_scroll_sideways_and_the_page_prints(browser, report, scheme):
    page = opened(browser, report, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.emulate_media(media="print")
    assert not page.locator("aside").is_visible()
    assert page.locator("thead").first.inner_text().split("\t")[0].strip() == "name"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.slow
def test_fifty_thousand_rows_are_listed_filtered_and_sorted(browser, tmp_path):
    from importlib import resources
    from types import SimpleNamespace

    rows = [
        [0, f"{n:05}<b>.jpg", None if n % 5 == 4 else n / 50_000, n % 5, "" if n % 5 == 4 else "fake", n % 5, [], None]
        for n in range(50_000)
    ]
    texts = ["", "", "", "too large", "empty file"]
    places = [{"shown": "photos/", "link": "photos/"}]
    data = {"rows": rows, "texts": texts, "places": places, "categories": CATEGORIES}
    result = {
        "images": 50_000, "out": "t.parquet", "not_images": {}, "unsafe_entries": 0, "verdicts": {},
        "detector": {"network": "n", "hash": "0" * 64, "trained_on": "d"},
    }  # fmt: skip
    template, script = (
        (resources.files("asli") / "scanning" / name).read_text() for name in ("gallery.html.j2", "gallery.js")
    )
    path = tmp_path / "page.html"
    text = render(
        template, "en", scripts=(script,), result=result, counts=dict.fromkeys(CATEGORIES, 10_000), listed=50_000,
        limit=50_000, rows=data, bars=[(0, 1, 1, 100, "fake")],
        tables=[], called="n", bands={"": SimpleNamespace(low=0.3, high=0.7, caveats=())},
    )  # fmt: skip
    path.write_text(text)
    page = opened(browser, path)
    page.faults.clear()  # the files of this list are not there
    found, items = page.locator("#found"), page.locator(".item")
    assert found.inner_text() == "50,000 of 50,000 images shown."
    assert 3 < items.count() < 40
    assert items.first.locator(".name").inner_text() == "photos/49997<b>.jpg"  # 49998 lies outside the domain
    page.locator("#search").fill("00123")
    assert found.inner_text() == "1 of 50,000 images shown."
    assert "too large" in items.first.inner_text()
    assert items.first.locator("a").get_attribute("href") == "photos/00123%3Cb%3E.jpg"
    page.locator("#search").fill("")
    for box in page.locator(".kinds input").all()[:-1]:
        box.uncheck()
    assert found.inner_text() == "10,000 of 50,000 images shown."
    page.evaluate("document.querySelector('.list').scrollTop = 1e9")
    page.wait_for_function("document.querySelector('.list .space').lastElementChild.textContent.includes('49999')")
    assert items.count() < 40
