// A page about one picture, to print or keep: what was scored, by what, when, with which settings.
import { capital, disagreement, outside, unstable } from "./cards.js";
import { made, maps } from "./explanation.js";
import { current, number, reason, t } from "./texts.js";

let open = null;
const make = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

/** Show the record of a picture in place of the page. */
export function showRecord(item, detectors) {
  open = { item, detectors, back: document.activeElement, top: scrollY };
  draw();
  document.body.classList.add("recording");
  const box = document.getElementById("record");
  box.hidden = false;
  scrollTo(0, 0);
  box.querySelector("h1").focus();
}

function close() {
  document.body.classList.remove("recording");
  document.getElementById("record").hidden = true;
  const { back, top } = open;
  open = null;
  scrollTo(0, top);
  back?.focus();
}

export const redrawRecord = () => open && draw();

function draw() {
  const { item, detectors } = open;
  const box = document.getElementById("record");
  const title = Object.assign(make("h1", "", t("web.record_title")), { id: "record-title", tabIndex: -1 });
  const buttons = make("div", "buttons");
  for (const [key, act] of [["record_print", () => print()], ["record_close", close]]) {
    const button = Object.assign(make("button", "", t(`web.${key}`)), { type: "button" });
    button.addEventListener("click", act);
    buttons.append(button);
  }
  const picture = Object.assign(document.createElement("img"), { src: item.url, alt: item.name });
  picture.onload = () => picture.classList.toggle("small", picture.naturalWidth < 128);
  const facts = document.createElement("div");
  const given = detectors.map((one) => item.answers[one.name]).filter((one) => one && !one.image.error);
  facts.append(list([["record_file", item.name], ["record_bytes", null], ["record_sha", given[0].file.sha256, "hash"], ["record_origin", given[0].image.provenance?.says?.map((line) => capital(reason(line))).join("\n") || t("web.record_nothing")]], given[0]));
  const warning = disagreement(given);
  if (warning) facts.append(make("p", "disagree", t(warning)));
  for (const one of given) facts.append(list(about(one), one));
  const grid = make("div", "record-grid");
  grid.append(picture, facts);
  box.replaceChildren(title, buttons, grid);
  if (item.explained) {
    const { found } = item.explained;
    const failed = found.check !== null && !found.check.holds;
    const checked = found.check ? found.check_in_words[current()] : t("web.record_unchecked");
    box.append(maps(found, failed && "failed"), make("p", failed ? "failed-check" : "", checked));
    box.append(make("p", "soft", `${t("explain.caption")} ${t("explain.legend")} ${made(item.explained)}`));
  }
  box.append(make("p", "soft", t("web.record_note")));
}

function about({ image, detector, about: known, time, asli, settings, measuring }) {
  const state = (on) => t(on ? "web.on" : "web.off");
  const exact = (value) => (value < 0.00005 ? `< ${number(0.0001, 4)}` : value > 0.99995 ? `> ${number(0.9999, 4)}` : number(value, 4));
  const out = outside(image);
  const verdict = capital(t(`verdict.${image.verdict}`)) + (unstable(image) && !out ? `, ${t("web.unstable", { low: exact(image.stability.low), high: exact(image.stability.high) })}` : "");
  const stability = measuring ? t("web.measuring") : out || !image.stability ? t("web.record_untested") : t("web.record_range", { low: exact(image.stability.low), high: exact(image.stability.high) });
  const network = known.kind === "family" ? t("web.family", { members: Object.keys(known.member_domains).join(", ") }) : detector.network;
  const notes = [...new Set([...detector.caveats, ...image.reasons.filter((text) => !text.startsWith("outside domain"))])];
  return [
    ["record_detector", `${known.name}: ${network}${image.member ? `; ${t("web.member", { member: image.member })}` : ""}`],
    ["record_verdict", out && settings.force_domain ? t("web.outside_forced", { verdict }) : out ? t("web.outside") : verdict, "strong"],
    ["record_score", out ? t("web.record_none") : exact(image.score)],
    ["record_thresholds", t("web.record_band", { low: exact(image.thresholds.low), high: exact(image.thresholds.high) })],
    ["record_stability", stability],
    ...(notes.length ? [["record_notes", notes.map((text) => capital(reason(text))).join("\n")]] : []),
    ["record_domain", out ? reason(image.domain.why) : t("web.record_inside")],
    ["record_hash", detector.hash ?? "", "hash"],
    ["record_trained", detector.trained_on],
    ["record_settings", [t("web.record_setting_stability", { state: state(settings.stability) }), t("web.record_setting_force", { state: state(settings.force_domain) })].join("; ")],
    ["record_time", new Date(time).toLocaleString(current(), { dateStyle: "long", timeStyle: "long", timeZone: "UTC" })],
    ["record_version", `asli ${asli}`],
  ];
}

function list(rows, { file }) {
  const box = document.createElement("dl");
  for (const [key, value, className = ""] of rows) {
    if (key === "record_bytes") box.lastElementChild.textContent += ` (${t("web.record_bytes", { bytes: number(file.bytes) })})`;
    else box.append(make("dt", "", t(`web.${key}`)), make("dd", className, value));
  }
  return box;
}
