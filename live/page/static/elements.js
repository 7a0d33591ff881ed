/* Elements, times and colours for all parts. Text from outside is only ever written as text. */
export const MODALITIES = [
  { key: "image", name: "picture" },
  { key: "motion", name: "motion" },
  { key: "audio", name: "sound" },
];

/* element("button", {class: "quiet", text: "Play", onclick: f, "aria-label": "Play"}, child, …) */
export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/* An icon from one path in a square of 24. */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const textButton = (text, onclick, kind = "quiet") =>
  element("button", { type: "button", class: kind, text, onclick });

/* A button with an icon, whose name is told to screen readers and shown as a hint. */
export function iconButton(name, path, onclick) {
  return element("button", { type: "button", class: "icon", "aria-label": name, title: name, onclick }, icon(path));
}

export const percent = (share) => `${Math.round(share * 100)} %`;

/* 5.12 -> "+5.1", -0.04 -> "−0.0", 0 -> "0": log-odds. */
export const signed = (odds) => (odds ? `${odds < 0 ? "−" : "+"}${Math.abs(odds).toFixed(1)}` : "0");

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

/* "18:04:05", on another day "Mon, 3 Mar 18:04:05"; local time. */
export function timeText(moment, seconds = true) {
  const at = new Date(moment);
  if (Number.isNaN(at.getTime())) return "";
  const clock = (seconds ? TIME : SHORT).format(at);
  return dayOf(at) === dayOf(new Date()) ? clock : `${DAY.format(at)} ${clock}`;
}

export const dayText = (moment) =>
  dayOf(new Date(moment)) === dayOf(new Date()) ? "Today" : DAY.format(new Date(moment));
export const dayOf = (at) => `${at.getFullYear()}-${at.getMonth()}-${at.getDate()}`;
export const shortTime = (ms) => SHORT.format(new Date(ms));

/* A time as an element: local, with UTC as its hint. */
export function timeElement(moment, seconds = true) {
  const at = new Date(moment);
  const utc = Number.isNaN(at.getTime()) ? "" : at.toISOString();
  return element("time", { datetime: utc, title: utc && `${utc.replace("T", " ").replace("Z", "")} UTC`,
    text: timeText(moment, seconds) });
}

/* 4 -> "4 s", 75 -> "1 min 15 s", 4000 -> "1 h 6 min" */
export function durationText(seconds) {
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return all % 60 ? `${Math.floor(all / 60)} min ${all % 60} s` : `${all / 60} min`;
  if (all < 172_800) return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
  return `${Math.floor(all / 86_400)} days`;
}

/* The colour of a track: neighbouring ids have very different hues, as in the labelled video. */
export function trackColour(id) {
  const hue = ((id * 0.618034) % 1) * 6;
  const level = (of) => {
    const k = (of + hue) % 6;
    return Math.round(255 * (1 - 0.65 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [level(5), level(3), level(1)];
}

/* The context of an empty canvas of this size in CSS pixels, sharp on any screen. */
export function cleared(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/* The colours of the theme, for canvases. */
export function paints() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "muted", "line", "faint", "bar", "accent", "error", "drop", "image", "motion", "audio", "surface"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/* Replace the children of a list by what is there already where keys are the same, so that nothing flickers. */
export function keyed(list, items, keyOf, make, update = () => {}) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const key = String(keyOf(item));
    const child = old.get(key) ?? make(item);
    child.dataset.key = key;
    update(child, item);
    return child;
  });
  const same = wanted.length === list.children.length && wanted.every((child, place) => list.children[place] === child);
  if (!same) list.replaceChildren(...wanted);
}

let hiding;

/* A sentence at the foot of the page, for a while. It is read out. */
export function tell(text, isWrong = false) {
  const toast = document.getElementById("toast");
  toast.textContent = text;
  toast.hidden = false;
  toast.classList.toggle("wrong", isWrong);
  clearTimeout(hiding);
  hiding = setTimeout(() => (toast.hidden = true), isWrong ? 10_000 : 4000);
}
