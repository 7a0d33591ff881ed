/* Events of one camera over the last hours: a lane per name, and a card per event. */
import { get } from "./api.js";
import { cleared, element, keyed, paints, shortTime, textButton } from "./elements.js";
import { EventCard, nameOf, openEvent } from "./event.js";
import { panel } from "./parts.js";

const SPANS = [[1, "1 h"], [6, "6 h"], [24, "24 h"], [168, "7 days"]];
const LANE_PX = 26;
const RULER_PX = 22;
const MOST_LANES = 12;
const CARDS = 12;
const MOST_EVENTS = 2000;

export class Timeline {
  constructor(feed, camera) {
    Object.assign(this, { feed, camera, hours: 1, events: [], shown: CARDS, next: "" });
    this.names = element("div", { class: "names" });
    this.canvas = element("canvas", { role: "img", "aria-label": "When events happened" });
    this.box = element("div", { class: "area", onclick: (click) => this._open(click) }, this.canvas);
    this.body = element("div", { class: "lanes" }, this.names, this.box);
    this.spans = element("span", { class: "spans", role: "group", "aria-label": "Length of the timeline" },
      ...SPANS.map(([hours, text]) => element("button", { type: "button", "data-hours": hours, text, onclick: () => this._span(hours) })));
    this.cards = element("ol", { class: "events" });
    this.nothing = element("p", { class: "nothing", hidden: true });
    this.more = textButton("Show older events", () => this._more());
    this.root = panel("Events", { class: "timeline-panel", tools: [this.spans] }, this.body, this.cards, this.nothing, this.more);
    this.stop = new AbortController();
    feed.addEventListener("event", ({ detail }) => this._add(detail), { signal: this.stop.signal });
    this.resized = new ResizeObserver(() => this.redraw());
    this.resized.observe(this.box);
    this.timer = setInterval(() => this.redraw(), 5000);
    this._span(1);
    this._ask();
  }

  close() {
    this.stop.abort();
    this.resized.disconnect();
    clearInterval(this.timer);
  }

  redraw() {
    const width = this.box.clientWidth;
    if (!width) return;
    const [end, colours] = [Date.now(), paints()];
    const span = this.hours * 3.6e6;
    const lanes = this._lanes(end - span);
    const height = Math.max(1, lanes.length) * LANE_PX + RULER_PX;
    this.box.style.height = `${height}px`;
    keyed(this.names, lanes, ([name]) => name, ([name]) => element("span", { text: name, title: name }));
    const context = cleared(this.canvas, width, height);
    const x = (ms) => ((ms - (end - span)) / span) * width;
    this.marks = [];
    lanes.forEach(([, events], lane) => {
      const top = lane * LANE_PX;
      context.fillStyle = colours.faint;
      context.fillRect(0, top + 4, width, LANE_PX - 8);
      for (const event of events) this._mark(context, event, top, x, end, colours);
    });
    ruler(context, width, height, end, span, colours);
  }

  _lanes(from) {
    const lanes = new Map();
    for (const event of this.events) {
      if (Date.parse(event.end || event.start) < from && event.state !== "open") continue;
      lanes.set(nameOf(event), [...(lanes.get(nameOf(event)) ?? []), event]);
    }
    return [...lanes].sort(([a], [b]) => a.localeCompare(b)).slice(0, MOST_LANES);
  }

  _mark(context, event, top, x, end, colours) {
    const from = Date.parse(event.start);
    const until = event.state === "open" ? end : Date.parse(event.end || event.start);
    const [left, right] = [x(from), Math.max(x(until), x(from) + 4)];
    context.fillStyle = event.kind === "health" || event.kind === "connection" ? colours.error : colours.accent;
    context.globalAlpha = event.state === "open" ? 1 : 0.8;
    context.beginPath();
    context.roundRect(left, top + 4, right - left, LANE_PX - 8, 3);
    context.fill();
    context.globalAlpha = 1;
    this.marks.push({ event, left: left - 3, right: right + 3, top, bottom: top + LANE_PX });
  }

  _open({ offsetX, offsetY }) {
    const hit = this.marks.findLast(({ left, right, top, bottom }) =>
      offsetX >= left && offsetX <= right && offsetY >= top && offsetY <= bottom);
    if (hit) openEvent(hit.event);
  }

  _span(hours) {
    this.hours = hours;
    for (const button of this.spans.children) button.setAttribute("aria-pressed", button.dataset.hours === String(hours));
    this.redraw();
    this._reach();
  }

  /* Ask for older events until the timeline is full. */
  _reach() {
    const from = Date.now() - this.hours * 3.6e6;
    const oldest = Date.parse(this.events.at(-1)?.start ?? "");
    if (this.next && oldest > from && this.events.length < MOST_EVENTS) this._ask(this.next);
  }

  async _ask(before = "") {
    const query = new URLSearchParams({ camera: this.camera, limit: "200", ...(before && { before }) });
    try {
      const page = await get(`/events?${query}`, this.stop.signal);
      this.events = before ? [...this.events, ...page.events] : page.events;
      this.next = page.next;
      this.wrong = "";
    } catch (error) {
      this.wrong = error.message;
    }
    if (this.stop.signal.aborted) return;
    this._fill();
    if (!this.wrong) this._reach();
  }

  _more() {
    this.shown += CARDS * 2;
    if (this.shown > this.events.length && this.next) this._ask(this.next);
    else this._fill();
  }

  _add(event) {
    if (event.camera !== this.camera) return;
    const place = this.events.findIndex((known) => known.id === event.id);
    if (place >= 0) this.events[place] = event;
    else this.events.unshift(event);
    this.events.length = Math.min(this.events.length, MOST_EVENTS);
    this._fill();
  }

  _fill() {
    keyed(this.cards, this.events.slice(0, this.shown), (event) => event.id,
      (event) => new EventCard(event, false).root, (card, event) => card.show(event));
    this.nothing.hidden = this.events.length > 0;
    this.body.hidden = this.events.length === 0;
    this.spans.hidden = this.events.length === 0;
    this.nothing.textContent = this.wrong || "Nothing has happened here yet. An event appears as soon as a label passes its threshold.";
    this.more.hidden = this.events.length <= this.shown && !this.next;
    this.redraw();
  }
}

function ruler(context, width, height, end, span, colours) {
  const steps = [5, 15, 60, 180, 360, 1440].map((minutes) => minutes * 60_000);
  const step = steps.find((each) => (each / span) * width > 64) ?? 1440 * 60_000;
  context.fillStyle = colours.muted;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  const offset = new Date(end).getTimezoneOffset() * 60_000;
  for (let at = Math.floor((end - offset) / step) * step + offset; at > end - span; at -= step) {
    const x = ((at - (end - span)) / span) * width;
    if (x < 22 || x > width - 22) continue;
    const text = span > 1.8e8 ? new Date(at).toLocaleDateString(undefined, { weekday: "short" }) : shortTime(at);
    context.fillText(text, x, height - 4);
  }
}
