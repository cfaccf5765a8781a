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
    // A cell with an interval is exported as its value and both ends.
    const columns = all("thead th", table).map((heading, column) => {
      const name = heading.textContent.trim();
      const ends = [...table.tBodies[0].rows].some((row) => row.cells[column].dataset.low !== undefined);
      if (!ends) return [name];
      return /CI$/.test(name) ? [`${name} low`, `${name} high`] : [name, `${name}, 95 % CI low`, `${name}, 95 % CI high`];
    });
    const fields = (cell, names) => {
      const [value, interval] = [plain(cell), [cell.dataset.low ?? "", cell.dataset.high ?? ""]];
      return names.length === 1 ? [value] : names.length === 2 ? interval : [value, ...interval];
    };
    const scrolled = block.querySelector(".scroll");
    const hint = block.querySelector(".hint");
    if (hint) new ResizeObserver(() => { hint.hidden = scrolled.scrollWidth <= scrolled.clientWidth; }).observe(scrolled);
    if (table.querySelector("td.long")) {  // phones show its cells one below the other
      const names = all("thead th", table).map((heading) => heading.textContent.trim());
      for (const cell of all("tbody td", table)) cell.dataset.label = names[cell.cellIndex];
    }
    sortable(table);
    block.querySelector(".csv")?.addEventListener("click", () => {
      const lines = [...table.tBodies[0].rows].map((row) => [...row.cells].flatMap((cell, column) => fields(cell, columns[column])));
      const title = scrolled.getAttribute("aria-label");
      download(`${title.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60)}.csv`, [columns.flat(), ...lines].map((line) => `${line.map(quoted).join(",")}\n`).join(""));
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

  // How often a verdict is wrong, by the share of fakes.
  const data = document.getElementById("base-rate-data");
  if (data) {
    const { recall, alarm, missed, cleared, odds, of, texts, photographs, fakes } = JSON.parse(data.textContent);
    const slider = document.getElementById("base-rate-slider");
    const [alarms, reals, output] = [".alarms", ".reals", "output"].map((name) => document.querySelector(`.base-rate ${name}`));
    const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]).replaceAll(" %", "\u00a0%");
    // Both rates stand at opposite ends of their intervals.
    const sharesOf = (wrong, right, weight) => [[0, 0], [1, 2], [2, 1]].map(([a, b]) => weight * wrong[a] / (weight * wrong[a] + (1 - weight) * right[b]));
    const update = () => {
      const [language, n] = [root.dataset.language, odds[slider.value]];
      const [text, number] = [texts[language], (value, options) => value.toLocaleString(language, options)];
      const label = fill(text.odds, { n: number(n) });
      output.textContent = label;
      slider.setAttribute("aria-valuetext", label);
      const say = (place, [share, low, high], count, some, [full, zero, none], whole) => {
        const values = { n: number(n), low: count(low), high: count(high), whole: number(whole), ...some(share) };
        place.textContent = [share, low, high].some(Number.isNaN) ? none : fill(share ? full : zero, values);
      };
      const rounded = (share) => number(Math.round(100 * share));
      const few = (share) => (share < 0.005 ? text.few : share > 0.995 && share < 1 ? text.most : text.about);
      say(alarms, sharesOf(alarm, recall, 1 - 1 / n), rounded, (share) => ({ false: fill(few(share), { count: rounded(share) }) }), [text.text, text.zero, text.none], photographs);
      const missing = sharesOf(missed, cleared, 1 / n), [share, , high] = missing;
      const all = of.find((count) => (share || high) * count >= 9.5) ?? of.at(-1);
      const pictures = (part) => (part && part * all < 1 ? text.few : number(Math.round(Number((part * all).toPrecision(2)))));
      const wrong = share * all < 1 ? text.few : fill(text.about, { count: pictures(share) });
      say(reals, missing, pictures, () => ({ wrong, of: number(all) }), [text.real_text, text.real_zero, text.real_none], fakes);
    };
    slider.addEventListener("input", update);
    listeners.push(update);
  }

  const wanted = navigator.languages?.map((code) => code.slice(0, 2)).find((code) => languages.includes(code));
  choose("browserLanguage" in root.dataset && wanted ? wanted : root.dataset.language);
  if (innerWidth < 960) for (const details of all(".contents details")) details.open = false;
  window.asliKit = { all, enlarge, download, quoted, listeners };
})();
