"""Take the pictures of the README: a report, and the page of `asli serve` with scored pictures.

    asli demo
    python tools/take_screenshots.py asli-demo [docs/images]

Needs Chromium on the PATH and the extras `serve` and `test`.
"""

import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PORT = 8765


def report(page: Page, demo: Path, out: Path) -> None:
    """Photograph the upper part of the demonstration's report."""
    found = next(demo.rglob("report.html"))
    page.goto(found.resolve().as_uri())
    page.screenshot(path=out / "report.png")


def served(page: Page, pictures: list[Path], out: Path) -> None:
    """Photograph the page after it has scored some pictures."""
    server = subprocess.Popen([sys.executable, "-m", "asli", "serve", "--port", str(PORT)])  # noqa: S603  our own command
    try:
        _wait(f"http://127.0.0.1:{PORT}/health")
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.set_input_files("input[type=file]", pictures)
        page.locator("article .verdict strong").nth(len(pictures) - 1).wait_for(state="visible")
        page.wait_for_function("[...document.querySelectorAll('article .verdict strong')].every(e => e.textContent)")
        page.screenshot(path=out / "page.png")
    finally:
        server.terminate()
        server.wait()


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=1)  # noqa: S310  our own server
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")


def main(demo: Path, out: Path) -> None:
    """Take both pictures at the same size."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = sorted((demo / "pictures").rglob("*.jpg"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 700})
        report(page, demo, out)
        served(page, pictures, out)
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(*sys.argv[2:] or ["docs/images"]))
