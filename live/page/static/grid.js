/* All cameras: picture, name, connection, what is seen and heard, and how old that is. */
import { cameraPath, url } from "./api.js";
import { durationText, element, keyed, percent } from "./elements.js";
import { EventCard, nameOf } from "./event.js";
import { connectionBadge, panel, wholeBar } from "./parts.js";

const SHOWN = 3;
const LATEST = 8;

export class GridView {
  title = "Cameras";

  constructor(root, feed) {
    this.feed = feed;
    this.cards = new Map();
    this.list = element("ul", { class: "grid" });
    this.nothing = element("div", { class: "empty", hidden: true },
      element("h2", { text: "No camera is watched yet" }),
      element("p", { text: "Add one on the health page, or in the config, and it appears here." }),
      element("a", { class: "primary", href: "#/health", text: "Add a camera" }));
    this.events = element("ol", { class: "events" });
    this.latest = panel("Latest events", { class: "latest", tools: [element("a", { href: "#/events", text: "All events" })] }, this.events);
    root.replaceChildren(this.list, this.nothing, this.latest);
    this.stop = new AbortController();
    const on = (kind, act) => feed.addEventListener(kind, act, { signal: this.stop.signal });
    on("cameras", () => this._fill());
    on("status", () => this.cards.forEach((card) => card.refresh()));
    on("events", () => this._events());
    on("record", ({ detail }) => this.cards.get(detail.camera)?.show(detail));
    this.timer = setInterval(() => this.cards.forEach((card) => card.age()), 500);
    this._fill();
  }

  keys() {
    const links = [...this.list.querySelectorAll("a")];
    const columns = () => getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
    const go = (by) => () => {
      const place = links.indexOf(document.activeElement);
      links[Math.max(0, Math.min(links.length - 1, place < 0 ? 0 : place + by()))]?.focus();
    };
    return { ArrowRight: go(() => 1), ArrowLeft: go(() => -1), ArrowDown: go(columns), ArrowUp: go(() => -columns()) };
  }

  /* Back from a camera: its card has the focus. Returns whether there is one. */
  focusOn(name) {
    const card = this.cards.get(name);
    card?.link.focus();
    return Boolean(card);
  }

  close() {
    this.stop.abort();
    clearInterval(this.timer);
  }

  _fill() {
    const names = [...this.feed.cameras.keys()];
    this.nothing.hidden = names.length > 0 || this.feed.state === "connecting";
    this.list.dataset.few = names.length <= 3;
    keyed(this.list, names, (name) => name, (name) => {
      const card = new Card(this.feed, name);
      this.cards.set(name, card);
      return card.root;
    });
    for (const name of this.cards.keys()) if (!this.feed.cameras.has(name)) this.cards.delete(name);
    this._events();
  }

  _events() {
    this.cards.forEach((card) => card.refresh());
    const latest = this.feed.events.slice(0, LATEST);
    this.latest.hidden = latest.length === 0;
    keyed(this.events, latest, (event) => event.id, (event) => new EventCard(event).root, (card, event) => card.show(event));
  }
}

class Card {
  constructor(feed, name) {
    Object.assign(this, { feed, name });
    this.picture = element("img", { alt: "", hidden: true });
    this.placeholder = element("span", { class: "placeholder", text: "no picture yet" });
    this.badge = connectionBadge();
    this.event = element("span", { class: "happening", hidden: true });
    this.aged = element("span", { class: "age" });
    this.labels = element("ol", { class: "top-labels" });
    this.link = element("a", { class: "card", href: `#/camera/${encodeURIComponent(name)}` },
      element("span", { class: "shot" }, this.placeholder, this.picture, this.event),
      element("span", { class: "line" }, element("span", { class: "name", text: name, title: name }), this.aged),
      element("span", { class: "line" }, this.badge.root));
    this.root = element("li", { class: "camera" }, this.link, this.labels);
    const newest = feed.newest(name);
    if (newest) this.show(newest);
  }

  show(noted) {
    const { record } = noted;
    this.noted = noted;
    const seen = this.feed.cameras.get(this.name)?.status.has_video !== false;
    if (seen && record.clip >= 0 && !record.dropped && !record.error) this._load(record.clip);
    const labels = record.labels ?? [];
    if (labels.length || !record.dropped) {
      keyed(this.labels, labels.slice(0, SHOWN), (label) => label.label, () => labelRow(), fillRow);
    }
    this.refresh();
    this.age();
  }

  refresh() {
    const view = this.feed.cameras.get(this.name);
    if (!view) return;
    const { status } = view;
    this.badge.show(status);
    this.link.classList.toggle("off", status.connection !== "live");
    const open = this.feed.openEvents(this.name);
    this.event.hidden = open.length === 0;
    const text = open.map(nameOf).join(", ");
    if (this.event.textContent !== text) this.event.textContent = this.event.title = text;
    if (!status.has_video && status.has_audio) this.placeholder.textContent = "sound only";
  }

  /* How old the newest result is now. */
  age() {
    const record = this.noted?.record;
    const known = record?.age_s !== undefined;
    const seconds = known ? record.age_s + (performance.now() - this.noted.at) / 1000 : 0;
    this.aged.textContent = known ? (seconds < 60 ? `${seconds.toFixed(1)} s ago` : `${durationText(seconds)} ago`) : "";
    this.aged.title = "since the newest labelled picture was captured";
    this.aged.classList.toggle("old", seconds > 10);
  }

  /* The picture of a clip; the old one stays until the new one is there. */
  async _load(clip) {
    const next = new Image();
    next.alt = "";
    next.src = url(`${cameraPath(this.name)}/clip/${clip}.jpg`);
    this.loading = next;
    try {
      await next.decode();
    } catch {
      return;
    }
    if (this.loading !== next) return;
    this.picture.replaceWith(next);
    this.picture = next;
    this.placeholder.hidden = true;
  }
}

function labelRow() {
  return element("li", {}, element("span", { class: "word" }), element("span", { class: "value" }), wholeBar());
}

function fillRow(row, label) {
  const [word, value, bar] = row.children;
  word.textContent = word.title = label.label;
  value.textContent = percent(label.probability);
  bar.fill(label);
}
