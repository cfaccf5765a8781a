"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Language: what was asked for, else the browser's.
  const languages = all("[data-choose]").map((button) => button.dataset.choose);
  const listeners = [];
  function choose(language) {
    root.dataset.language = language;
    root.lang = language;
    for (const button of all("[data-choose]")) button.setAttribute("aria-pressed", button.dataset.choose === language);
    for (const node of all("[data-label-en]")) node.setAttribute("aria-label", node.getAttribute(`data-label-${language}`));
    for (const listener of listeners) listener(language);
  }
  for (const button of all("[data-choose]")) button.addEventListener("click", () => choose(button.dataset.choose));

  // Tables: sort by a heading, save as CSV.
  const valueOf = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number.parseFloat(text.replace(/^[<+]/, "").replaceAll(",", "").replace("−", "-"));
    return /^[<+−-]?[\d.]/.test(text) && !Number.isNaN(number) ? number : text;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  function sortable(table) {
    const headings = all("thead th", table);
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows];
        const keys = new Map(rows.map((row) => [row, valueOf(row.cells[column])]));
        // Rows without a value stay last in either order.
        rows.sort((a, b) => {
          const [x, y] = [keys.get(a), keys.get(b)];
          if (x === "" || y === "") return (x === "") - (y === "");
          return (descending ? -1 : 1) * compare(x, y);
        });
        body.append(...rows);
      });
    });
  }
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const plain = (cell) => cell.dataset.value ?? [...cell.childNodes].filter((n) => !n.matches?.("small, svg, .symbol")).map((n) => n.textContent).join("").trim();
  const download = (name, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  for (const block of all(".table")) {
    const table = block.querySelector("table");
    const headings = all("thead th", table).map((heading) => quoted(heading.textContent.trim()));
    if (table.querySelector("td.long")) {  // phones show its cells one below the other
      const names = all("thead th", table).map((heading) => heading.textContent.trim());
      for (const cell of all("tbody td", table)) cell.dataset.label = names[cell.cellIndex];
    }
    sortable(table);
    block.querySelector(".csv")?.addEventListener("click", () => {
      const lines = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => quoted(plain(cell))).join(","));
      const title = block.querySelector(".scroll").getAttribute("aria-label");
      download(`${title.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60)}.csv`, [headings.join(","), ...lines, ""].join("\n"));
    });
  }

  // Values in figures: the title of what the pointer or a finger rests on.
  const tip = document.querySelector(".tip");
  for (const title of all(".drawing svg .hover title, .drawing svg g.hover > title")) {
    const owner = title.parentElement;
    owner.dataset.tip = title.textContent;
    title.remove();  // the browser would show it, too
  }
  const point = (event) => {
    const owner = event.target.closest?.("[data-tip]");
    tip.hidden = !owner;
    if (!owner) return;
    tip.textContent = owner.dataset.tip;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${event.clientY - height - 12 < 4 ? event.clientY + 18 : event.clientY - height - 12}px`;
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);

  // Enlarged pictures.
  const dialog = document.querySelector("dialog");
  function enlarge(...nodes) {
    dialog.querySelector(".enlarged").replaceChildren(...nodes);
    dialog.append(tip);
    dialog.showModal();
  }
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => document.body.append(tip));
  for (const button of all(".enlarge")) {
    button.addEventListener("click", () => {
      const figure = button.closest("figure");
      const copy = all("svg, img", figure).find((one) => getComputedStyle(one).display !== "none").cloneNode(true);
      if (figure.matches(".wide")) copy.classList.add("smooth");
      enlarge(copy, ...all("p", figure).map((line) => line.cloneNode(true)));
    });
  }

  // How often an alarm is false, by the share of fakes.
  const data = document.getElementById("base-rate-data");
  if (data) {
    const { recall, alarm, odds, texts, photographs } = JSON.parse(data.textContent);
    const slider = document.getElementById("base-rate-slider");
    const [said, output] = [document.querySelector(".base-rate .said"), document.querySelector(".base-rate output")];
    const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]).replaceAll(" %", "\u00a0%");
    const update = () => {
      const [language, n] = [root.dataset.language, odds[slider.value]];
      const number = (value) => value.toLocaleString(language);
      const false_ = (a, r) => ((1 - 1 / n) * a) / ((1 - 1 / n) * a + r / n);
      const shares = [false_(alarm[0], recall[0]), false_(alarm[1], recall[2]), false_(alarm[2], recall[1])];
      const label = fill(texts[language].odds, { n: number(n) });
      output.textContent = label;
      slider.setAttribute("aria-valuetext", label);
      const [count, low, high] = shares.map((share) => number(Math.round(100 * share)));
      const text = texts[language];
      const few = shares[0] < 0.005 ? text.few : shares[0] > 0.995 && shares[0] < 1 ? text.most : text.about;
      const values = { n: number(n), false: fill(few, { count }), low, high, whole: number(photographs) };
      said.textContent = shares.some(Number.isNaN) ? text.none : fill(shares[0] ? text.text : text.zero, values);
    };
    slider.addEventListener("input", update);
    listeners.push(update);
  }

  const wanted = navigator.languages?.map((code) => code.slice(0, 2)).find((code) => languages.includes(code));
  choose("browserLanguage" in root.dataset && wanted ? wanted : root.dataset.language);
  if (innerWidth < 960) for (const details of all(".contents details")) details.open = false;
  window.asliKit = { all, enlarge, download, quoted, listeners };
})();
