// Pictures are sent one by one, a few at a time: each appears as soon as it is scored, and one too large fails alone.
import { fillCard, judges, makeCard, outside, stated, unstable } from "./cards.js";
import { drawExplanation, forget, toggle } from "./explanation.js";
import { redrawRecord, showRecord } from "./record.js";
import { about, onToken, send, setToken } from "./server.js";
import { judged, load, onChange, t } from "./texts.js";

const AT_ONCE = 4;
const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|gif|bmp|dib|tiff?|avif|heic|heif|hif|p[pgb]m|mpo)$/i;
const find = (id) => document.getElementById(id);
let detectors = [];
let items = [];
let waiting = [];
let later = []; // pictures with a verdict, whose stability is measured when all have one
let running = 0;
let cancelled = 0;
let skipped = 0;
let stop = new AbortController();

const shown = () => [...new Set([find("first").value, find("second").value].filter(Boolean))].map((name) => detectors.find((one) => one.name === name));
const settings = () => ({ stability: find("stability").checked, force_domain: find("force").checked });

function take(files) {
  if (!detectors.length) return;
  const made = files.map((file) => ({ file, name: file.webkitRelativePath || file.name || "pasted", url: URL.createObjectURL(file), answers: {} }));
  items.push(...made);
  waiting.push(...made);
  cancelled = 0;
  start();
  find("tools").scrollIntoView({ block: "nearest" }); // on a phone the status would lie below the screen
}

function start() {
  while (running < AT_ONCE && waiting.length) work();
  tell();
}

async function work() {
  running += 1;
  while (waiting.length || later.length) {
    const first = waiting.length > 0;
    const item = first ? waiting.shift() : later.shift();
    const { signal } = stop;
    try {
      for (const one of shown()) {
        const known = item.answers[one.name];
        if (!first && !known?.measuring) continue;
        const answer = first ? await scored(item, one, signal) : await measured(known, item, one, signal);
        if (signal.aborted) break;
        item.answers[one.name] = answer;
      }
    } catch { // cancelled
      continue;
    }
    if (signal.aborted || !items.includes(item)) continue;
    if (first && Object.values(item.answers).some((answer) => answer.measuring)) later.push(item);
    item.card ?? makeCard(item, { retry, show: explain, keep: (kept) => showRecord(kept, shown()), remove });
    fillCard(item, shown());
    redrawRecord();
    arrange();
    tell();
  }
  running -= 1;
  tell();
}

async function ask(query, item, one, signal) {
  const answer = await send("v1/predict", { ...query, detector: one.name }, item.file, signal);
  const { images, files, detector, asli, time } = await answer.json();
  return { image: { ...images[0], path: item.name }, file: files[0], detector, asli, time, about: one };
}

/** Return an answer again with its stability; where that fails the verdict stays. */
async function measured(known, item, one, signal) {
  try {
    return { ...(await ask(known.settings, item, one, signal)), settings: known.settings };
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return { ...known, measuring: false, unmeasured: error.message };
  }
}

/** Score a picture: the verdict comes at once, its stability later. */
async function scored(item, one, signal) {
  const chosen = settings();
  const failed = (error) => ({ image: { path: item.name, score: null, verdict: null, reasons: [], error }, about: one, settings: chosen });
  if (item.file.size > one.limits.bytes) return failed(t("web.too_large", { size: Math.floor(one.limits.bytes / 1e6) }));
  try {
    const found = await ask({ ...chosen, stability: false }, item, one, signal);
    return { ...found, settings: chosen, measuring: chosen.stability && !found.image.error && !outside(found.image) };
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return { ...failed(error.message), again: true };
  }
}

function retry(item) {
  item.answers = {};
  waiting.push(item);
  start();
}

function explain(item) {
  const names = shown().map((one) => one.name).filter((name) => item.answers[name] && judges(item.answers[name]));
  toggle(item, { detector: names[0], force_domain: settings().force_domain }, names, (one) => fillCard(one, shown()));
}

function remove(item) {
  forget(item);
  const next = item.card.nextElementSibling?.querySelector("button") ?? find("files");
  URL.revokeObjectURL(item.url);
  items = items.filter((other) => other !== item);
  item.card.remove();
  next.focus();
  tell();
}

