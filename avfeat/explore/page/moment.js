"use strict";
// A moment: its frame beside the pointer, and its player, neighbours and timeline once it is chosen.

const card = document.getElementById("card");
let chosen = null;

// A box with the frame of a file at a time: as wide and as high as it may be.
function frameBox(file, time, width, height) {
  const film = filmOf(file), box = element("div", {className: "frame"});
  if (!film || (!film.url && !film.peaks)) {
    box.style.width = `${width}px`;
    box.append(element("p", {}, data.files.failures[file] ?? (film ? "Nothing to show." : "The page keeps no frame of this file.")));
    return box;
  }
  const aspect = film.url ? film.aspect : 16 / 9, wide = Math.min(width, height * aspect);
  box.style.width = `${wide}px`;
  box.style.aspectRatio = aspect;
  const at = Math.min(film.parts - 1, Math.max(0, Math.floor(time / files.durations[file] * film.parts)));
  if (film.url) showPart(box, film, at);
  else box.append(wave(film.peaks, at, film.parts));
  return box;
}

function showPart(box, film, at) {
  box.style.backgroundImage = `url(${film.url})`;
  box.style.backgroundSize = `${film.parts * 100}% 100%`;
  box.style.backgroundPosition = `${film.parts > 1 ? at / (film.parts - 1) * 100 : 0}% 0`;
}

// Of a sound alone, its loudness, with one part set off.
function wave(peaks, at, parts) {
  const canvas = element("canvas", {width: 320, height: 180}), pen = canvas.getContext("2d"), step = 320 / peaks.length;
  peaks.forEach((peak, k) => {
    pen.fillStyle = Math.floor(k / peaks.length * parts) === at ? "#fff" : "#777";
    const high = Math.max(2, peak / 255 * 160);
    pen.fillRect(k * step, 90 - high / 2, Math.max(1, step - 1), high);
  });
  return canvas;
}

const middle = (i) => (points.start[i] + points.end[i]) / 2;

function words(i) {
  const found = [data.kind === "windows" ? timesOf(i) : `${files.durations[points.file[i]].toFixed(1)} s`];
  for (const one of colourings) {
    if (one.codes && one.title !== "file" && one.names.length > 1 && one.codes[i] >= 0) found.push(one.names[one.codes[i]]);
  }
  return found.join(" · ");
}

function showCard(i, event) {
  card.replaceChildren(frameBox(points.file[i], middle(i), 178, 150), element("b", {}, nameOf(points.file[i])), element("span", {}, words(i)));
  card.hidden = false;
  const {width, height} = card.getBoundingClientRect(), gap = 16;
  const left = event.clientX + gap + width > innerWidth ? event.clientX - gap - width : event.clientX + gap;
  card.style.left = `${Math.max(4, left)}px`;
  card.style.top = `${Math.max(4, Math.min(innerHeight - height - 4, event.clientY - height / 2))}px`;
}

function choose(i) {
  chosen = i;
  card.hidden = true;
  showMoment(i);
  const near = neighboursOf(i, 8);
  showNeighbours(near);
  ring(i, near.map((one) => one.point));
  drawTimeline(points.file[i]);
  // Where the moment lies below the map.
  if (innerWidth <= 860) document.getElementById("moment").scrollIntoView({behavior: "smooth", block: "nearest"});
}

function showMoment(i) {
  const file = points.file[i], moment = document.getElementById("moment");
  const width = moment.clientWidth, still = () => frameBox(file, middle(i), width, 300);
  let shown = still();
  if (files.playable[file]) {
    shown = element("video", {controls: true, preload: "metadata", src: `${linkOf(file)}#t=${points.start[i].toFixed(3)},${points.end[i].toFixed(3)}`});
    shown.onerror = () => {
      shown.replaceWith(still());
      moment.append(element("p", {className: "quiet"}, "The file itself is not where it was: keep the page beside it to play it."));
    };
    shown.ontimeupdate = () => moveHead(shown.currentTime);
    // Some browsers want a second click before they play sound.
    shown.play().catch(() => {});
  }
  moment.replaceChildren(shown, element("b", {}, nameOf(file)), element("p", {className: "quiet"}, words(i)));
}

function showNeighbours(near) {
  const section = document.getElementById("near");
  section.hidden = !near.length;
  document.getElementById("neighbours").replaceChildren(...near.map(({point, cosine}) => {
    const file = points.file[point];
    const thumb = element("span", {className: "thumb"}, frameBox(file, middle(point), 84, 56));
    const text = element("span", {}, element("span", {className: "name"}, nameOf(file)), element("small", {}, words(point)));
    const button = element("button", {type: "button"}, thumb, text, element("data", {title: "cosine"}, cosine.toFixed(2)));
    button.onclick = () => choose(point);
    return element("li", {}, button);
  }));
}
