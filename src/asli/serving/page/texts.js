// The texts of the page in the reader's language, from the same catalog as everything else.
let catalog = null;
let language = "en";
const listeners = [];

export async function load() {
  const answer = await fetch("texts.json");
  catalog = await answer.json();
  catalog.compiled = catalog.patterns.map(([pattern, key]) => [new RegExp(pattern), key]);
  const languages = Object.keys(catalog.languages);
  const wanted = catalog.language ?? navigator.languages.map((code) => code.slice(0, 2)).find((code) => languages.includes(code));
  const group = document.querySelector(".languages");
  for (const [code, name] of Object.entries(catalog.languages)) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: name, lang: code });
    button.addEventListener("click", () => choose(code));
    group.append(button);
  }
  choose(wanted ?? languages[0]);
  return catalog;
}

function choose(code) {
  language = code;
  document.documentElement.lang = code;
  for (const button of document.querySelectorAll(".languages button")) button.setAttribute("aria-pressed", button.lang === code);
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  document.title = `asli: ${t("web.title")}`;
  for (const listener of listeners) listener();
}

export const onChange = (listener) => listeners.push(listener);
export const current = () => language;

/** Return a text of the catalog with its values. */
export function t(key, values = {}) {
  return catalog.texts[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]).replaceAll(" %", "\u00a0%");
}

/** Return a number the way of the language. */
export const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Return a score with two digits; none looks certain. */
export function score(value) {
  if (value > 0.995) return `>\u202f${number(0.99, 2)}`;
  if (value < 0.005) return `<\u202f${number(0.01, 2)}`;
  return number(value, 2);
}

export const range = ([low, high]) => (low === high ? `${low}` : `${low}\u2013${high}`);

/** Return what a detector can judge, in words. */
export function domain({ formats, sizes, qualities }) {
  if (!formats.length) return t("web.domain_unknown");
  const values = { formats: formats.join(", "), sizes: sizes[1] >= 65535 ? t("web.or_more", { low: sizes[0] }) : range(sizes), qualities: qualities && range(qualities) };
  return t(qualities ? "web.domain_quality" : "web.domain", values);
}

/** Return what a detector can judge; of a family, what each member can. */
export function judged({ domain: all, member_domains: members }) {
  const parts = Object.values(members);
  return (parts.length ? parts : [all]).map(domain).join(t("web.or"));
}

/** Return a detector's reason, or what a file states, in the language; an unknown one stays English. */
export function reason(text) {
  for (const [pattern, key] of catalog.compiled) {
    const found = text.match(pattern);
    if (!found) continue;
    const values = { ...found.groups };
    for (const [name, value] of Object.entries(values)) {
      const separated = /^\d[\d,.]*[,.]\d+$/.test(value);
      values[name] = separated ? Number(value.replaceAll(",", "")).toLocaleString(language) : value;
    }
    for (const name of catalog.ranges) if (name in values) values[name] = values[name].replace(" to ", "\u2013");
    for (const name of catalog.parts) if (name in values) values[name] = reason(found.groups[name]);
    if (values.what) values.what = t(`reason.${values.what.replaceAll(" ", "_")}`);
    return t(key, values);
  }
  return text.replace(/^outside domain: /, "");
}
