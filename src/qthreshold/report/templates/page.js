"use strict";
// Tables sort by a click on a column's name; numbers as numbers, what is unknown last.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), table = head.closest("table"), column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0], sign = down ? -1 : 1;
    const keyed = Array.from(body.rows, (row) => {
      const text = row.cells[column].textContent.trim();
      const numbers = /^[-<> ]*\d/.test(text) ? text.replaceAll(",", "").match(/(?<![\d.])-?\d[\d.]*(?:e-?\d+)?/g).map(Number) : [];
      return { row, text, numbers, unknown: text === "-" || text === "" };
    });
    keyed.sort((a, b) => {
      if (a.unknown || b.unknown) return a.unknown - b.unknown;
      for (let i = 0; i < Math.min(a.numbers.length, b.numbers.length); i++) {
        if (a.numbers[i] !== b.numbers[i]) return sign * (a.numbers[i] - b.numbers[i]);
      }
      return sign * a.text.localeCompare(b.text, "en");
    });
    body.append(...keyed.map((k) => k.row));
  });
}
// The map says what the table says: pointing at a pair or qubit, or tapping it, shows its row.
const tip = document.getElementById("tip");
let lit = null;
function hide() {
  if (tip) tip.hidden = true;
  if (lit) lit.classList.remove("lit");
  lit = null;
}
function show(event) {
  const mark = event.target.closest("[data-row]");
  hide();
  if (!mark) return;
  const row = document.getElementById(mark.dataset.row);
  if (!row) return;
  lit = row;
  lit.classList.add("lit");
  const names = Array.from(row.closest("table").tHead.rows[0].cells, (cell) => cell.textContent.trim());
  tip.replaceChildren(...Array.from(row.cells, (cell, i) => {
    const line = document.createElement("div");
    line.textContent = `${names[i]}: ${cell.textContent.trim()}`;
    return line;
  }));
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), room = 12;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + room, innerWidth - box.width - 4))}px`;
  tip.style.top = `${event.clientY + room + box.height > innerHeight ? Math.max(4, event.clientY - room - box.height) : event.clientY + room}px`;
}
for (const map of document.querySelectorAll(".mapped svg")) {
  map.addEventListener("pointerover", show);
  map.addEventListener("click", show);
  map.addEventListener("pointerleave", hide);
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
document.addEventListener("scroll", hide, { passive: true });
// What is folded away on the screen is on paper.
const folded = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) { details.open = true; folded.push(details); }
});
addEventListener("afterprint", () => { for (const details of folded.splice(0)) details.open = false; });
