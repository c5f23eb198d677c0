"use strict";
// What the lasso holds, as a list and as files.

const MOST_LISTED = 200;
let selected = [];

function showSelection(found) {
  selected = found;
  const section = document.getElementById("selection");
  section.hidden = !found.length;
  if (!found.length) return;
  const inFiles = new Set(found.map((i) => points.file[i])).size, many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  document.getElementById("selected").textContent =
    data.kind === "windows" ? `${many(found.length, "window")} of ${many(inFiles, "file")} selected` : `${many(inFiles, "file")} selected`;
  const byFile = Map.groupBy(found, (i) => points.file[i]);
  const lines = [...byFile].slice(0, MOST_LISTED).map(([file, some]) => {
    const times = data.kind === "files" ? "" : some.length === 1 ? timesOf(some[0]) : many(some.length, "window");
    const button = element("button", {type: "button"}, nameOf(file), " ", element("small", {}, times));
    button.onclick = () => choose(some[0]);
    return element("li", {}, button);
  });
  if (byFile.size > MOST_LISTED) lines.push(element("li", {className: "quiet"}, "and more: save the list"));
  document.getElementById("list").replaceChildren(...lines);
}

function rowsOf(found) {
  return found.map((i) => {
    const row = {file: sourceOf(points.file[i]), start: round(points.start[i]), end: round(points.end[i])};
    for (const one of colourings) if (one.codes && one.title !== "file") row[one.title] = one.codes[i] < 0 ? null : one.names[one.codes[i]];
    return row;
  });
}

const round = (value) => Math.round(value * 1000) / 1000;

function csvOf(rows) {
  const cell = (value) => {
    const text = String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [Object.keys(rows[0]), ...rows.map(Object.values)].map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  element("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const saveJson = () => save("selection.json", "application/json", JSON.stringify(rowsOf(selected), null, 2) + "\n");
const saveCsv = () => save("selection.csv", "text/csv", csvOf(rowsOf(selected)));
