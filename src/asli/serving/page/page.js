"use strict";

// Pictures are sent one by one, two at a time: each appears as soon as it is scored, and one too large fails alone.
const AT_ONCE = 2;
const TRIES = 6; // at a busy server, ever further apart
const find = (id) => document.getElementById(id);
const results = [];
let limits = { bytes: Infinity };
let detector = null;
let thresholds = { low: 0.5, high: 0.5 };
let waiting = [];
let running = 0;
let done = 0;
let total = 0;
let left = ""; // folders among what was dropped

async function describe() {
  const answer = await fetch("v1/detector");
  if (!answer.ok) throw new Error(answer.status);
  const about = await answer.json();
  limits = about.limits;
  thresholds = about.thresholds;
  const [low, high] = about.domain.sizes;
  const sizes = low === high ? `${low} px` : `${low} to ${high} px`;
  const known = about.domain.formats.length > 0;
  find("about").textContent = !known
    ? `Model: ${about.network}. Supported input: not known. ${about.caveats.join("; ")}`
    : `Asked is ${about.network}, trained on ${about.trained_on}: it knows ${about.domain.formats.join(", ")} pictures of ${sizes} a side.`;
}

function take(files) {
  const pictures = [...files];
  total += pictures.length;
  waiting.push(...pictures);
  while (running < AT_ONCE && waiting.length) next();
}

async function next() {
  const file = waiting.shift();
  if (!file) return;
  running += 1;
  tell();
  const image = await score(file);
  results.push(image);
  show(file, image);
  running -= 1;
  done += 1;
  tell();
  next();
}

function ask(query, form) {
  return fetch(`v1/predict?${query}`, { method: "POST", body: form });
}

async function score(file) {
  const failed = (error) => ({ path: file.name, score: null, verdict: null, reasons: [], error });
  if (file.size > limits.bytes) return failed(`larger than ${(limits.bytes / 1e6).toFixed(0)} MB`);
  const form = new FormData();
  form.append("images", file, file.name || "pasted");
  const query = new URLSearchParams({ stability: find("stability").checked, force_domain: find("force").checked });
  try {
    let answer = await ask(query, form);
    for (let tries = 1; answer.status === 503 && tries < TRIES; tries += 1) {
      await new Promise((go) => setTimeout(go, 1000 * tries));
      answer = await ask(query, form);
    }
    if (answer.ok) {
      const said = await answer.json();
      detector = said.detector;
      return said.images[0];
    }
    const said = await answer.json().catch(() => ({})); // what stands in front of the server may answer with a page
    return failed(said.error || `the server answered ${answer.status}`);
  } catch {
    return failed("the server did not answer; is it still running?");
  }
}

function show(file, image) {
  const card = find("card").content.cloneNode(true);
  const article = card.querySelector("article");
  const picture = card.querySelector("img");
  picture.onload = () => picture.classList.toggle("small", picture.naturalWidth < 128);
  picture.onerror = () => picture.classList.add("unseen"); // HEIC, say: scored all the same
  picture.src = URL.createObjectURL(file);
  card.querySelector("h2").textContent = image.path;
  article.dataset.verdict = image.verdict || "";
  if (image.error) {
    article.classList.add("failed");
    card.querySelector(".verdict strong").textContent = "not scored";
    card.querySelector(".why").textContent = image.error;
  } else {
    fill(card, image);
  }
  find("results").prepend(card);
  find("after").hidden = false;
}

function fill(card, image) {
  const percent = (share) => `${(100 * share).toFixed(2)}%`;
  card.querySelector(".verdict strong").textContent = image.verdict;
  card.querySelector(".verdict span").textContent = `P(fake) ${image.score.toFixed(4)}`;
  card.querySelector(".mark").style.left = percent(image.score);
  const scale = card.querySelector(".scale");
  scale.style.setProperty("--low", percent(thresholds.low));
  scale.style.setProperty("--high", percent(thresholds.high));
  scale.setAttribute("aria-label", `score ${image.score.toFixed(4)}; real below ${thresholds.low.toFixed(4)}, fake from ${thresholds.high.toFixed(4)}`);
  const reasons = [...image.reasons];
  if (image.stability) {
    const { low, high } = image.stability;
    const range = card.querySelector(".range");
    range.hidden = false;
    range.style.left = percent(low);
    range.style.right = percent(1 - high);
    reasons.push(`saved again or resized a little it scores ${low.toFixed(4)} to ${high.toFixed(4)}`);
  }
  reasons.push(...(image.provenance?.says ?? []).map((said) => `its file: ${said}`));
  card.querySelector(".why").textContent = reasons.join("; ");
}

function tell() {
  const counted = done < total ? `${done} of ${total} done` : total ? `${total} done` : "";
  find("status").textContent = [counted, left].filter(Boolean).join("; ");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify({ detector, images: results }, null, 2)], { type: "application/json" }));
  link.download = "asli.json";
  link.click();
  URL.revokeObjectURL(link.href);
}

function clear() {
  for (const picture of document.querySelectorAll("article img")) URL.revokeObjectURL(picture.src);
  find("results").replaceChildren();
  find("after").hidden = true;
  waiting = [];
  results.length = 0;
  total = running;
  done = 0;
  left = "";
  tell();
}

const drop = find("drop");
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove("over"); });
}
document.addEventListener("drop", (event) => {
  const folders = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory);
  const names = new Set(folders.map((entry) => entry.name));
  take([...event.dataTransfer.files].filter((file) => !names.has(file.name)));
  left = names.size ? `not scored, a folder: ${[...names].join(", ")}; score all that is in it with asli scan` : "";
  tell();
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
find("files").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
find("save").addEventListener("click", save);
find("clear").addEventListener("click", clear);
describe().catch(() => { find("about").textContent = "The server does not answer."; });
