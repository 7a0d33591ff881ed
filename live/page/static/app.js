/* The page: its views by address, its header, its keys, and what it says when the connection is lost. */
import { CameraView } from "./camera.js";
import { element, iconButton } from "./elements.js";
import { EventsView } from "./events.js";
import { Feed } from "./feed.js";
import { GridView } from "./grid.js";
import { HealthView } from "./health.js";
import { helpDialog, Keyboard } from "./keyboard.js";

const MOON = "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5";
const QUESTION = "M9.2 9a2.9 2.9 0 1 1 4.3 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.1";
const VIEWS = [
  { path: "#/", text: "Cameras" },
  { path: "#/events", text: "Events" },
  { path: "#/health", text: "Health" },
];

const main = document.getElementById("view");
const lost = document.getElementById("lost");
const feed = new Feed();
let view = null;

const links = VIEWS.map(({ path, text }) => element("a", { href: path, text }));
const state = element("span", { class: "watch-state" });
const help = helpDialog();
document.getElementById("top").append(
  element("a", { class: "brand", href: "#/", text: "Percept" }),
  element("nav", { "aria-label": "Views" }, ...links),
  state,
  iconButton("Light or dark (t)", MOON, changeTheme),
  iconButton("Keys (?)", QUESTION, () => help.showModal()));
document.body.append(help);

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

function open() {
  const [, kind, name] = location.hash.split("/");
  const from = view instanceof CameraView ? view.name : "";
  view?.close();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  main.dataset.view = kind || "cameras";
  if (kind === "camera" && name) view = new CameraView(main, feed, decoded(name));
  else if (kind === "events") view = new EventsView(main, feed);
  else if (kind === "health") view = new HealthView(main, feed);
  else view = new GridView(main, feed);
  document.title = `${view.title} – Percept watch`;
  const current = kind === "events" || kind === "health" ? `#/${kind}` : "#/";
  for (const link of links) {
    if (link.getAttribute("href") === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  window.scrollTo(0, 0);
  if (!(from && view.focusOn?.(from))) main.focus({ preventScroll: true });
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function changeTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("percept-theme", document.documentElement.dataset.theme);
  } catch {
    return; // without storage the choice lasts until the page is left
  }
  view?.redraw?.();
}

function restoreTheme() {
  try {
    const theme = localStorage.getItem("percept-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    return;
  }
}

function showState() {
  main.removeAttribute("aria-busy");
  const isLost = feed.state === "lost";
  lost.hidden = !isLost;
  lost.textContent = isLost ? "Connection lost. What you see is old; trying again …" : "";
  document.body.classList.toggle("is-lost", isLost);
  showSummary();
}

function showSummary() {
  const { status } = feed;
  if (!status) return;
  const live = status.cameras.filter((camera) => camera.connection === "live").length;
  const text = feed.state === "lost" ? "not connected" : status.ready ? `${live} of ${status.cameras.length} live` : "loading models";
  if (state.textContent !== text) state.textContent = text;
  state.dataset.state = feed.state === "lost" ? "lost" : status.ready && status.canary.ok ? "live" : "connecting";
}

restoreTheme();
new Keyboard(() => ({
  "?": () => help.showModal(),
  t: changeTheme,
  c: () => (location.hash = "#/"),
  e: () => (location.hash = "#/events"),
  h: () => (location.hash = "#/health"),
  Escape: () => (location.hash.startsWith("#/camera/") ? (location.hash = "#/") : document.activeElement?.blur()),
  ...view?.keys?.(),
}));
window.addEventListener("hashchange", open);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view?.redraw?.());
feed.addEventListener("state", showState);
feed.addEventListener("status", showSummary);
feed.addEventListener("cameras", () => main.removeAttribute("aria-busy"));
open();
feed.start();
