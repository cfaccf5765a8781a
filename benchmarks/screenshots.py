"""Measure the rule that holds screenshots and drawings back: its errors on rendered pages and on photographs.

usage: python benchmarks/screenshots.py RENDERED PHOTOGRAPHS... [--pages 100] [--out results.json]

RENDERED gets 100 pages as headless Chromium shows them (Playwright), of 20 seeded layouts: articles, tables, code,
forms, chats, dashboards, slides, charts, maps and drawings, light and dark, on screens of three densities; half as PNG,
half as JPEG of quality 70 to 95. PHOTOGRAPHS are folders of photographs, all of whose images are counted.
"""

import argparse
import json
import random
import shutil
from pathlib import Path

import numpy as np

from asli.datasets.images import decode, is_image
from asli.detector.drawn import LIMITS, drawn_statistics, why_drawn
from asli.metrics.intervals import wilson
from asli.transforms.preprocessing import Preprocessing

SEEN = Preprocessing(224, "bicubic", (0.5,) * 3, (0.5,) * 3, "grid", crops=4, short_side=1024)
WORDS = [
    *("light", "camera", "river", "window", "report", "market", "station", "garden", "figure", "season", "music"),
    *("letter", "paper", "engine", "harbor", "signal", "mountain", "budget", "weather", "kitchen", "bridge", "archive"),
    *("museum", "planet", "village", "theory", "ticket", "winter", "summer", "archive"),
]


def text(rng, count):
    return " ".join(rng.choice(WORDS) for _ in range(count)).capitalize() + "."


def article(rng):
    parts = "".join(f"<h2>{text(rng, 4)}</h2><p>{text(rng, 70)}</p><p>{text(rng, 50)}</p>" for _ in range(6))
    return f"<main style='max-width:{rng.randint(480, 900)}px;margin:auto'><h1>{text(rng, 6)}</h1>{parts}</main>"


def table(rng):
    rows = "".join(
        "<tr>" + "".join(f"<td>{rng.choice(WORDS)} {rng.randint(1, 9999):,}</td>" for _ in range(7)) + "</tr>"
        for _ in range(40)
    )
    return f"<table border=1 cellpadding=6 style='border-collapse:collapse;width:100%'>{rows}</table>"


def code(rng):
    keys = ("def", "return", "for", "if", "while", "import")
    lines = "\n".join(
        " " * (4 * rng.randint(0, 3))
        + f"{rng.choice(keys)} {rng.choice(WORDS)}_{rng.choice(WORDS)}({rng.randint(0, 99)})"
        for _ in range(60)
    )
    return f"<pre style='font:15px monospace;background:#0b1021;color:#d6deeb;padding:20px'>{lines}</pre>"


def form(rng):
    fields = "".join(
        f"<p><label>{text(rng, 2)}</label><br><input style='width:60%;padding:8px' value='{rng.choice(WORDS)}'></p>"
        for _ in range(9)
    )
    return f"<form style='padding:30px'>{fields}<button style='padding:10px 30px'>{rng.choice(WORDS)}</button></form>"


def chat(rng):
    return "".join(
        f"<div style='margin:10px;padding:12px;border-radius:16px;max-width:60%;margin-left:{rng.choice((10, 400))}px;"
        f"background:{rng.choice(('#dcf8c6', '#e5e5ea', '#b3d7ff'))};color:#111'>{text(rng, rng.randint(3, 30))}</div>"
        for _ in range(14)
    )


def dashboard(rng):
    cards = "".join(
        f"<div style='background:linear-gradient({rng.randint(0, 180)}deg,{color(rng)},{color(rng)});color:#fff;"
        f"border-radius:10px;padding:24px;width:220px;height:120px'>"
        f"<b>{rng.randint(1, 99999):,}</b><br>{text(rng, 3)}</div>"
        for _ in range(12)
    )
    return f"<div style='display:flex;flex-wrap:wrap;gap:16px;padding:20px'>{cards}</div>{chart(rng)}"


def color(rng):
    return f"hsl({rng.randint(0, 359)},{rng.randint(20, 90)}%,{rng.randint(25, 75)}%)"


