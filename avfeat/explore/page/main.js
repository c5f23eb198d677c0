"use strict";
// Puts the parts together.

const byId = (id) => document.getElementById(id);

function say() {
  const many = (n) => n.toLocaleString("en"), what = data.kind;
  const seen = {both: "how they look and sound", video: "how they look", audio: "how they sound"}[data.by];
  byId("facts").textContent = `${many(count)}${count < data.of ? ` of ${many(data.of)}` : ""} ${what}${what === "windows" ? ` of ${many(files.count)} files` : ""}, laid out by ${seen}`;
  byId("hint").textContent = matchMedia("(hover: none)").matches
    ? "Tap a point to play its moment and to see what is like it."
    : "Point at the map to see frames. Click to play the moment, see what is like it, and open its timeline. The lasso makes a list.";
  const notes = [`${data.method}${data.why ? ` (${data.why})` : ""} of the vectors: what lies close together is alike, but distances between groups mean little. Clusters are found on the map (HDBSCAN); the nearest are by cosine of the vectors, not by the map.`];
  if (count < data.of) notes.push(`Too many ${what} to draw: these are a sample, spread evenly over the index.`);
  if (data.without) notes.push(`${many(data.without)} ${what} without ${data.by === "both" ? "frames or sound" : data.by} are not on the map.`);
  if (data.files.films < files.count) notes.push(`Frames are kept of ${many(data.files.films)} of ${many(files.count)} files, to bound the size of the page.`);
  if (drawn.length < count) notes.push(`This browser draws without a graphics card: of ${many(count)} points it shows ${many(drawn.length)}, spread evenly, and the lasso takes these. The nearest are found among all.`);
  const failed = Object.keys(data.files.failures).length;
  if (failed) notes.push(`${many(failed)} file${failed > 1 ? "s" : ""} could not be read when the page was made.`);
  byId("about").replaceChildren(...notes.map((note) => element("p", {}, note)));
}

function drag(mode) {
  for (const name of ["pan", "lasso"]) byId(name).setAttribute("aria-pressed", String(name === mode));
  Plotly.relayout(map, {dragmode: mode});
}

function clearSelection() {
  Plotly.restyle(map, {selectedpoints: [null]}, [0]);
  Plotly.relayout(map, {selections: []});
  showSelection([]);
}

function connectMap() {
  // Those of the rings around what is chosen do not count.
  const indices = (event) => (event?.points ?? []).filter((one) => one.curveNumber === 0).map((one) => drawn[one.pointIndex]);
  map.on("plotly_hover", (event) => indices(event).slice(0, 1).forEach((i) => showCard(i, event.event)));
  map.on("plotly_unhover", () => { card.hidden = true; });
  map.on("plotly_click", (event) => indices(event).slice(0, 1).forEach(choose));
  map.on("plotly_selected", (event) => showSelection(indices(event)));
  map.on("plotly_deselect", () => showSelection([]));
}

function connect() {
  connectMap();
  byId("colour").append(...colourings.map((one) => element("option", {value: one.title}, one.title)));
  byId("colour").onchange = (event) => recolour(event.target.value);
  byId("pan").onclick = () => drag("pan");
  byId("lasso").onclick = () => drag("lasso");
  byId("closer").onclick = () => zoom(.6);
  byId("farther").onclick = () => zoom(1 / .6);
  byId("whole").onclick = () => Plotly.relayout(map, {"xaxis.autorange": true, "yaxis.autorange": true});
  byId("json").onclick = saveJson;
  byId("csv").onclick = saveCsv;
  byId("clear").onclick = clearSelection;
  for (const id of ["strip", "line"]) byId(id).onclick = seek;
  new ResizeObserver(() => Plotly.Plots.resize(map)).observe(map);
  addEventListener("resize", () => { if (shownFile !== null) drawTimeline(shownFile); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    drawMap().then(connectMap);
    if (shownFile !== null) drawTimeline(shownFile);
  });
}

say();
if (data.groups.some((group) => group.title === "label")) colouring = colourings.find((one) => one.title === "label");
drawLegend();
drawMap().then(() => {
  connect();
  byId("colour").value = colouring.title;
  // For whoever measures: milliseconds from the begin of loading until the map can be used.
  document.documentElement.dataset.ready = Math.round(performance.now());
});
