"use strict";
// What the page was made with, and its frames, which are read when the first one is wanted.

const data = JSON.parse(document.getElementById("data").textContent);

function bytesOf(text) {
  const signs = atob(text), bytes = new Uint8Array(signs.length);
  for (let i = 0; i < signs.length; i++) bytes[i] = signs.charCodeAt(i);
  return bytes;
}

const unpack = (Type, text) => new Type(bytesOf(text).buffer);

const points = {
  file: unpack(Int32Array, data.points.file),
  start: unpack(Float32Array, data.points.start),
  end: unpack(Float32Array, data.points.end),
  x: unpack(Float32Array, data.points.x),
  y: unpack(Float32Array, data.points.y),
  cluster: unpack(Int32Array, data.points.cluster),
};
const count = points.file.length;
const files = {
  durations: unpack(Float32Array, data.files.durations),
  starts: unpack(Float32Array, data.files.starts),
  playable: unpack(Uint8Array, data.files.playable),
};
files.count = files.durations.length;

const part = (names, i) => names.start + names.rest[i];
const sourceOf = (file) => part(data.files.sources, file);
const linkOf = (file) => part(data.files.links, file);
// The folders that all files have in common say nothing.
const common = data.files.shown.start.lastIndexOf("/") + 1;
const nameOf = (file) => part(data.files.shown, file).slice(common);
const timesOf = (i) => `${points.start[i].toFixed(1)}–${points.end[i].toFixed(1)} s`;

// Cosines of audio and video of all windows of a file; null where the index has none.
const agreement = data.agreement && unpack(Int16Array, data.agreement.windows);
const firstWindow = new Int32Array(files.count);
if (agreement) data.agreement.counts.forEach((n, i) => { if (i + 1 < files.count) firstWindow[i + 1] = firstWindow[i] + n; });

function agreementsOf(file) {
  return Array.from({length: data.agreement.counts[file]}, (_, k) => {
    const value = agreement[firstWindow[file] + k];
    return value === data.nothing ? null : value / 10000;
  });
}

function agreementAt(i) {
  const found = agreementsOf(points.file[i]);
  if (data.kind === "windows") return found[Math.round((points.start[i] - files.starts[points.file[i]]) / data.hop)] ?? null;
  const there = found.filter((value) => value !== null);
  return there.length ? there.reduce((a, b) => a + b) / there.length : null;
}

let films = null;
const strips = new Map();

// {parts, url, aspect, peaks} of a file, or null where the page keeps nothing of it.
function filmOf(file) {
  if (!films) {
    const text = document.getElementById("films");
    if (!text || document.readyState === "loading") return null;
    films = JSON.parse(text.textContent);
    text.remove();
  }
  if (!strips.has(file)) {
    const found = films[file];
    strips.set(file, found ? {
      parts: found[0],
      url: found[1] && URL.createObjectURL(new Blob([bytesOf(found[1])], {type: "image/jpeg"})),
      aspect: found[2],
      peaks: found[3] && unpack(Uint8Array, found[3]),
    } : null);
  }
  return strips.get(file);
}

// Cosines of a point with all others, from int8 vectors.
const vectors = unpack(Int8Array, data.vectors.rows);

function cosinesWith(i) {
  const dims = data.vectors.dims, own = vectors.subarray(i * dims, (i + 1) * dims), out = new Float32Array(count);
  const scale = data.vectors.scale * data.vectors.scale;
  for (let j = 0, at = 0; j < count; j++) {
    let sum = 0;
    for (let k = 0; k < dims; k++, at++) sum += own[k] * vectors[at];
    out[j] = sum * scale;
  }
  return out;
}

// The nearest points of other files, one of each.
function neighboursOf(i, most) {
  const cosines = cosinesWith(i), best = new Map();
  for (let j = 0; j < count; j++) {
    const file = points.file[j];
    if (file !== points.file[i] && !(cosines[best.get(file)] >= cosines[j])) best.set(file, j);
  }
  return [...best.values()].sort((a, b) => cosines[b] - cosines[a]).slice(0, most).map((j) => ({point: j, cosine: cosines[j]}));
}
