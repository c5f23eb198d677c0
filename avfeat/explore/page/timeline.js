"use strict";
// The chosen file over time: frames, loudness, and how well audio and video agree, beside chance.

const LEFT = 44, RIGHT = 10;
let shownFile = null;

function drawTimeline(file) {
  const section = document.getElementById("time"), line = document.getElementById("line");
  document.getElementById("empty").hidden = true;
  shownFile = file;
  const film = filmOf(file), duration = files.durations[file], wide = section.clientWidth > 620 && agreement;
  const until = wide ? .86 : 1;
  drawStrip(film, until);
  section.classList.toggle("wide", Boolean(wide));
  const quiet = style("--quiet"), accent = style("--accent"), rule = style("--rule"), traces = [], shapes = [];
  const axis = {color: quiet, gridcolor: rule, zeroline: false, fixedrange: true};
  if (film?.peaks) {
    const n = film.peaks.length, loudest = Math.max(16, ...film.peaks), x = Array.from(film.peaks, (_, k) => (k + .5) * duration / n), y = Array.from(film.peaks, (peak) => peak / loudest);
    traces.push({x: [...x, ...[...x].reverse()], y: [...y, ...y.map((value) => -value).reverse()], fill: "toself", mode: "lines", line: {width: 0}, fillcolor: style("--none"), yaxis: "y2", hoverinfo: "skip"});
  }
  if (agreement) {
    const found = agreementsOf(file), [low, half, high] = data.agreement.quantiles;
    const x = found.map((_, k) => Math.min(duration, files.starts[file] + (k + .5) * data.hop));
    shapes.push({type: "rect", layer: "below", xref: "paper", x0: 0, x1: 1, y0: low, y1: high, line: {width: 0}, fillcolor: style("--band")});
    shapes.push({type: "line", layer: "below", xref: "paper", x0: 0, x1: 1, y0: half, y1: half, line: {width: 1, dash: "dot", color: quiet}});
    traces.push({x, y: found, mode: "lines+markers", line: {color: accent, width: 1.5}, marker: {size: 6, color: accent}, hovertemplate: "%{x:.1f} s: cosine %{y:.2f}<extra></extra>"});
    if (wide) traces.push(...histogram(quiet, accent));
  }
  const values = agreement ? data.agreement.edges : [-1, 1];
  Plotly.react(line, traces, {
    margin: {l: LEFT, r: RIGHT, t: 4, b: 22}, showlegend: false, hovermode: "closest", dragmode: false, shapes,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {family: getComputedStyle(document.body).fontFamily, size: 11, color: quiet},
    xaxis: {...axis, range: [0, duration], domain: [0, until], showgrid: false, ticksuffix: " s", nticks: 10, anchor: "y"},
    xaxis2: {...axis, domain: [until + .02, 1], visible: false, anchor: "y"},
    yaxis: {...axis, domain: [0, .66], range: [values[0], values.at(-1)], nticks: 4, visible: Boolean(agreement)},
    yaxis2: {...axis, domain: [.72, 1], range: [-1, 1], visible: false},
  }, {displayModeBar: false, responsive: true});
  moveHead(document.querySelector("#moment video")?.currentTime || (data.kind === "windows" ? points.start[chosen] : 0));
  sayChance(file);
}

function histogram(quiet, accent) {
  const {edges, chance, matched} = data.agreement, y = chance.map((_, k) => (edges[k] + edges[k + 1]) / 2);
  const side = (x, color, name, opacity) => ({x, y, xaxis: "x2", mode: "lines", fill: "tozerox", line: {color, width: 1}, opacity, name, hovertemplate: `${name}, cosine %{y:.2f}<extra></extra>`});
  return [side(chance, quiet, "mismatched pairs", .7), side(matched, accent, "matched windows", .7)];
}

function sayChance(file) {
  const words = document.getElementById("chance");
  if (!agreement) {
    words.textContent = "How well audio and video agree is not known: that needs a bundle with a shared space, and two files with both.";
    return;
  }
  const found = agreementsOf(file).filter((value) => value !== null), {share, pairs, quantiles} = data.agreement;
  const above = found.filter((value) => value > quantiles[1]).length, wide = document.getElementById("time").classList.contains("wide");
  const own = found.length ? `Here ${above} of ${found.length} lie above the middle of chance.` : "This file has no window with both.";
  words.textContent = `Cosine of audio and video, window by window. Grey: ${pairs.toLocaleString("en")} mismatched pairs (band: the middle 90 %); ${wide ? "blue at the right: all windows, which" : "all windows"} beat such a pair ${(share * 100).toFixed(0)} % of the time (chance: 50 %). ${own}`;
}

// As many frames as fit, each in the middle of its share of the time.
function drawStrip(film, until) {
  const strip = document.getElementById("strip");
  strip.hidden = !film?.url;
  if (strip.hidden) return;
  const width = (document.getElementById("time").clientWidth - 36 - LEFT - RIGHT) * until, one = 58 * film.aspect;
  strip.style.marginLeft = `${LEFT}px`;
  strip.style.width = `${width}px`;
  const n = Math.max(1, Math.min(film.parts, Math.floor(width / one)));
  strip.replaceChildren(...Array.from({length: n}, (_, k) => {
    const cell = element("div", {className: "frame"}), inner = element("div", {className: "frame"});
    inner.style.cssText = `width:${one}px;max-width:none;margin:0 auto`;
    showPart(inner, film, Math.floor((k + .5) / n * film.parts));
    cell.append(inner);
    return cell;
  }));
}

function plotArea() {
  const {_offset: left, _length: length} = document.getElementById("line")._fullLayout.xaxis;
  return {left, length};
}

function moveHead(time) {
  const section = document.getElementById("time"), line = document.getElementById("line");
  if (shownFile === null || !line._fullLayout) return;
  const head = document.getElementById("head") ?? section.appendChild(element("div", {id: "head"}));
  const {left, length} = plotArea();
  head.style.left = `${line.offsetLeft + left + time / files.durations[shownFile] * length}px`;
  head.style.height = `${line.offsetTop + line.offsetHeight - 32}px`;
}

// A click on the timeline: that moment.
function seek(event) {
  const {left, length} = plotArea(), box = document.getElementById("line").getBoundingClientRect();
  const time = Math.max(0, Math.min(1, (event.clientX - box.left - left) / length)) * files.durations[shownFile];
  const video = document.querySelector("#moment video");
  let best = null;
  for (let i = 0; i < count && data.kind === "windows"; i++) {
    if (points.file[i] === shownFile && (best === null || Math.abs(middle(i) - time) < Math.abs(middle(best) - time))) best = i;
  }
  if (best !== null && best !== chosen) choose(best);
  else if (video) video.currentTime = time;
  moveHead(time);
}
