/* What the page knows of the watch, kept up to date by one stream of events.
   Events: "record" (detail: noted), "status", "event" (detail: event), "cameras", "events", "state". */
import { cameraPath, get, url } from "./api.js";

const KEPT_RECORDS = 150;
const KEPT_EVENTS = 300;
const SILENT_MS = 4000;
const AGAIN_MS = 1500;

export class Feed extends EventTarget {
  constructor() {
    super();
    this.cameras = new Map(); // name -> {camera, status, recent}
    this.status = null;
    this.events = []; // newest first
    this.state = "connecting"; // live, lost
    this.focus = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this._pause() : this._open()));
    setInterval(() => this._watchdog(), 1000);
  }

  start() {
    this._open();
  }

  /* Ask for everything anew: after a reconnect, records and events may have been missed. */
  async reload() {
    const [cameras, events, whole] = await Promise.all([
      get("/cameras"), get("/events?limit=100").catch(() => null), this._whole(this.focus)]);
    this.cameras = new Map(cameras.map((view) => [view.camera.name, this._joined(view)]));
    if (whole && this.cameras.has(whole.camera.name)) this.cameras.set(whole.camera.name, this._joined(whole));
    if (events) this.events = events.events;
    this._tell("cameras");
    this._tell("events");
  }

  /* One camera is looked at: all its records are wanted, not only the newest few; null: none is. */
  async focusOn(name) {
    this.focus = name;
    const whole = await this._whole(name);
    if (!whole || !this.cameras.has(name)) return;
    this.cameras.set(name, this._joined(whole));
    this._tell("cameras");
  }

  newest(name) {
    return this.cameras.get(name)?.recent.at(-1) ?? null;
  }

  openEvents(name) {
    return this.events.filter((event) => event.camera === name && event.state === "open");
  }

  _whole(name) {
    return name ? get(cameraPath(name)).catch(() => null) : null;
  }

  /* A view with the older records that are known here. */
  _joined(view) {
    const from = view.recent[0]?.captured_s ?? Infinity;
    const older = (this.cameras.get(view.camera.name)?.recent ?? []).filter((noted) => noted.captured_s < from);
    for (const noted of view.recent) {
      noted.at = performance.now() - (view.now_s - noted.captured_s - (noted.record.age_s ?? 0)) * 1000;
    }
    view.recent = [...older, ...view.recent].slice(-KEPT_RECORDS);
    return view;
  }

  _open() {
    if (this.source || document.hidden) return;
    this._heard = performance.now();
    const source = (this.source = new EventSource(url("/stream")));
    source.addEventListener("open", () => this._reload(source));
    source.addEventListener("error", () => this._lose(source.readyState === EventSource.CLOSED));
    source.addEventListener("lagged", () => this._reload(source));
    source.addEventListener("settings", () => this._reload(source));
    this._on(source, "status", (status) => this._status(status));
    this._on(source, "record", (noted) => this._record(noted));
    this._on(source, "event", (event) => this._event(event));
  }

  _on(source, kind, take) {
    source.addEventListener(kind, (message) => {
      this._heard = performance.now();
      this._become("live");
      take(JSON.parse(message.data));
    });
  }

  async _reload(source) {
    this._heard = performance.now();
    try {
      await this.reload();
      if (this.source === source) this._become("live");
    } catch {
      if (this.source === source) this._lose(true);
    }
  }

  _lose(isClosed) {
    this._become("lost");
    if (!isClosed) return;
    this._close();
    clearTimeout(this._again);
    this._again = setTimeout(() => {
      get("/status").then(() => this._open(), () => this._lose(true));
    }, AGAIN_MS);
  }

  _watchdog() {
    if (this.source && performance.now() - this._heard > SILENT_MS) this._lose(true);
  }

  _pause() {
    clearTimeout(this._again);
    this._close();
  }

  _close() {
    this.source?.close();
    this.source = null;
  }

  _status(status) {
    this.status = status;
    for (const camera of status.cameras) {
      const view = this.cameras.get(camera.name);
      if (view) view.status = camera;
    }
    this._tell("status");
  }

  _record(noted) {
    const view = this.cameras.get(noted.camera);
    if (!view) return;
    noted.at = performance.now();
    view.recent.push(noted);
    if (view.recent.length > KEPT_RECORDS) view.recent.splice(0, view.recent.length - KEPT_RECORDS);
    this._tell("record", noted);
  }

  _event(event) {
    const place = this.events.findIndex((known) => known.id === event.id);
    if (place >= 0) this.events[place] = event;
    else this.events.unshift(event);
    this.events.sort((a, b) => Date.parse(b.start) - Date.parse(a.start));
    this.events.length = Math.min(this.events.length, KEPT_EVENTS);
    this._tell("event", event);
    this._tell("events");
  }

  _become(state) {
    if (this.state === state) return;
    this.state = state;
    this._tell("state");
  }

  _tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