const orders = {
  new: (a, b) => items.indexOf(b) - items.indexOf(a),
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  high: (a, b) => value(b, -1) - value(a, -1),
  low: (a, b) => value(a, 2) - value(b, 2),
};
function value(item, last) {
  const image = item.answers[shown()[0]?.name]?.image;
  return !image || image.error || outside(image) ? last : image.score;
}

let planned = false;
function arrange() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    const focused = document.activeElement;
    const cards = items.filter((item) => item.card);
    const place = new Map(items.map((item, index) => [item, index]));
    cards.sort(find("sort").value === "new" ? (a, b) => place.get(b) - place.get(a) : orders[find("sort").value]);
    const box = find("results");
    cards.forEach((item, index) => {
      if (box.children[index] !== item.card) box.insertBefore(item.card, box.children[index] ?? null);
    });
    focused?.focus?.({ preventScroll: true });
  });
}

/** Score all pictures again, after an option has changed. */
function again() {
  stop.abort();
  stop = new AbortController();
  for (const item of items) {
    item.answers = {};
    forget(item); // it explained the former score
  }
  waiting = [...items];
  later = [];
  cancelled = 0;
  start();
}

function tell() {
  const done = items.filter((item) => Object.keys(item.answers).length && item.card).length;
  const busy = running > 0;
  const left = items.filter((item) => Object.values(item.answers).some((answer) => answer.measuring)).length;
  const failed = items.filter((item) => item.card && Object.values(item.answers).some((answer) => answer.image.error)).length;
  const parts = items.length ? [busy && done < items.length ? t("web.progress", { done, total: items.length }) : t("web.finished", { total: done - failed })] : [];
  if (failed) parts.push(t("web.unscored", { count: failed }));
  if (busy && left) parts.push(t("web.measuring_left", { left }));
  if (cancelled) parts.push(t("web.cancelled", { left: cancelled }));
  if (skipped) parts.push(t("web.skipped", { count: skipped }));
  find("status").textContent = parts.join("; ");
  find("tools").hidden = !items.length && !skipped;
  const ended = document.activeElement === find("cancel") && !busy;
  find("cancel").hidden = !busy;
  if (ended) find("sort").focus(); // a hidden button would lose the place of those who use a keyboard
}

function cancel() {
  stop.abort();
  stop = new AbortController();
  [waiting, later] = [[], []];
  for (const item of items) {
    for (const answer of Object.values(item.answers).filter((one) => one.measuring)) [answer.measuring, answer.unmeasured] = [false, t("web.stopped")];
    if (item.card) fillCard(item, shown());
  }
  items = items.filter((item) => item.card || URL.revokeObjectURL(item.url));
  cancelled = items.filter((item) => !Object.keys(item.answers).length).length;
  for (const item of items.filter((one) => one.explaining)) {
    forget(item);
    fillCard(item, shown());
  }
  redrawRecord();
  tell();
}

function clear() {
  cancel();
  for (const item of items) URL.revokeObjectURL(item.url);
  items = [];
  [cancelled, skipped] = [0, 0];
  find("results").replaceChildren();
  tell();
  find("files").focus();
}

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function answers() {
  return items.flatMap((item) => shown().map((one) => item.answers[one.name]).filter(Boolean));
}

function saveJson() {
  const groups = shown().map((one) => {
    const own = answers().filter((answer) => answer.about === one);
    const first = own.find((answer) => answer.detector);
    return { detector: first?.detector ?? null, images: own.map((answer) => answer.image), files: own.map((answer) => answer.file ?? null), asli: first?.asli, time: first?.time };
  });
  download("asli.json", "application/json", JSON.stringify(groups.length === 1 ? groups[0] : groups, null, 2));
}

function saveCsv() {
  // A cell that begins like a formula must not become one in a spreadsheet.
  const quoted = (cell) => `"${String(cell ?? "").replace(/^[=+\-@\t]/, "'$&").replaceAll('"', '""')}"`;
  const columns = ["file", "sha256", "detector", "detector_hash", "verdict", "score", "inside_domain", "unstable", "stability_low", "stability_high", "file_states_ai", "statements", "reasons", "error", "time"];
  const rows = answers().map(({ image, file, detector, time, about: known }) => [
    image.path, file?.sha256, known.name, detector?.hash, image.verdict, image.score, image.error ? "" : !outside(image), image.stability ? unstable(image) : "",
    image.stability?.low, image.stability?.high, stated(image) ?? "", (image.provenance?.says ?? []).join("; "), image.reasons.join("; "), image.error, time,
  ]);
  download("asli.csv", "text/csv", [columns, ...rows].map((row) => `${row.map((cell) => (typeof cell === "number" ? cell : quoted(cell))).join(",")}\r\n`).join(""));
}

