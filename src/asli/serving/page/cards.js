// One card a picture: what its file states, and each detector's answer.
import { send } from "./server.js";
import { domain, number, reason, score, t } from "./texts.js";

const template = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
export const verdictOf = (value, { low, high }) => (value < low ? "real" : value >= high ? "fake" : "unsure");
export const outside = (image) => image.domain !== null && image.domain?.inside === false;
/** Return whether an answer is a verdict, if a forced one. */
export const judges = ({ image, settings }) => !image.error && (!outside(image) || settings.force_domain);
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Return what a file states of AI: true, false, or null where it states nothing that is understood. */
export function stated(image) {
  const claims = [...(image.provenance?.claims ?? []), ...(image.provenance?.credentials?.claims ?? [])];
  if (claims.some((claim) => claim.ai === true)) return true;
  return claims.some((claim) => claim.ai === false) ? false : null;
}

export function unstable(image) {
  const { stability, thresholds } = image;
  // A detector that was not shown to beat a constant answer is unsure of everything, whatever the score.
  if (!stability || image.verdict !== verdictOf(image.score, thresholds)) return false;
  return verdictOf(stability.low, thresholds) !== verdictOf(stability.high, thresholds);
}

/** Make the card of a picture; `acts` are what its buttons do. */
export function makeCard(item, acts) {
  const card = template("card");
  const picture = card.querySelector("img");
  picture.loading = "lazy";
  picture.decoding = "async";
  picture.onload = () => picture.classList.toggle("small", picture.naturalWidth < 128);
  picture.onerror = async () => {
    picture.onerror = () => picture.classList.add("unseen");
    if (Object.values(item.answers).every((one) => one.image.error)) return picture.onerror();
    try { // HEIC or TIFF, say: the server can show what this browser cannot
      const answer = await send("v1/preview", {}, item.file);
      URL.revokeObjectURL(item.url);
      item.url = URL.createObjectURL(await answer.blob());
      picture.src = item.url;
    } catch {
      picture.classList.add("unseen");
    }
  };
  picture.src = item.url;
  card.querySelector("h2").textContent = item.name;
  for (const [name, act] of Object.entries(acts)) card.querySelector(`.${name}`).addEventListener("click", () => act(item));
  item.card = card;
  return card;
}

/** Fill a card with the answers of its picture, in the page's language. */
export function fillCard(item, detectors) {
  const { card } = item;
  const given = detectors.map((one) => item.answers[one.name]).filter(Boolean);
  const retry = card.querySelector(".retry");
  const actions = { retry: t("web.retry"), show: t(item.explaining ? "web.cancel" : item.explained ? "web.explain_close" : "web.explain"), keep: t("web.record"), remove: t("web.remove") };
  for (const [name, text] of Object.entries(actions)) {
    const button = card.querySelector(`.${name}`);
    button.textContent = text;
    button.setAttribute("aria-label", `${text}: ${item.name}`);
  }
  if (retry === document.activeElement) card.querySelector(".remove").focus(); // it may be hidden now
  retry.hidden = !given.some((one) => one.again);
  const scored = given.some((one) => !one.image.error);
  card.querySelector(".keep").hidden = !scored;
  card.querySelector(".show").hidden = !given.some(judges);
  fillStated(card, given);
  const answers = card.querySelector(".answers");
  const errors = new Set(given.map((one) => one.image.error ?? one)); // what no detector can read is shown once
  const told = errors.size === 1 ? given.slice(0, 1) : given;
  answers.classList.toggle("two", told.length > 1);
  answers.replaceChildren(...told.map((one) => makeAnswer(one, told.length > 1, !given.some(judges))));
}

function fillStated(card, given) {
  const image = given.map((one) => one.image).find((one) => one.provenance?.says?.length);
  const box = card.querySelector(".stated");
  box.hidden = !image;
  if (!image) return;
  const ai = stated(image);
  const badge = box.querySelector(".badge");
  badge.classList.toggle("ai", ai === true);
  const head = document.createElement("b");
  head.textContent = `${t(ai ? "web.file_ai" : "web.file_other")}. `;
  const said = document.createElement("span");
  said.textContent = image.provenance.says.slice(0, 2).map((line) => capital(reason(line))).join(" · ");
  badge.replaceChildren(head, said);
  badge.title = t("web.file_note");
  const key = disagreement(given);
  const warning = box.querySelector(".disagree");
  warning.hidden = key === null;
  if (key) warning.textContent = t(key);
}

