"use strict";
const viewer = document.getElementById("viewer");
const large = viewer.querySelector("img");
for (const button of document.querySelectorAll("button.zoom")) {
  button.addEventListener("click", () => {
    const picture = button.querySelector("img");
    large.src = picture.src;
    large.alt = picture.alt;
    viewer.showModal();
  });
}
viewer.addEventListener("click", () => viewer.close());

// Numbers by value, words by letters; what was not computed stays last either way.
function sort(table, column, direction) {
  const body = table.tBodies[0];
  const key = (row) => {
    const cell = row.cells[column];
    const words = cell.textContent.trim();
    const text = cell.dataset.sort ?? words.replace("\u2212", "-").replaceAll(",", "");
    if (text === "" || words === "\u2013" || words === "not computed") return { rank: 2, value: 0 };
    return Number.isNaN(Number(text)) ? { rank: 1, value: words } : { rank: 0, value: Number(text) };
  };
  const rows = Array.from(body.rows, (row, order) => ({ row, order, ...key(row) }));
  rows.sort((a, b) => {
    const least = a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
    return a.rank - b.rank || direction * least || a.order - b.order;
  });
  body.append(...rows.map((entry) => entry.row));
}
for (const head of document.querySelectorAll("table.sortable th button")) {
  head.addEventListener("click", () => {
    const cell = head.closest("th");
    const up = cell.getAttribute("aria-sort") !== "ascending";
    for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", up ? "ascending" : "descending");
    sort(cell.closest("table"), cell.cellIndex, up ? 1 : -1);
  });
}

// What is folded away on screen is still printed.
const folded = () => document.querySelectorAll("details.printed:not([open])");
addEventListener("beforeprint", () => { for (const part of folded()) { part.open = true; part.dataset.folded = ""; } });
addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-folded]")) { part.open = false; delete part.dataset.folded; }
});
