"""Take the pictures of the report and the page that the README shows.

    python tools/screenshots.py [--out docs/figures] [--report report.html]

A real server with the bundled detector, real pictures of the sample, a real Chromium (extra `test`; apt install
chromium). The report is that of the demonstration unless one is given: `asli demo` first takes minutes.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from asli.demonstration import demo
from asli.sample import golden_images

WIDTH, HEIGHT = 1200, 900


def shoot_page(browser: Any, folder: Path, out: Path) -> None:
    """Photograph the page of `asli serve` with three scored pictures, one of them explained."""
    for number in (60, 40):
        (folder / f"picture-{number}.jpg").write_bytes(golden_images()[number][1])
    shutil.copy(Path(__file__).parents[1] / "docs" / "figures" / "near-duplicates.png", folder / "screenshot.png")
    command = [sys.executable, "-m", "asli", "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://[\d.]+:\d+", line)))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
        page.goto(address)
        page.get_by_text("trained on").wait_for()
        page.set_input_files("#files", sorted(folder.iterdir()))
        page.locator("#status", has_text=re.compile("^3 scored")).wait_for(timeout=120_000)
        page.locator("article", has_text="picture-40").locator(".show").click()
        page.get_by_text(re.compile("^Check (passed|failed)")).wait_for(timeout=300_000)
        page.wait_for_timeout(500)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=out / "page.png", full_page=True)
        page.close()
    finally:
        process.terminate()
        process.wait(30)


def shoot_report(browser: Any, report: Path, out: Path) -> None:
    """Photograph the first screen of a report."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
    page.goto(report.resolve().as_uri())
    page.screenshot(path=out / "report.png")
    page.close()


def main() -> None:
    """Take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = asked.report or demo(Path(folder) / "demo").report
        (pictures := Path(folder) / "pictures").mkdir()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        shoot_page(browser, pictures, asked.out)
        shoot_report(browser, report, asked.out)
        browser.close()


if __name__ == "__main__":
    main()
