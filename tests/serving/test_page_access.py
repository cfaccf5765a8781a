"""The page by keyboard alone, in both languages, on a phone, by what screen readers get, and with a token."""

import pytest

from tests.serving.browsing import card, choose, opened, until
from tests.serving.test_serve import start

TOKEN = "a-token-of-tests"


def test_the_language_is_the_browsers_and_everything_switches(browser, address, pictures):
    for page in opened(browser, address, locale="id-ID"):
        choose(page, pictures, "outside.png", "fake.jpg", "states-ai.jpg")
        badge = card(page, "states-ai.jpg").locator(".badge").inner_text()
        assert badge == "Berkas menyatakan: AI. Buatan AI; XMP DigitalSourceType, tidak ditandatangani"
        assert page.locator("h1").inner_text() == "Foto asli atau buatan AI?"
        assert "300 \u00d7 200 piksel" in card(page, "outside.png").inner_text()
        assert card(page, "fake.jpg").locator(".verdict strong").inner_text().startswith("Palsu")
        page.get_by_role("button", name="Catatan: fake.jpg").click()
        assert "SHA-256 berkas" in page.locator("#record").inner_text()
        page.get_by_role("button", name="Tutup").click()
        page.get_by_role("button", name="English").click()
        assert card(page, "fake.jpg").locator(".verdict strong").inner_text().startswith("Fake")
        assert page.locator("html").get_attribute("lang") == "en"


def test_by_keyboard_alone(page):
    """Choose an example, read, show where, keep a record, change an option, clear: without a pointer."""
    visited = []

    def tab_to(check, most=40):
        for _ in range(most):
            page.keyboard.press("Tab")
            visited.append(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
            if page.evaluate(f"(() => {{ const e = document.activeElement; return {check}; }})()"):
                outline = page.evaluate(
                    "(() => { const e = document.activeElement; const label = e.nextElementSibling;"
                    " return [e, e.type === 'file' ? label : null].some((n) => n &&"
                    " getComputedStyle(n).outlineStyle !== 'none'); })()"
                )
                assert outline, f"no visible focus at {visited[-1]}"
                return
        raise AssertionError(f"not reached by Tab: {check}; visited {visited}")

    tab_to("e.id === 'files'")
    tab_to("e.id === 'folder'")
    tab_to("e.closest('#examples')")
    page.keyboard.press("Enter")
    page.locator("#status", has_text="1 scored").wait_for()
    tab_to("e.id === 'stability'")
    page.keyboard.press("Space")
    until(lambda: "aved again" not in page.locator("#results").inner_text())
    tab_to("e.id === 'second'")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.locator(".answers.two").wait_for()
    tab_to("e.classList.contains('show')")
    page.keyboard.press("Enter")
    page.locator(".work").wait_for()
    page.keyboard.press("Enter")  # the same button cancels
    until(lambda: not page.locator(".explained").is_visible())
    page.keyboard.press("Enter")
    page.locator(".map-choices").wait_for()
    tab_to("e.type === 'checkbox' && e.closest('.explained')")
    page.keyboard.press("Space")
    page.get_by_text("Not checked: tick the box below").wait_for()
    assert page.evaluate("document.activeElement.classList.contains('show')")
    page.keyboard.press("Shift+Tab")
    tab_to("e.classList.contains('keep')")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "record-title"
    tab_to("e.textContent === 'Close'")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.classList.contains('keep')")
    tab_to("e.classList.contains('remove')")
    page.keyboard.press("Enter")
    assert page.locator("article").count() == 0
    assert page.evaluate("document.activeElement.id") == "files"


def findings(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found]


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "id-ID")])
def test_axe_finds_nothing(browser, address, pictures, scheme, locale):
    show, record = ("Show where", "Record") if locale == "en-US" else ("Tunjukkan di mana", "Catatan")
    for page in opened(browser, address, color_scheme=scheme, locale=locale, bypass_csp=True):
        assert findings(page) == []
        page.locator("#second").select_option("second")
        choose(page, pictures, *(path.name for path in sorted(pictures.iterdir())))  # one of them is an error
        assert page.locator(".answers.two").count() == 5
        assert findings(page) == []
        page.get_by_role("button", name=f"{show}: fake.jpg").click()
        page.locator(".work progress").wait_for()
        assert findings(page) == []
        page.locator(".map-choices").wait_for()
        assert findings(page) == []
        page.get_by_role("button", name=f"{record}: fake.jpg").click()
        assert findings(page) == []


def test_a_phone_does_not_scroll_sideways(browser, address, pictures):
    for page in opened(browser, address, viewport={"width": 360, "height": 740}, locale="id-ID"):
        choose(page, pictures, *(path.name for path in sorted(pictures.iterdir())))
        assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.slow
def test_the_page_asks_for_a_token(browser, pictures):
    process, address = start("thumbnail", environment={"ASLI_TOKEN": TOKEN})
    try:
        page = browser.new_context(locale="en-US").new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        field = page.get_by_label("This server asks for an access token")
        field.fill("wrong")
        page.keyboard.press("Enter")
        field.wait_for()
        field.fill(TOKEN)
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("trained on").wait_for()
        choose(page, pictures, "fake.jpg")
        page.context.close()
    finally:
        process.terminate()
        process.wait(30)
