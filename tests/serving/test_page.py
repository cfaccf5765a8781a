"""The page in a real browser: what it shows of pictures, and what one can do with it."""

import csv
import hashlib
import json
import re
import shutil

import pytest

from asli.detector.predict import predict
from tests.serving.browsing import boxes, card, choose, until


@pytest.mark.slow
def test_verdicts_are_those_of_predict(page, pictures):
    names = ["real.jpg", "fake.jpg", "broken.jpg"]
    choose(page, pictures, *names)
    for one in predict([pictures / name for name in names[:2]], "thumbnail"):
        shown = card(page, one.path.rpartition("/")[2])
        assert shown.locator(".verdict strong").inner_text().lower() == one.verdict
        text = shown.locator(".score").inner_text().replace("\u202f", "")
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
    assert "It can judge JPEG images of 32 px a side (JPEG quality 75)." in text
    assert "What to do: look for the original file" in text
    assert "P(fake)" not in text
    assert not shown.locator(".show").is_visible()  # where does a score come from that there is not?
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
    choose(page, pictures, "real.jpg", "broken.jpg")
    page.locator("#second").select_option("second")
    page.locator(".answers.two").wait_for()
    shown = card(page, "real.jpg")
    assert shown.locator(".answer h3").all_inner_texts() == ["thumbnail", "second"]
    first, second = boxes(shown, ".answer")
    assert first["right"] <= second["left"]
    about = page.locator("#about p").all_inner_texts()
    assert [text.split(",")[0] for text in about] == ["Detector thumbnail", "Detector second"]
    until(lambda: card(page, "broken.jpg").locator(".verdict").count() == 1)  # neither can read it: told once
    assert page.locator("#second option").evaluate_all("all => all.map((one) => one.disabled)") == [False, True, False]
    page.locator("#first").select_option("second")  # one detector beside itself compares nothing
    until(lambda: page.locator("#second").input_value() == "")


@pytest.mark.slow
def test_a_map_names_its_detector_and_the_other_can_be_chosen(page, pictures):
    page.locator("#second").select_option("second")
    choose(page, pictures, "fake.jpg")
    shown = card(page, "fake.jpg")
    shown.get_by_role("button", name="Show where: fake.jpg").click()
    shown.get_by_role("heading", name="Map of thumbnail").wait_for()
    choice = shown.get_by_label("Detector of the map")
    choice.focus()
    choice.select_option("second")
    shown.get_by_role("heading", name="Map of second").wait_for()
    assert page.evaluate("document.activeElement.className") == "show"  # what was chosen in is drawn anew
    shown.get_by_label("Detector of the map").wait_for()
    page.get_by_role("button", name="Record: fake.jpg").click()
    assert "Detector: second. Method: grad-cam" in page.locator("#record").inner_text()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1  # two detectors and a map, too


def test_a_picture_that_found_no_answer_can_be_sent_again(page, pictures):
    page.route(re.compile("/v1/predict"), lambda route: route.abort())
    page.set_input_files("#files", [pictures / "fake.jpg"])
    shown = card(page, "fake.jpg")
    shown.get_by_text("the server did not answer").wait_for()
    page.unroute_all()
    page.faults.clear()  # the browser's word on the aborted request
    page.get_by_role("button", name="Try again: fake.jpg").focus()
    page.keyboard.press("Enter")
    shown.locator(".score").wait_for()
    assert not shown.locator(".retry").is_visible()
    assert page.evaluate("document.activeElement.className") == "remove"
    choose(page, pictures, "broken.jpg")
    assert not card(page, "broken.jpg").locator(".retry").is_visible()  # it would end the same way


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
    page.get_by_text("left out, since not a picture: 1").wait_for()
    scored = page.locator("article").count()
    assert scored < 60
    page.get_by_role("button", name="Clear").click()
    assert page.locator("article").count() == 0
    page.set_input_files("#folder", tmp_path / "album")
    page.locator("#status", has_text=re.compile("^60 scored; left out, since not a picture: 1$")).wait_for()
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
    assert text.index("Detector\n") < text.index("Verdict\n")  # of two, the reader first learns whose verdict it is
    assert re.search(r"Scored at\s+\w+ \d+, 20\d\d at .* UTC", text)
    assert page.evaluate("document.activeElement.id") == "record-title"
    document = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", document)) == 1
    page.get_by_role("button", name="Close").click()
    assert card(page, "fake.jpg").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "Record"
