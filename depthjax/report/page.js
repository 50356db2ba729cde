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

function sort(table, column, direction) {
  const body = table.tBodies[0];
  const key = (row) => {
    const cell = row.cells[column];
    const value = cell.dataset.sort;
    return value === undefined ? cell.textContent.trim() : value === "" ? -Infinity : Number(value);
  };
  const rows = Array.from(body.rows, (row, order) => ({ row, order, key: key(row) }));
  rows.sort((a, b) => {
    const least = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
    return direction * least || a.order - b.order;
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
