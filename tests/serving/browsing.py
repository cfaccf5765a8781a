"""What tests do with the page in a browser."""

import re
import time


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
    done = re.compile(r"^(\d+) (?:scored|dinilai)(?:; (\d+) (?:not scored|tidak dinilai))?$")
    until(lambda: (found := done.match(page.locator("#status").inner_text())) and counted(found) == before + len(names))


def counted(found):
    return sum(int(count or 0) for count in found.groups())


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
