// Where in a picture its score comes from: the original beside the map, and whether that map can be trusted.
import { capital } from "./cards.js";
import { lines, send } from "./server.js";
import { current, number, t } from "./texts.js";

const make = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

const SURE = 3; // seconds of checking from which the rest is estimated

/** Show or hide the explanation of a picture below its card; one that is being computed is stopped.
    `query.detector` is one of `names`: the detectors that the reader can choose. */
export async function toggle(item, query, names, redraw) {
  if (item.explained || item.explaining) {
    forget(item);
    redraw(item);
    return;
  }
  item.explainers = names;
  await load(item, { ...query, check: true }, redraw);
}

/** Drop the explanation of a picture; the server stops computing one that is not there yet. */
export function forget(item) {
  item.explaining?.abort();
  item.explaining = item.explained = item.work = null;
  if (item.card) item.card.querySelector(".explained").hidden = true;
}

async function load(item, query, redraw) {
  const own = new AbortController();
  const { signal } = own;
  [item.explaining, item.explained, item.work] = [own, null, { share: 0, found: null, query }];
  const box = boxOf(item);
  if (box.contains(document.activeElement)) item.card.querySelector(".show").focus(); // what was chosen in the box goes
  box.hidden = false;
  drawWork(item);
  redraw(item); // its button stops it now
  try {
    const ask = (method) => send("v1/explain", { ...query, ...method, progress: true }, item.file, signal);
    const answer = await ask({}).catch((error) => {
      if (signal.aborted) throw error;
      return ask({ method: "occlusion" }); // no gradients: int8, for example
    });
    for await (const news of lines(answer)) {
      if (signal.aborted) return;
      if (news.error) throw new Error(news.error);
      item.work.share = news.progress;
      if (news.images && !item.work.found) item.work.since = { share: news.progress, time: performance.now() };
      if (news.images) item.work.found = news.images[0].explanation;
      if (news.images && news.progress < 1) drawWork(item);
      else drawShare(item);
    }
    if (!item.work.found) throw new Error(t("web.silent_one"));
    item.explained = { found: item.work.found, query };
  } catch (error) {
    if (signal.aborted) return;
    box.replaceChildren(make("p", "failed-check", t("web.error_in", { error: error.message })));
  }
  item.explaining = item.work = null;
  redraw(item);
  drawExplanation(item, redraw);
}

const boxOf = (item) => item.card.querySelector(".explained");

/** Draw how far an explanation is, and its map as soon as there is one, which is not checked then. */
function drawWork(item) {
  const { found } = item.work;
  const text = t(found ? "web.checking" : "web.explaining");
  const bar = Object.assign(document.createElement("progress"), { max: 1 });
  bar.setAttribute("aria-label", text);
  const line = make("p", "work");
  line.append(Object.assign(make("span", "", text), { role: "status" }), bar, make("span", "percent"));
  const shown = found ? [maps(found, "waiting"), make("p", "soft", `${t("explain.caption")} ${t("explain.legend")}`)] : [];
  boxOf(item).replaceChildren(...title(item, item.work.query), line, ...shown);
  drawShare(item);
}

function drawShare(item) {
  const { share } = item.work;
  const box = boxOf(item);
  if (!share) return; // the bar moves without a value: the first map takes a while, and so may those of others
  box.querySelector("progress").value = share;
  const left = secondsLeft(item.work);
  const rest = left === null ? "" : `, ${left < 90 ? t("web.seconds_left", { count: number(5 * Math.ceil(left / 5)) }) : t("web.minutes_left", { count: number(Math.round(left / 60)) })}`;
  box.querySelector(".percent").textContent = `${number(100 * share)}\u00a0%${rest}`;
}

/** Return how long a check will take from now on; null while too little of it is done to tell. */
function secondsLeft({ share, since }) {
  const [done, seconds] = since ? [share - since.share, (performance.now() - since.time) / 1000] : [0, 0];
  return done > 0.02 && seconds > SURE && share < 1 ? (seconds * (1 - share)) / done : null;
}

/** Where several detectors answered: whose map it is. */
const title = (item, { detector }) => (item.explainers.length > 1 ? [make("h3", "", t("web.explain_of", { detector }))] : []);

/** Draw an explanation that is there, in the page's language. */
export function drawExplanation(item, redraw) {
  if (item.work) drawWork(item);
  if (!item.explained) return;
  const { found, query } = item.explained;
  const box = item.card.querySelector(".explained");
  const failed = found.check !== null && !found.check.holds;
  const checked = found.check === null ? t("web.unchecked") : found.check_in_words[current()];
  box.replaceChildren(...title(item, query), make("p", failed ? "failed-check" : "", checked), maps(found, failed && "failed"), make("p", "soft", `${t("explain.caption")} ${t("explain.legend")}`));
  box.append(make("p", "soft", made(item.explained)));
  const label = document.createElement("label");
  const check = Object.assign(document.createElement("input"), { type: "checkbox", checked: query.check });
  check.addEventListener("change", () => load(item, { ...query, check: check.checked }, redraw));
  label.append(check, ` ${t("web.explain_check")}`);
  const choices = make("p", "map-choices");
  choices.append(label);
  if (item.explainers.length > 1) choices.append(detectorChoice(item, redraw));
  box.append(choices);
}

function detectorChoice(item, redraw) {
  const { query } = item.explained;
  const [label, select] = [document.createElement("label"), document.createElement("select")];
  select.append(...item.explainers.map((name) => new Option(name, name, false, name === query.detector)));
  select.addEventListener("change", () => load(item, { ...query, detector: select.value }, redraw));
  label.append(`${t("web.explain_choose")} `, select);
  return label;
}

/** Return by which detector and method an explanation was made. */
export function made({ found, query }) {
  const layer = found.layer ? `, ${found.layer} (${found.map_size} × ${found.map_size})` : "";
  return `${t("web.detector")}: ${query.detector}. ${t("explain.method", { method: found.method, layer })}`;
}

/** Return the original beside the map; a warning lies across a map that failed its check or waits for it. */
export function maps(found, state) {
  const both = make("div", "maps");
  for (const [kind, source] of [["view", found.view], ["map", found.map]]) {
    const figure = document.createElement("figure");
    const frame = make("div", "frame");
    const image = Object.assign(document.createElement("img"), { src: source, alt: capital(t(`explain.${kind}`)) });
    image.onload = () => image.classList.toggle("small", image.naturalWidth < 128);
    frame.append(image);
    if (kind === "map" && state) {
      const warning = make("p", `across ${state}`);
      const texts = state === "failed" ? [t("web.warning_1"), document.createElement("br"), t("web.warning_2")] : [t("web.waiting")];
      warning.append(...texts);
      frame.append(warning);
    }
    figure.append(make("figcaption", "", capital(t(`explain.${kind}`))), frame);
    both.append(figure);
  }
  return both;
}
