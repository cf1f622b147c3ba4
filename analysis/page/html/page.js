// A column of numbers is one that is set right. What is not known sorts last both ways, whatever stands for it.
const number = text => {
  const found = text.trim().replace(/^(over|under|about) /, "").replaceAll("\u2212", "-").replaceAll(",", "")
    .match(/^[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : null;
};
const word = text => text.trim() || null;
const plain = new Set(["", "contiguous", "none", "eager", "torch", "resident", "default"]);
const numbered = { "batch size": "batch ", "rate (1/s)": "rate ", "learning rate": "lr " };
const fewest = 8;  // rows from which a table is filtered rather than read

// On a narrow screen one column names a row, made of those that do on a wide one.
const merge = (table, heads, rows) => {
  const isName = heads.map((head, i) => {
    const title = head.textContent.trim();
    return title in numbered || (head.style.textAlign === "left" && title !== "best for");
  });
  if (isName.filter(Boolean).length < 2) return;
  table.classList.add("merged");
  const told = row => {
    const words = heads.map((head, i) => {
      const text = isName[i] ? row.cells[i].textContent.trim() : "";
      return text && (numbered[head.textContent.trim()] ?? "") + text;
    });
    const kept = words.filter(text => text && !plain.has(text));
    return (kept.length ? kept : words.filter(Boolean)).join(", ");
  };
  const names = rows.map(told);
  [table.tHead.rows[0], ...rows].forEach((row, i) => {
    [...row.cells].forEach((cell, j) => { if (isName[j]) cell.classList.add("word"); });
    const cell = document.createElement(i ? "td" : "th");
    cell.className = "name";
    cell.textContent = i ? names[i - 1] : "cell";
    row.prepend(cell);
  });
};

// A row is what a link to its cell finds, and shows the link.
const link = rows => {
  for (const row of rows) {
    const anchor = row.querySelector("a[id^=cell-]");
    if (!anchor) continue;
    const id = anchor.id, shown = document.createElement("a");
    anchor.remove();
    row.id = id;
    Object.assign(shown, { className: "link", href: "#" + id, textContent: "#", title: "link to this cell" });
    row.querySelector(".first").append(shown);
  }
};

const sortable = (heads, body) => heads.forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const texts = [...body.rows].map(row => row.cells[column].textContent);
    const isNumber = head.style.textAlign === "right" && texts.some(text => number(text) !== null);
    const read = isNumber ? number : word;
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map((row, i) => ({ row, key: read(texts[i]) }));
    rows.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      const order = isNumber ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true });
      return up ? order : -order;
    });
    body.append(...rows.map(({ row }) => row));
  });
});

const clears = [];
const filterable = (table, body) => {
  const bar = document.createElement("div"), input = document.createElement("input"), count = document.createElement("span");
  bar.className = "filter";
  Object.assign(input, { type: "search", placeholder: "filter: words that a row has" });
  input.setAttribute("aria-label", "show the rows with all of these words");
  const show = () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of body.rows) {
      const cells = [...row.cells].filter(cell => !cell.classList.contains("name"));
      const text = cells.map(cell => cell.textContent.toLowerCase()).join(" ");
      row.hidden = !wanted.every(one => text.includes(one));
      n += !row.hidden;
    }
    count.textContent = wanted.length ? `${n} of ${body.rows.length} rows` : "";
  };
  input.addEventListener("input", show);
  clears.push(() => { input.value = ""; show(); });
  bar.append(input, count);
  table.closest(".scroll").before(bar);
};

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  let heads = [...table.querySelectorAll("thead th")];
  if (!body || !heads[0].textContent.trim()) continue;
  const rows = [...body.rows];
  [table.tHead.rows[0], ...rows].forEach(row => row.cells[0].classList.add("first"));
  merge(table, heads, rows);
  link(rows);
  heads = [...table.querySelectorAll("thead th")];
  if (rows.length > 1) sortable(heads, body);
  if (rows.length >= fewest) filterable(table, body);
}

// A link finds its cell though a filter hides it.
const find = () => {
  const row = location.hash && document.getElementById(location.hash.slice(1));
  if (!row) return;
  if (row.hidden) clears.forEach(clear => clear());
  row.scrollIntoView({ block: "center", inline: "nearest" });
};
addEventListener("hashchange", find);
if (location.hash) {
  const hash = location.hash;  // the row had no name when the browser looked for it
  location.replace("#");
  location.replace(hash);
  find();
}