/** Return the files of what was dropped, those in folders too; a name that is no picture's is counted. */
async function dropped(entries) {
  const found = [];
  async function walk(entry, path) {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail)).catch(() => null);
      if (file && path && !PICTURE.test(file.name)) skipped += 1;
      else if (file) found.push(path ? Object.defineProperty(file, "webkitRelativePath", { value: path + file.name }) : file);
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a hundred at a time, until none is left
      const part = await new Promise((done, fail) => reader.readEntries(done, fail)).catch(() => []);
      if (!part.length) return;
      for (const one of part) await walk(one, `${path}${entry.name}/`);
    }
  }
  for (const entry of entries) await walk(entry, "");
  return found;
}

function describe() {
  const lines = shown().map((one) => Object.assign(document.createElement("p"), { textContent: t("web.about", { detector: one.name, data: one.trained_on, domain: judged(one) }) }));
  if (lines.length) find("about").replaceChildren(...lines);
  for (const option of find("second").options) option.disabled = option.value !== "" && option.value === find("first").value;
  if (find("second").selectedOptions[0]?.disabled) find("second").value = "";
}

function offerDetectors() {
  const [first, second] = [find("first"), find("second")];
  first.replaceChildren(...detectors.map((one) => new Option(one.name, one.name)));
  second.replaceChildren(new Option(t("web.none"), ""), ...detectors.map((one) => new Option(one.name, one.name)));
  find("detectors").hidden = detectors.length < 2;
}

function offerExamples(count) {
  for (let number = 0; number < count; number += 1) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const picture = Object.assign(document.createElement("img"), { src: `examples/${number}.jpg`, width: 48, height: 48 });
    button.append(picture);
    button.addEventListener("click", async () => {
      const data = await (await fetch(picture.src)).blob();
      take([new File([data], `example-${number + 1}-${number % 2 ? "AI" : "photograph"}.jpg`, { type: data.type })]);
    });
    find("examples").append(button);
  }
}

function relabel() {
  [...find("examples").querySelectorAll("img")].forEach((picture, index) => (picture.alt = t("web.example_alt", { number: index + 1 })));
  if (find("second").options.length) find("second").options[0].textContent = t("web.none");
  describe();
  for (const item of items.filter((one) => one.card && Object.keys(one.answers).length)) {
    fillCard(item, shown());
    drawExplanation(item, (one) => fillCard(one, shown()));
  }
  redrawRecord();
  tell();
}

function askToken() {
  const [box, field] = [find("token"), find("token-value")];
  box.hidden = false;
  field.type = "password";
  field.focus();
  return new Promise((done) => {
    const use = () => {
      setToken(field.value);
      box.hidden = true;
      done();
    };
    box.querySelector("button").onclick = use;
    field.onkeydown = (event) => event.key === "Enter" && use();
  });
}

const drop = find("drop");
for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove("over"); });
document.addEventListener("drop", async (event) => {
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  take(entries.length ? await dropped(entries) : [...event.dataTransfer.files]);
  tell();
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
for (const id of ["files", "folder"]) {
  find(id).addEventListener("change", (event) => {
    const files = [...event.target.files];
    const pictures = id === "folder" ? files.filter((file) => PICTURE.test(file.name)) : files;
    skipped += files.length - pictures.length;
    event.target.value = "";
    take(pictures);
    tell();
  });
}
for (const id of ["stability", "force", "first", "second"]) find(id).addEventListener("change", () => { describe(); again(); });
find("sort").addEventListener("change", arrange);
for (const [id, act] of Object.entries({ cancel, csv: saveCsv, json: saveJson, clear })) find(id).addEventListener("click", act);
onToken(askToken);

const { examples } = await load();
offerExamples(examples);
onChange(relabel);
relabel();
try {
  detectors = await about();
  offerDetectors();
  describe();
} catch {
  find("about").textContent = t("web.silent");
}
