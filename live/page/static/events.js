/* Events of all cameras, by day, with a filter. */
import { get } from "./api.js";
import { dayOf, dayText, element, keyed, textButton } from "./elements.js";
import { EventCard } from "./event.js";

const MOST = 1000;
const KINDS = [["", "all kinds"], ["label", "labels"], ["rule", "rules"], ["health", "health"], ["connection", "connection"], ["test", "tests"]];

export class EventsView {
  title = "Events";

  constructor(root, feed) {
    this.feed = feed;
    this.older = [];
    this.next = null;
    this.word = element("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter events by name",
      oninput: () => this._fill() });
    this.camera = element("select", { "aria-label": "Camera", onchange: () => this._ask() });
    this.kind = element("select", { "aria-label": "Kind", onchange: () => this._ask() },
      ...KINDS.map(([value, text]) => element("option", { value, text })));
    this.found = element("span", { class: "found", role: "status" });
    this.days = element("div", { class: "days" });
    this.nothing = element("p", { class: "nothing", hidden: true });
    this.more = textButton("Show older events", () => this._more());
    root.replaceChildren(
      element("form", { class: "filter", role: "search", onsubmit: (event) => event.preventDefault() },
        element("span", { class: "search" }, this.word), this.camera, this.kind, this.found),
      this.days, this.nothing, this.more);
    this.stop = new AbortController();
    feed.addEventListener("event", ({ detail }) => this._add(detail), { signal: this.stop.signal });
    feed.addEventListener("cameras", () => this._cameras(), { signal: this.stop.signal });
    this._cameras();
    this._ask();
  }

  keys() {
    return { "/": () => this.word.focus() };
  }

  close() {
    this.stop.abort();
  }

  _cameras() {
    const chosen = this.camera.value;
    this.camera.replaceChildren(element("option", { value: "", text: "all cameras" }),
      ...[...this.feed.cameras.keys()].map((name) => element("option", { value: name, text: name })));
    this.camera.value = this.feed.cameras.has(chosen) ? chosen : "";
  }

  async _ask(before = "") {
    const query = new URLSearchParams({ limit: "60" });
    if (this.camera.value) query.set("camera", this.camera.value);
    if (this.kind.value) query.set("kind", this.kind.value);
    if (before) query.set("before", before);
    try {
      const page = await get(`/events?${query}`, this.stop.signal);
      this.older = before ? [...this.older, ...page.events] : page.events;
      this.next = page.next;
      this.wrong = "";
    } catch (error) {
      this.wrong = error.message;
    }
    if (!this.stop.signal.aborted) this._fill();
  }

  _more() {
    if (this.next) this._ask(this.next);
  }

  _add(event) {
    if (this.camera.value && event.camera !== this.camera.value) return;
    if (this.kind.value && event.kind !== this.kind.value) return;
    const place = this.older.findIndex((known) => known.id === event.id);
    if (place >= 0) this.older[place] = event;
    else this.older.unshift(event);
    this.older.length = Math.min(this.older.length, MOST);
    this._fill();
  }

  _fill() {
    const word = this.word.value.trim().toLowerCase();
    const events = this.older.filter((event) => `${event.name} ${event.camera}`.toLowerCase().includes(word));
    const days = new Map();
    for (const event of events) {
      const day = dayOf(new Date(event.start));
      days.set(day, [...(days.get(day) ?? []), event]);
    }
    keyed(this.days, [...days], ([day]) => day, makeDay, fillDay);
    this.found.textContent = events.length === 1 ? "1 event" : `${events.length} events`;
    this.nothing.hidden = events.length > 0;
    this.nothing.textContent = this.wrong || (this.older.length ? "No event fits the filter." : "Nothing has happened yet.");
    this.more.hidden = !this.next;
  }
}

function makeDay([, events]) {
  return element("section", { class: "day" }, element("h2", { text: dayText(events[0].start) }), element("ol", { class: "events" }));
}

function fillDay(section, [, events]) {
  keyed(section.lastChild, events, (event) => event.id, (event) => new EventCard(event).root, (card, event) => card.show(event));
}