def chart(rng):
    bars = "".join(
        f"<rect x='{40 + 60 * k}' y='{400 - (h := rng.randint(20, 360))}' width='44' height='{h}' fill='{color(rng)}'/>"
        for k in range(14)
    )
    line = " ".join(f"{40 + 30 * k},{rng.randint(40, 380)}" for k in range(29))
    return (
        f"<svg width='940' height='440' style='background:#fff'>{bars}"
        f"<polyline points='{line}' fill='none' stroke='#222' stroke-width='3'/></svg>"
    )


def drawing(rng):
    shapes = "".join(
        f"<ellipse cx='{rng.randint(0, 1200)}' cy='{rng.randint(0, 800)}' rx='{rng.randint(20, 260)}'"
        f" ry='{rng.randint(20, 200)}' fill='{color(rng)}' stroke='#111' stroke-width='{rng.randint(0, 6)}'/>"
        for _ in range(40)
    )
    return f"<svg width='1200' height='800' style='background:{color(rng)}'>{shapes}</svg>"


def slides(rng):
    items = "".join(f"<li style='margin:18px'>{text(rng, 7)}</li>" for _ in range(6))
    return f"<div style='padding:60px;font-size:30px;min-height:700px'><h1>{text(rng, 4)}</h1><ul>{items}</ul></div>"


def streets(rng):
    roads = "".join(
        f"<path d='M{rng.randint(-50, 1250)} {rng.randint(-50, 850)} Q{rng.randint(0, 1200)} {rng.randint(0, 800)}"
        f" {rng.randint(-50, 1250)} {rng.randint(-50, 850)}' fill='none'"
        f" stroke='{rng.choice(('#fff', '#f7c873', '#ddd'))}'"
        f" stroke-width='{rng.randint(4, 18)}'/>"
        for _ in range(60)
    )
    names = "".join(
        f"<text x='{rng.randint(0, 1150)}' y='{rng.randint(20, 780)}' font-size='14'>{rng.choice(WORDS)}</text>"
        for _ in range(50)
    )
    return f"<svg width='1200' height='800' style='background:#e8e4da'>{roads}{names}</svg>"


LAYOUTS = (article, table, code, form, chat, dashboard, chart, drawing, slides, streets)


def render(folder, pages):
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for number in range(pages):
            if list(folder.glob(f"{number:03}.*")):
                continue
            rng = random.Random(number)
            dark = number % 20 >= 10
            page = browser.new_page(
                viewport={"width": rng.choice((390, 1024, 1366)), "height": rng.choice((768, 844))},
                device_scale_factor=rng.choice((1, 1.5, 2)),
            )
            style = "background:#15181c;color:#e6e6e6" if dark else "background:#fff;color:#111"
            family = rng.choice(("serif", "sans-serif", "monospace"))
            body = LAYOUTS[number % len(LAYOUTS)](rng)
            page.set_content(f"<body style='margin:0;font:17px {family};{style}'>{body}</body>")
            if number % 2:
                page.screenshot(path=folder / f"{number:03}.jpg", type="jpeg", quality=rng.randint(70, 95))
            else:
                page.screenshot(path=folder / f"{number:03}.png")
            page.close()
        browser.close()


def judged(files):
    """Return which of the files the rule holds back, and each one's statistics."""
    held, values = [], []
    for file in files:
        fitted = SEEN.to_input(decode(file.read_bytes())[0])
        values.append(drawn_statistics([fitted])[0])
        held.append(why_drawn(values[-1]) is not None)
    return np.array(held), np.array(values)


def summary(name, files):
    held, values = judged(files)
    low, high = wilson(float(held.mean()), len(held))
    quantiles = np.quantile(values, [0, 0.05, 0.5, 0.95, 0.99, 1], axis=0).round(3).T.tolist()
    result = {
        "set": name,
        "n": len(held),
        "held_back": int(held.sum()),
        "low": low,
        "high": high,
        "quantiles": quantiles,
    }
    print(f"{name}: {held.sum()} of {len(held)} held back ({held.mean():.1%}, 95 % CI {low:.1%} to {high:.1%})")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rendered", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    render(given.rendered, given.pages)
    results = [summary("rendered pages", sorted(given.rendered.iterdir()))]
    for folder in given.photographs:
        files = sorted(file for file in folder.rglob("*") if file.is_file() and is_image(file.name))
        results.append(summary(folder.name, files))
    if given.out:
        given.out.write_text(json.dumps({"limits": LIMITS, "sets": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
