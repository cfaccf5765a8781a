"""The page in a real browser: by mouse, by keyboard alone, in both languages, and by what screen readers get."""

import csv
import hashlib
import json
import re
import shutil
import time

import pytest

from asli.detector.locate import find_detector
from asli.detector.predict import predict
from asli.sample import golden_images
from tests.serving.test_serve import start

TOKEN = "a-token-of-tests"
XMP = (
    b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF"
    b" xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description"
    b" xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' Iptc4xmpExt:DigitalSourceType="
    b"'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'/></rdf:RDF></x:xmpmeta>"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """One picture of each kind that the page shows differently, by the bundled detector's own answers."""
    folder = tmp_path_factory.mktemp("pictures")
    images = [data for _, data in golden_images()]
    found = list(predict(images, "thumbnail", stability=True))

    def unstable(one):
        low, high = one.thresholds.low, one.thresholds.high
        return (one.verdict == "fake" and one.stability.low < high <= one.stability.high) or (
            one.verdict == "real" and one.stability.low < low <= one.stability.high
        )

    steady = [(one, data) for one, data in zip(found, images, strict=True) if one.domain.inside and not unstable(one)]
    chosen = {verdict: next(data for one, data in steady if one.verdict == verdict) for verdict in ("real", "fake")}
    chosen["unstable"] = next(data for one, data in zip(found, images, strict=True) if unstable(one))
    real = chosen["real"]
    chosen["states-ai"] = real[:2] + b"\xff\xe1" + (len(XMP) + 2).to_bytes(2, "big") + XMP + real[2:]
    for name, data in chosen.items():
        (folder / f"{name}.jpg").write_bytes(data)
    from PIL import Image

    Image.effect_noise((300, 200), 50).convert("RGB").save(folder / "outside.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    second = shutil.copytree(find_detector("thumbnail"), tmp_path_factory.mktemp("other") / "second")
    process, address = start("thumbnail", "--detector", second)
    yield address
    process.terminate()
    process.wait(30)


@pytest.fixture
def page(browser, address):
    yield from opened(browser, address)


def opened(browser, address, **settings):
    context = browser.new_context(accept_downloads=True, **{"locale": "en-US", **settings})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.faults = []
    page.on("console", lambda line: page.faults.append(line.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((address, "blob:", "data:")) else page.faults.append(request.url)
        ),
    )
    page.goto(address)
    page.get_by_text(re.compile("trained on|dilatih dengan")).wait_for()
    yield page
    context.close()
    assert page.faults == []


def choose(page, folder, *names):
    before = page.locator("article").count()
    page.set_input_files("#files", [folder / name for name in names])
    page.locator("#status", has_text=re.compile(f"^{before + len(names)} (scored|dinilai)$")).wait_for()


def until(condition):
    """Wait in Python: the page's policy lets a condition be no text that it evaluates."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


def card(page, name):
    return page.locator("article", has=page.get_by_role("heading", name=name, exact=True))


def boxes(within, selector):
    """Return where elements are, in one call: the page draws answers anew when their stability comes."""
    return within.locator(selector).evaluate_all("all => all.map((one) => one.getBoundingClientRect().toJSON())")


@pytest.mark.slow
def test_verdicts_are_those_of_predict(page, pictures):
    names = ["real.jpg", "fake.jpg", "broken.jpg"]
    choose(page, pictures, *names)
    for one in predict([pictures / name for name in names[:2]], "thumbnail"):
        shown = card(page, one.path.rpartition("/")[2])
        assert shown.locator(".verdict strong").inner_text().lower() == one.verdict
        text = shown.locator(".score").inner_text().replace("\u2009", "")
        number = "<0.01" if one.score < 0.005 else ">0.99" if one.score > 0.995 else f"{one.score:.2f}"
        assert text == f"P(fake) {number}"
        assert "Saved again or resized a little" in shown.locator(".answer").get_attribute("aria-label")
    broken = card(page, "broken.jpg")
    assert broken.locator(".verdict").inner_text() == "Not scored"
    assert "not an image of a kind" in broken.inner_text()
    assert broken.locator(".scale").count() == 0


def test_outside_the_domain_there_is_no_score_but_advice(page, pictures):
    choose(page, pictures, "outside.png")
    shown = card(page, "outside.png")
    text = shown.inner_text()
    assert "No verdict: this detector cannot judge this picture" in text
    assert "300 \u00d7 200 pixels" in text
    assert "It can judge JPEG images of 32 px a side, JPEG quality 75." in text
    assert "What to do: look for the original file" in text
    assert "P(fake)" not in text
    assert shown.locator(".scale, .score, .ends").count() == 0
    label = shown.locator(".answer").get_attribute("aria-label")
    assert "300 \u00d7 200 pixels" in label  # screen readers get the reason
    page.locator("#force").check()  # all pictures are scored again
    page.get_by_text(re.compile("forced: this detector cannot judge this picture. Do not rely on it")).wait_for()
    assert "P(fake)" not in shown.inner_text()


def test_what_a_file_states_stands_above_the_score_and_may_disagree(page, pictures):
    choose(page, pictures, "states-ai.jpg", "real.jpg")
    shown = card(page, "states-ai.jpg")
    assert shown.locator(".badge").inner_text().startswith("The file states: AI. AI-generated")
    assert "File and score disagree" in shown.locator(".disagree").inner_text()
    badge, score = boxes(shown, ".badge, .score")
    assert badge["bottom"] <= score["top"]
    assert not card(page, "real.jpg").locator(".stated").is_visible()


def test_a_verdict_that_saving_again_may_change_is_called_unstable(page, pictures):
    choose(page, pictures, "unstable.jpg", "fake.jpg")
    assert "but unstable: saving it again may change the verdict" in card(page, "unstable.jpg").inner_text()
    assert "unstable" not in card(page, "fake.jpg").inner_text()
    page.locator("#stability").uncheck()
    page.locator("#status", has_text=re.compile("^2 scored$")).wait_for()
    until(lambda: "aved again" not in page.locator("#results").inner_text())


def test_the_verdict_is_shown_before_its_stability(page, pictures):
    held = []
    page.route(re.compile("stability=true"), lambda route: held.append(route))
    page.set_input_files("#files", pictures / "fake.jpg")
    shown = card(page, "fake.jpg")
    shown.get_by_text("Measuring whether saving it again").wait_for()
    assert shown.locator(".verdict strong").inner_text() == "Fake"
    assert "measuring the stability of 1 more" in page.locator("#status").inner_text()
    page.get_by_role("button", name="Record: fake.jpg").click()
    assert "Measuring whether saving it again" in page.locator("#record").inner_text()
    until(lambda: held)
    held[0].continue_()
    until(lambda: "Measuring" not in page.locator("#record").inner_text())  # an open record is completed, too
    page.get_by_role("button", name="Close").click()
    assert "Saved again or resized a little" in shown.inner_text()
    page.get_by_role("button", name="Clear").click()
    page.set_input_files("#files", pictures / "fake.jpg")
    shown.get_by_text("Measuring whether saving it again").wait_for()
    page.get_by_role("button", name="Cancel", exact=True).click()
    shown.get_by_text("was not measured: canceled").wait_for()


@pytest.mark.slow
def test_an_explanation_is_checked_and_a_failed_one_is_struck_through(page, pictures):
    choose(page, pictures, "fake.jpg")
    shown = card(page, "fake.jpg")
    with page.expect_response(re.compile("/v1/explain")) as waited:
        shown.get_by_role("button", name="Show where: fake.jpg").click()
    found = json.loads(waited.value.text().splitlines()[-1])["images"][0]["explanation"]
    shown.get_by_text(found["check_in_words"]["en"]).wait_for()
    assert shown.get_by_label("Check the map").is_checked()
    assert shown.locator(".across").count() == (0 if found["check"]["holds"] else 1)
    assert found["check_in_words"]["en"] in shown.locator(".explained").inner_text()
    left, right = boxes(shown, ".maps img")
    assert left["y"] == right["y"]
    assert left["right"] <= right["left"]
    shown.get_by_label("Check the map").uncheck()
    shown.get_by_text("Not checked").wait_for()
    assert shown.locator(".across").count() == 0
    shown.get_by_role("button", name="Hide the map: fake.jpg").click()
    assert not shown.locator(".maps").is_visible()


@pytest.mark.slow
def test_an_explanation_that_is_not_ready_can_be_canceled(page, pictures):
    choose(page, pictures, "fake.jpg", "real.jpg")
    page.route(re.compile("/v1/explain"), lambda _: None)  # never answered
    for stop in ("Cancel: fake.jpg", "Remove: fake.jpg"):
        page.get_by_role("button", name="Show where: fake.jpg").click()
        page.get_by_text("Computing the map").wait_for()
        with page.expect_event("requestfailed") as failed:
            page.get_by_role("button", name=stop).click()
        assert failed.value.failure == "net::ERR_ABORTED"
        assert not page.get_by_text("Computing the map").is_visible()
    page.unroute_all()
    page.get_by_role("button", name="Show where: real.jpg").click()
    page.locator(".maps").wait_for()
    page.locator("#force").check()  # all is scored again: the map is of the former score
    page.get_by_role("button", name="Show where: real.jpg").wait_for()
    assert not page.locator(".maps").is_visible()


def test_results_are_sorted_and_saved(page, pictures):
    choose(page, pictures, "real.jpg", "outside.png", "fake.jpg")
    headings = page.locator("article h2")
    for order, names in (
        ("high", ["fake.jpg", "real.jpg", "outside.png"]),
        ("low", ["real.jpg", "fake.jpg", "outside.png"]),
        ("name", ["fake.jpg", "outside.png", "real.jpg"]),
    ):
        page.locator("#sort").select_option(order)
        until(lambda names=names: headings.all_inner_texts() == names)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [row["file"] for row in rows] == ["real.jpg", "outside.png", "fake.jpg"]
    assert rows[0]["sha256"] == hashlib.sha256((pictures / "real.jpg").read_bytes()).hexdigest()
    assert float(rows[2]["score"]) == pytest.approx(predict(pictures / "fake.jpg", "thumbnail").score, abs=1e-5)
    assert rows[1]["inside_domain"] == "false"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as JSON").click()
    saved = json.loads(download.value.path().read_text())
    assert saved["detector"] == predict([], "thumbnail").detector.to_dict()
    assert [image["path"] for image in saved["images"]] == ["real.jpg", "outside.png", "fake.jpg"]


def test_two_detectors_answer_side_by_side(page, pictures):
    choose(page, pictures, "real.jpg")
    page.locator("#second").select_option("second")
    page.locator(".answer").nth(1).wait_for()
    assert page.locator(".answer h3").all_inner_texts() == ["thumbnail", "second"]
    first, second = boxes(page, ".answer")
    assert first["right"] <= second["left"]


@pytest.mark.slow
def test_a_folder_is_scored_what_is_no_picture_is_counted_and_scoring_can_be_cancelled(page, pictures, tmp_path):
    album = tmp_path / "album" / "inner"
    album.mkdir(parents=True)
    for number in range(60):
        shutil.copy(pictures / "real.jpg", album / f"{number}.jpg")
    (album / "notes.txt").write_text("x")
    dropped = {"items": [], "files": [str(tmp_path / "album")], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 200, "data": dropped})
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text(re.compile("1 files are no pictures")).wait_for()
    scored = page.locator("article").count()
    assert scored < 60
    page.get_by_role("button", name="Clear").click()
    assert page.locator("article").count() == 0
    page.set_input_files("#folder", tmp_path / "album")
    page.locator("#status", has_text=re.compile("^60 scored; 1 files are no pictures")).wait_for()
    assert card(page, "album/inner/7.jpg").count() == 1


def test_a_heic_picture_is_shown_by_the_servers_preview(page, tmp_path):
    heif = pytest.importorskip("pillow_heif")
    from PIL import Image

    heif.register_heif_opener()
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "x.heic")
    choose(page, tmp_path, "x.heic")
    until(lambda: page.locator("article img").evaluate("image => image.naturalWidth") == 256)


def test_a_record_names_file_detector_time_and_settings_on_one_printed_page(page, pictures, tmp_path):
    choose(page, pictures, "fake.jpg")
    page.get_by_role("button", name="Record: fake.jpg").click()
    text = page.locator("#record").inner_text()
    assert hashlib.sha256((pictures / "fake.jpg").read_bytes()).hexdigest() in text
    assert predict([], "thumbnail").detector.hash in text
    assert "stability test: on" in text
    assert re.search(r"Scored at\s+\w+ \d+, 20\d\d at .* UTC", text)
    assert page.evaluate("document.activeElement.id") == "record-title"
    document = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", document)) == 1
    page.get_by_role("button", name="Close").click()
    assert card(page, "fake.jpg").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "Record"


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
    tab_to("e.classList.contains('show')")
    page.keyboard.press("Enter")
    page.locator(".maps").wait_for()
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, address, pictures, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for page in opened(browser, address, color_scheme=scheme, bypass_csp=True):
        assert axe.Axe().run(page).response["violations"] == []
        choose(page, pictures, *(path.name for path in sorted(pictures.iterdir())))
        page.get_by_role("button", name="Show where: fake.jpg").click()
        page.locator(".maps").wait_for()
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
        page.get_by_role("button", name="Record: fake.jpg").click()
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


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