/** Return the key of the warning that a file's statement and a verdict disagree, or null. */
export function disagreement(given) {
  const claims = given.map((one) => stated(one.image));
  const verdicts = given.map((one) => (outside(one.image) ? null : one.image.verdict));
  if (claims.includes(true)) return verdicts.includes("real") ? "web.disagree_real" : null;
  return claims.includes(false) && verdicts.includes("fake") ? "web.disagree_fake" : null;
}

function makeAnswer({ image, about, settings, measuring, unmeasured }, named, advise) {
  const node = template("answer");
  const heading = node.querySelector("h3");
  heading.hidden = !named;
  heading.textContent = about.name;
  const [verdict, but, points] = [node.querySelector(".verdict strong"), node.querySelector(".but"), node.querySelector(".score")];
  const why = node.querySelector(".why");
  const say = (text, className = "soft") => {
    const line = document.createElement("p");
    Object.assign(line, { className, textContent: text });
    why.append(line);
  };
  const bare = () => {
    points.remove();
    node.querySelector(".scale").remove();
    node.querySelector(".ends").remove();
  };
  if (image.error) {
    node.dataset.verdict = "failed";
    verdict.textContent = t("web.failed");
    say(t("web.error_in", { error: reason(image.error) }));
    bare();
  } else if (outside(image)) {
    node.dataset.verdict = "none";
    verdict.textContent = settings.force_domain ? t("web.outside_forced", { verdict: capital(t(`verdict.${image.verdict}`)) }) : t("web.outside");
    say(t("web.why", { reason: reason(image.domain.why) }));
    // A family's reason states what the nearest member takes; its domain spans gaps between members.
    if (about.kind !== "family") say(t("web.outside_can", { domain: domain(about.domain) }));
    if (advise) say(t("web.outside_do"));
    bare();
  } else {
    node.dataset.verdict = image.verdict;
    verdict.textContent = capital(t(`verdict.${image.verdict}`));
    const range = image.stability && { low: score(image.stability.low), high: score(image.stability.high) };
    if (unstable(image)) {
      verdict.textContent += ",";
      but.textContent = t("web.unstable", range);
    }
    points.textContent = t("web.score", { score: score(image.score) });
    if (verdictOf(image.score, image.thresholds) === "unsure") say(t("web.unsure_band"));
    if (measuring) say(t("web.measuring"), "soft measuring");
    if (unmeasured) say(t("web.unmeasured", { error: unmeasured }));
    if (range && !unstable(image)) say(t(range.low === range.high ? "web.stable_same" : "web.stable", range));
    for (const caveat of image.reasons.filter((text) => !text.startsWith("outside domain"))) say(t("web.caveat", { caveat: reason(caveat) }), "caution");
    fillScale(node, image);
  }
  node.setAttribute("aria-label", [heading.hidden ? "" : about.name, verdict.textContent, but.textContent, points.textContent, ...[...why.children].map((line) => line.textContent)].filter(Boolean).join(" "));
  return node;
}

function fillScale(node, image) {
  const percent = (share) => `${(100 * share).toFixed(2)}%`;
  const scale = node.querySelector(".scale");
  scale.style.setProperty("--low", percent(image.thresholds.low));
  scale.style.setProperty("--high", percent(image.thresholds.high));
  const values = { score: score(image.score), low: number(image.thresholds.low, 2), high: number(image.thresholds.high, 2) };
  scale.setAttribute("aria-label", t("web.scale", values));
  node.querySelector(".mark").style.left = percent(image.score);
  if (image.stability) {
    const range = node.querySelector(".range");
    range.hidden = false;
    range.style.left = percent(image.stability.low);
    range.style.right = percent(1 - image.stability.high);
  }
  const [left, middle, right] = node.querySelectorAll(".ends span");
  middle.textContent = t(image.thresholds.low < image.thresholds.high ? "web.between" : "web.from", values);
  left.textContent = `0 ${t("web.end_real")}`;
  right.textContent = `1 ${t("web.end_fake")}`;
}
