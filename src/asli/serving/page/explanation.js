// Where in a picture its score comes from: the original beside the map, and whether that map can be trusted.
import { capital } from "./cards.js";
import { send } from "./server.js";
import { current, t } from "./texts.js";

const make = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

/** Show or hide the explanation of a picture below its card; one that is being computed is stopped. */
export async function toggle(item, query, redraw) {
  if (item.explained || item.explaining) {
    forget(item);
    redraw(item);
    return;
  }
  await load(item, { ...query, check: true }, redraw);
}

/** Drop the explanation of a picture; the server stops computing one that is not there yet. */
export function forget(item) {
  item.explaining?.abort();
  item.explaining = item.explained = null;
  if (item.card) item.card.querySelector(".explained").hidden = true;
}

async function load(item, query, redraw) {
  const box = item.card.querySelector(".explained");
  const own = new AbortController();
  const { signal } = own;
  [item.explaining, item.explained] = [own, null];
  box.hidden = false;
  box.replaceChildren(Object.assign(make("p", "soft", t("web.explaining")), { role: "status" }));
  redraw(item); // its button stops it now
  try {
    const answer = await send("v1/explain", query, item.file, signal).catch((error) => {
      if (signal.aborted || query.method === "occlusion") throw error;
      return send("v1/explain", { ...query, method: "occlusion" }, item.file, signal); // no gradients: int8, for example
    });
    const { images } = await answer.json();
    if (signal.aborted) return;
    item.explained = { found: images[0].explanation, query };
  } catch (error) {
    if (signal.aborted) return;
    box.replaceChildren(make("p", "failed-check", t("web.error_in", { error: error.message })));
  }
  item.explaining = null;
  redraw(item);
  drawExplanation(item, redraw);
}

/** Draw an explanation that is there, in the page's language. */
export function drawExplanation(item, redraw) {
  if (!item.explained) return;
  const { found, query } = item.explained;
  const box = item.card.querySelector(".explained");
  const failed = found.check !== null && !found.check.holds;
  box.replaceChildren(make("p", failed ? "failed-check" : "", found.check_in_words[current()]), maps(found, failed), make("p", "soft", `${t("explain.caption")} ${t("explain.legend")}`));
  const layer = found.layer ? `, ${found.layer} (${found.map_size} × ${found.map_size})` : "";
  box.append(make("p", "soft", `${t("web.detector")}: ${query.detector}. ${t("explain.method", { method: found.method, layer })}`));
  const label = document.createElement("label");
  const check = Object.assign(document.createElement("input"), { type: "checkbox", checked: query.check });
  check.addEventListener("change", () => load(item, { ...query, check: check.checked }, redraw));
  label.append(check, ` ${t("web.explain_check")}`);
  box.append(label);
}

/** Return the original beside the map; a warning lies across a map that failed its check. */
export function maps(found, failed) {
  const both = make("div", "maps");
  for (const [kind, source] of [["view", found.view], ["map", found.map]]) {
    const figure = document.createElement("figure");
    const frame = make("div", "frame");
    const image = Object.assign(document.createElement("img"), { src: source, alt: capital(t(`explain.${kind}`)) });
    image.onload = () => image.classList.toggle("small", image.naturalWidth < 128);
    frame.append(image);
    if (kind === "map" && failed) {
      const warning = make("p", "across");
      warning.append(t("web.warning_1"), document.createElement("br"), t("web.warning_2"));
      frame.append(warning);
    }
    figure.append(make("figcaption", "", capital(t(`explain.${kind}`))), frame);
    both.append(figure);
  }
  return both;
}
