// The list of images: only the rows in view are in the page, so 50,000 scroll as one does.
(() => {
  const { all, enlarge, download, quoted } = window.asliKit;
  const { list, middle } = JSON.parse(document.getElementById("gallery-data").textContent);
  const rows = list.rows.map(([place, name, score, category, verdict, reason, stated, thumbnail], number) => {
    const { shown, link } = list.places[place];
    const address = name.split("/").map(encodeURIComponent).join("/");
    const path = name.startsWith("/") ? name : shown + name;
    const said = stated.map((index) => list.texts[index]);
    return {
      number, path, score, category, verdict, said, thumbnail,
      reason: list.texts[reason],
      // A name with a backslash may be an escaped one, which leads nowhere.
      link: link === null || name.includes("\\") ? null : name.startsWith("/") ? `file://${address}` : link + address,
      text: [path, list.texts[reason], ...said].join("\n").toLowerCase(),
    };
  });
  const box = document.querySelector(".list");
  const space = box.querySelector(".space");
  const [search, order, count] = ["search", "order", "found"].map((id) => document.getElementById(id));
  const boxes = all(".kinds input");
  const last = Number.NEGATIVE_INFINITY;
  const meaningful = (row) => row.score !== null && row.category < 3;
  // Rounded to four digits as it is, no score looks certain.
  const points = ({ score }) => (score < 0.00005 ? "<0.0001" : score > 0.99995 ? ">0.9999" : score.toFixed(4));
  const value = (row, other) => (meaningful(row) ? row.score : other);
  const orders = {
    high: (a, b) => value(b, last) - value(a, last),
    low: (a, b) => value(a, Infinity) - value(b, Infinity),
    middle: (a, b) => Math.abs(value(a, Infinity) - middle) - Math.abs(value(b, Infinity) - middle),
    name: (a, b) => (a.path < b.path ? -1 : 1),
    table: (a, b) => a.number - b.number,
  };
  let shown = [];

  function make(tag, className, text) {
    const node = document.createElement(tag);
    node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }
  function picture(row) {
    if (!row.thumbnail && !row.link) return null;
    const image = make("img", row.thumbnail?.startsWith("data:image/png") ? "small" : "");
    image.loading = "lazy";
    image.alt = "";
    image.src = row.thumbnail ?? row.link;
    return image;
  }
  function item(row, top) {
    const node = make("div", "item");
    node.style.top = `${top}px`;
    const frame = make("button", "frame");
    frame.type = "button";
    frame.setAttribute("aria-label", `Enlarge ${row.path}`);
    const image = row.category === 4 ? null : picture(row);
    if (image) {
      frame.append(image);
      image.addEventListener("error", () => {
        frame.textContent = "file not found";
        frame.disabled = true;
      });
      frame.addEventListener("click", () => {
        const large = make("img", row.thumbnail?.startsWith("data:image/png") ? "" : "smooth");
        large.alt = row.path;
        large.src = row.link ?? row.thumbnail;
        if (row.link && row.thumbnail) large.addEventListener("error", () => (large.src = row.thumbnail), { once: true });
        enlarge(large, make("p", "", row.path), make("p", "", details(row)));
      });
    } else {
      frame.textContent = row.category === 4 ? "unreadable" : "in an archive";
      frame.disabled = true;
    }
    const score = make("div", "score");
    const category = list.categories[row.category];
    // Outside the domain a score means nothing, so none is shown; a verdict is where one was forced.
    const forced = row.category === 3 && row.verdict !== "unsure";
    if (meaningful(row)) score.append(make("b", "", points(row)), " ");
    const word = forced ? `${row.verdict}, forced` : meaningful(row) ? row.verdict : category;
    score.append(make("span", `tag ${meaningful(row) ? row.verdict : ""}`, word));
    const words = make("div", "words");
    const name = make("div", "name");
    name.append(make("bdi", "", row.path));
    name.title = row.path;
    words.append(name);
    const why = [row.reason, ...row.said.map((text) => `its file: ${text}`)].filter(Boolean).join("; ");
    if (why) words.append(make("div", "why", why));
    node.append(frame, score, words);
    if (row.link) {
      const link = make("a", "open", "open file");
      link.href = row.link;
      link.target = "_blank";
      link.rel = "noopener";
      node.append(link);
    }
    return node;
  }
  const details = (row) => [meaningful(row) ? `P(fake) ${points(row)}` : "", list.categories[row.category], row.reason, ...row.said].filter(Boolean).join("; ");
  const height = () => (matchMedia("(max-width: 40rem)").matches ? 112 : 84);
  const PRINTED = 500;
  function draw(every = false) {
    const each = height();
    space.style.height = `${shown.length * each}px`; // first: the list is as high as its rows, up to its limit
    const first = every ? 0 : Math.max(0, Math.floor(box.scrollTop / each) - 4);
    const end = every ? Math.min(shown.length, PRINTED) : Math.min(shown.length, Math.ceil((box.scrollTop + box.clientHeight) / each) + 4);
    space.replaceChildren(...shown.slice(first, end).map((row, index) => item(row, (first + index) * each)));
  }
  function tell(printing = false) {
    const only = printing && shown.length > PRINTED ? ` The first ${PRINTED} are printed.` : "";
    count.textContent = `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} images shown.${only}`;
  }
  function update() {
    const wanted = new Set(boxes.filter((one) => one.checked).map((one) => Number(one.value)));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = rows.filter((row) => wanted.has(row.category) && words.every((word) => row.text.includes(word)));
    shown.sort(orders[order.value]);
    tell();
    box.scrollTop = 0;
    draw();
  }
  document.getElementById("save-csv").addEventListener("click", () => {
    const lines = shown.map((row) => [row.path, row.score ?? "", row.verdict, list.categories[row.category], row.reason, row.said.join("; ")]);
    const text = [["path", "score", "verdict", "category", "reason", "statements"], ...lines];
    download("scan.csv", text.map((line) => line.map((cell) => quoted(String(cell))).join(",") + "\n").join(""));
  });
  box.addEventListener("scroll", () => draw());
  window.addEventListener("resize", () => draw());
  for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
      tell(printing);
      draw(printing);
    });
  }
  search.addEventListener("input", update);
  for (const control of [order, ...boxes]) control.addEventListener("change", update);
  update();
})();
