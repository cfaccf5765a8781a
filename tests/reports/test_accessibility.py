"""Pages as the commands write them: axe finds nothing in them, and a phone does not scroll sideways."""

import numpy as np
import pytest
from PIL import Image

from asli.auditing import shortcuts
from asli.auditing.audit import audit
from asli.evaluation.compare import compare
from asli.evaluation.evaluate import evaluate
from asli.explanation.explain import explain
from asli.sample import golden_images
from asli.scanning.scan import scan

pytestmark = pytest.mark.slow

PAGES = ("report/report.html", "compare/report.html", "audit.html", "gallery.html", "explained/explain.html")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, duplicated):
    root = tmp_path_factory.mktemp("pages")
    pictures = root / "pictures"
    pictures.mkdir()
    for number, (_, data) in list(enumerate(golden_images()))[::16]:
        (pictures / f"{number:02}.jpg").write_bytes(data)
    (pictures / "broken.jpg").write_bytes(b"no image")
    Image.effect_noise((300, 200), 50).convert("RGB").save(pictures / "outside.png")
    ids = duplicated.table(["id"], np.arange(len(duplicated)))["id"].to_pylist()
    guesses = dict(zip(ids, np.random.default_rng(0).random(len(ids)).tolist(), strict=True))
    evaluate("thumbnail", duplicated, out=root / "report", robustness=4, against=[guesses])
    others = [{name: abs(score - shift) for name, score in guesses.items()} for shift in (0.2, 0.4)]
    compare(["thumbnail", guesses, *others], duplicated, out=root / "compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shortcuts, "PERMUTATIONS", 2)  # the page is of the same form
        audit(duplicated, html=root / "audit.html")
    scan([pictures], root / "scores.csv", "thumbnail", html=root / "gallery.html")
    explain(sorted(pictures.iterdir()), "thumbnail", out=root / "explained", check=True)
    return root


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser, pages, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for scheme, locale in (("light", "en-US"), ("dark", "id-ID")):
        # The pages' own policy would keep axe out.
        page = browser.new_context(color_scheme=scheme, locale=locale, bypass_csp=True).new_page()
        page.goto((pages / name).as_uri())
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
        page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_every_table_fits_a_laptop_and_a_phone_shows_how_to_see_the_rest(browser, pages, name):
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto((pages / name).as_uri())
    wide = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth)"
    assert page.evaluate(f"{wide}.map((one) => one.getAttribute('aria-label'))") == []
    assert (
        page.evaluate("[...document.querySelectorAll('pre')].filter((one) => one.scrollWidth > one.clientWidth)") == []
    )
    assert page.locator(".hint:visible").count() == 0
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function(
        f"{wide}.length === [...document.querySelectorAll('.hint')].filter((one) => one.checkVisibility()).length"
    )
    page.context.close()


@pytest.mark.parametrize("name", ["report/report.html", "compare/report.html"])
def test_a_void_comparison_looks_void(browser, pages, name):
    """The bundled detector was trained on these images."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto((pages / name).as_uri())
    rows = page.locator("#comparison .table").first.locator("tbody tr")
    assert rows.count() >= 3
    for row in rows.all():
        assert "void" in row.get_attribute("class")
        assert row.locator(".symbol").get_attribute("class") == "symbol void"
        assert "void: trained on these images" in row.inner_text()
        assert row.locator("circle").get_attribute("fill") == "var(--ground)"
    assert page.locator("#side-by-side .symbol.good").count() == 0
    assert "void: trained on these images" in page.locator("#side-by-side .table").nth(1).inner_text()
    drawing = page.locator("#comparison figure svg")
    marks = drawing.locator("use:not(.hover use)").evaluate_all("all => all.map((one) => one.getAttribute('style'))")
    shown = [style for style in marks if "var(--real)" in style]
    assert shown == []
    assert sum("fill-opacity: 0" in style and "var(--void)" in style for style in marks) == rows.count()
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_does_not_scroll_sideways(browser, pages, name):
    page = browser.new_context(viewport={"width": 390, "height": 800}, locale="id-ID").new_page()
    page.goto((pages / name).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    if name == "audit.html":  # findings and remedies need no scrolling either
        cells = [cell.bounding_box() for cell in page.locator("#checks td").all()]
        assert len(cells) >= 15
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in cells)
        assert "finding" in page.locator("#checks td").nth(1).get_attribute("data-label")
    page.context.close()
