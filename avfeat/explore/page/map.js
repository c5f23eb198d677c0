"use strict";
// The map: points, their colours, and what pointing at them shows.

const PALETTE = [
  "#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#ff8ab7", "#6cc5b0", "#9c6b4e", "#97bbf5", "#e07a1f",
  "#11a579", "#c44e8a", "#b5bd3d", "#5b5ea6", "#e3493b", "#008695", "#cf9fe8", "#7a8f2c", "#d9a38f", "#2f8ac4",
];
const RAMP = ["#8b2a52", "#d1605e", "#e8c9a0", "#5aa9a0", "#1f5f7a"];
const MOST_NAMES = 40;
const map = document.getElementById("map");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// By title: the number of each point's group (-1: none), and the names of the groups.
const colourings = data.groups.map((group) => {
  const codes = unpack(Int32Array, group.codes);
  return {title: group.title, names: group.names, codes: points.file.map((file) => codes[file])};
});
colourings.unshift({
  title: "cluster",
  names: Array.from({length: points.cluster.reduce((a, b) => Math.max(a, b), -1) + 1}, (_, k) => `cluster ${k + 1}`),
  codes: points.cluster,
});
colourings.push({title: "file", names: Array.from({length: files.count}, (_, file) => nameOf(file)), codes: points.file});
if (agreement) colourings.push({title: "agreement of audio and video", values: Float32Array.from({length: count}, (_, i) => agreementAt(i) ?? NaN)});
let colouring = colourings[0];

// Without a graphics card, few points can be moved smoothly: then those drawn are a sample, spread evenly.
const renderer = (() => {
  const gl = document.createElement("canvas").getContext("webgl"), info = gl?.getExtension("WEBGL_debug_renderer_info");
  return gl ? String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER)) : null;
})();
const slow = renderer !== null && /swiftshader|llvmpipe|software|basic render/i.test(renderer);
const most = renderer === null ? 5000 : slow ? 15000 : Infinity;
const drawn = Int32Array.from({length: Math.min(count, most)}, (_, k) => (count <= most ? k : Math.floor(k * count / most)));
const pick = (values) => Float32Array.from(drawn, (i) => values[i]);

const colourOf = (code) => (code < 0 ? style("--none") : PALETTE[code % PALETTE.length]);

function marker() {
  const size = drawn.length > 20000 ? 3 : drawn.length > 6000 ? 4.5 : drawn.length > 1000 ? 6 : 9;
  if (colouring.values) {
    const [low, , high] = data.agreement.quantiles;
    return {size, opacity: .85, color: pick(colouring.values), cmin: low, cmax: high, colorscale: RAMP.map((c, k) => [k / (RAMP.length - 1), c])};
  }
  const colours = [...PALETTE, style("--none")], last = colours.length - 1;
  return {
    size, opacity: .85, cmin: 0, cmax: last,
    color: pick(colouring.codes).map((code) => (code < 0 ? last : code % PALETTE.length)),
    colorscale: colours.map((c, k) => [k / last, c]),
  };
}

function layout() {
  const axis = {visible: false, showgrid: false, zeroline: false};
  return {
    margin: {l: 0, r: 0, t: 0, b: 0}, xaxis: axis, yaxis: {...axis}, dragmode: "pan", hovermode: "closest", hoverdistance: 14,
    showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", newselection: {line: {color: style("--ink"), width: 1}},
    activeselection: {fillcolor: style("--band")}, uirevision: 1,
  };
}

function drawMap() {
  const dots = {
    type: renderer ? "scattergl" : "scatter", mode: "markers", x: pick(points.x), y: pick(points.y), marker: marker(), hoverinfo: "none",
    selected: {marker: {opacity: 1}}, unselected: {marker: {opacity: .12}},
  };
  // Of the same type: others lie below.
  const rings = {
    type: dots.type, mode: "markers", x: [], y: [], hoverinfo: "skip", selected: {marker: {opacity: 1}}, unselected: {marker: {opacity: 1}},
    marker: {opacity: 1, color: [], size: [], line: {color: [], width: 2}},
  };
  map.replaceChildren();
  return Plotly.newPlot(map, [dots, rings], layout(), {displayModeBar: false, scrollZoom: true, doubleClick: "reset", plotGlPixelRatio: slow ? 1 : 2});
}

function ring(chosen, others) {
  const all = [chosen, ...others];
  Plotly.restyle(map, {
    x: [all.map((i) => points.x[i])], y: [all.map((i) => points.y[i])],
    "marker.size": [all.map((_, k) => (k ? 11 : 16))],
    "marker.color": [all.map((_, k) => (k ? "rgba(0,0,0,0)" : style("--ink")))],
    "marker.line.color": [all.map((_, k) => style(k ? "--ink" : "--panel"))],
  }, [1]);
}

function recolour(title) {
  colouring = colourings.find((one) => one.title === title);
  const {color, cmin, cmax, colorscale} = marker();
  Plotly.restyle(map, {"marker.color": [color], "marker.cmin": cmin, "marker.cmax": cmax, "marker.colorscale": [colorscale], selectedpoints: [null]}, [0]);
  drawLegend();
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function drawLegend() {
  const legend = document.getElementById("legend");
  if (colouring.values) {
    const [low, , high] = data.agreement.quantiles;
    const ramp = element("li", {className: "ramp"});
    ramp.style.background = `linear-gradient(90deg, ${RAMP.join(",")})`;
    legend.replaceChildren(
      element("li", {className: "word"}, `cosine ${low.toFixed(2)}`), ramp, element("li", {className: "word"}, `${high.toFixed(2)}; from the lowest to the highest 5 % of mismatched pairs`));
    return;
  }
  const counts = new Map();
  for (const code of colouring.codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  const ranked = [...counts.keys()].sort((a, b) => (a < 0) - (b < 0) || counts.get(b) - counts.get(a) || a - b);
  const shown = ranked.slice(0, MOST_NAMES).map((code) => {
    const dot = element("i", {});
    dot.style.background = colourOf(code);
    const button = element("button", {type: "button"}, dot, code < 0 ? "in none" : colouring.names[code], element("span", {}, counts.get(code).toLocaleString("en")));
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => isolate(button, code);
    return element("li", {}, button);
  });
  if (ranked.length > MOST_NAMES) shown.push(element("li", {className: "word"}, `and ${(ranked.length - MOST_NAMES).toLocaleString("en")} more; colours repeat`));
  legend.replaceChildren(...shown);
}

// One group alone, the others dimmed; again for all.
function isolate(button, code) {
  const on = button.getAttribute("aria-pressed") !== "true";
  for (const other of document.querySelectorAll("#legend button")) other.setAttribute("aria-pressed", String(on && other === button));
  const chosen = [];
  if (on) drawn.forEach((i, k) => { if (colouring.codes[i] === code) chosen.push(k); });
  Plotly.restyle(map, {selectedpoints: [on ? chosen : null]}, [0]);
}

function zoom(factor) {
  const change = {};
  for (const axis of ["xaxis", "yaxis"]) {
    const [low, high] = map._fullLayout[axis].range, middle = (low + high) / 2, half = (high - low) / 2 * factor;
    change[`${axis}.range`] = [middle - half, middle + half];
  }
  Plotly.relayout(map, change);
}
