/* The live picture with zones and tracks. Pictures and boxes carry the same clock, so each box is drawn on the picture
   it belongs to: "in step", the picture waits for its boxes; otherwise it is the newest one, without tracks. */
import { cameraPath, url } from "./api.js";
import { boxAt, drawBox, drawLines, drawTag, drawZones } from "./boxes.js";
import { cleared, element, iconButton, percent, tell, trackColour } from "./elements.js";
import { Sketch } from "./sketch.js";

const LONGEST_DELAY_S = 12;
const LAGS = 5;
const AGAIN_MS = 2000;
const STALE_S = 15;
const STILL = "picture of the newest clip";
const BOXES = "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4";
const STEP = "M5 6v12l7-6zM13 6v12l7-6z";

export class Picture {
  constructor(camera) {
    Object.assign(this, { camera, waiting: [], tracks: new Map(), inStep: true, withBoxes: true, delay: 3.5, lags: [], size: null });
    this.canvas = element("canvas", { role: "img", "aria-label": `Live picture of ${camera.name}` });
    this.overlay = element("canvas", { class: "overlay", "aria-hidden": "true" });
    this.message = element("p", { class: "message", text: "Waiting for a picture …" });
    this.told = element("span", { class: "told" });
    this.boxButton = iconButton("Boxes and zones (b)", BOXES, () => this.toggleBoxes());
    this.stepButton = iconButton("Newest picture, or in step with its boxes (l)", STEP, () => this.toggleStep());
    this.stage = element("div", { class: "stage" }, this.canvas, this.overlay, this.message);
    this.root = element("section", { class: "player", "aria-label": "Picture" }, this.stage,
      element("div", { class: "controls" }, this.told, this.boxButton, this.stepButton));
    this.stage.style.aspectRatio = "16 / 9";
    this.stop = new AbortController();
    this.resized = new ResizeObserver(() => this._draw());
    this.resized.observe(this.stage);
    document.addEventListener("visibilitychange", () => document.hidden && this.reading?.abort(), { signal: this.stop.signal });
    this._press();
    this._read();
    this._tick = this._tick.bind(this);
    this.frame = requestAnimationFrame(this._tick);
  }

  /* Take the tracks of a new record, and learn how far records are behind. */
  record(noted) {
    const { record } = noted;
    if (record.dropped || record.gap || record.error) return;
    if (this.ahead === undefined) this._still(record.clip);
    this.learn(noted);
  }

  learn({ record, captured_s: captured }) {
    if (record.dropped || record.gap || record.error || captured <= (this.learned ?? 0)) return;
    this.learned = captured;
    const length = record.end_s - record.start_s;
    const behind = (record.age_s ?? 0) + length + 0.5;
    this.lags = [...this.lags.slice(1 - LAGS), behind];
    this.delay = Math.min(LONGEST_DELAY_S, Math.max(...this.lags));
    if (record.width) this.size = [record.width, record.height];
    const toClock = captured - record.end_s;
    for (const track of record.tracks ?? []) this._addTrack(track, toClock);
    for (const [id, track] of this.tracks) if (track.boxes.at(-1)[0] < captured - 60) this.tracks.delete(id);
  }

  toggleBoxes() {
    this.withBoxes = !this.withBoxes;
    this._press();
    this._draw();
  }

  toggleStep() {
    this.inStep = !this.inStep;
    this.waiting.length = 0;
    this._press();
  }

  redraw() {
    this._draw();
  }

  /* The corners of a zone or the ends of a line that the user draws, in fractions of the picture; null: given up. */
  sketched(kind) {
    this.sketch?.close();
    if (!this.bitmap) {
      tell("There is no picture to draw on yet.", true);
      return Promise.resolve(null);
    }
    return new Promise((done) => {
      this.sketch = new Sketch(this.stage, kind, () => this.place, () => this._draw(), (points) => {
        this.sketch = undefined;
        this._draw();
        done(points);
      });
    });
  }

  close() {
    this.sketch?.close();
    this.stop.abort();
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }

  _press() {
    this.boxButton.setAttribute("aria-pressed", this.withBoxes);
    this.stepButton.setAttribute("aria-pressed", this.inStep);
  }

  _addTrack({ id, label, probability, boxes }, toClock) {
    const track = this.tracks.get(id) ?? { id, boxes: [] };
    track.name = label ? `${id}  ${label} ${percent(probability ?? 0)}` : String(id);
    track.boxes.push(...boxes.map(([time, ...edges]) => [time + toClock, ...edges]));
    track.boxes.splice(0, Math.max(0, track.boxes.length - 400));
    this.tracks.set(id, track);
  }

  /* Read the stream of pictures, and begin again whenever it ends. */
  async _read() {
    while (!this.stop.signal.aborted) {
      try {
        this.reading = new AbortController();
        const signal = AbortSignal.any([this.stop.signal, this.reading.signal]);
        const response = await fetch(url(`${cameraPath(this.camera.name)}/live.mjpg`), { signal });
        if (response.ok) await this._parts(response.body.getReader());
        else this._say((await response.json().catch(() => ({}))).error ?? "There is no live picture.");
      } catch {
        if (this.stop.signal.aborted) return;
      }
      do await new Promise((done) => setTimeout(done, AGAIN_MS));
      while (document.hidden && !this.stop.signal.aborted);
    }
  }

  async _parts(reader) {
    let held = new Uint8Array(0);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const joined = new Uint8Array(held.length + value.length);
      joined.set(held);
      joined.set(value, held.length);
      held = await this._take(joined);
    }
  }

  /* Take whole parts from the front; returns what is left. */
  async _take(bytes) {
    for (;;) {
      const end = headEnd(bytes);
      if (end < 0) return bytes;
      const head = new TextDecoder("latin1").decode(bytes.subarray(0, end));
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (bytes.length < end + length) return bytes;
      const captured = Number(/x-captured: ([\d.]+)/i.exec(head)?.[1] ?? 0);
      const blob = new Blob([bytes.slice(end, end + length)], { type: "image/jpeg" });
      this.waiting.push({ captured, blob, at: performance.now() });
      if (this.waiting.length > 150) this.waiting.shift();
      this.ahead = captured - performance.now() / 1000; // the watch's clock, as seen from here
      bytes = bytes.slice(end + length);
    }
  }

  _tick() {
    this.frame = requestAnimationFrame(this._tick);
    const due = this.inStep && this.captured !== undefined ? (this.ahead ?? 0) + performance.now() / 1000 - this.delay : Infinity;
    let next = null;
    while (this.waiting.length && this.waiting[0].captured <= due) next = this.waiting.shift();
    if (next && !this.showing) this._show(next);
    this._tellAge();
  }

  async _show({ captured, blob, at }) {
    this.showing = true;
    try {
      const bitmap = await createImageBitmap(blob);
      this.bitmap?.close();
      Object.assign(this, { bitmap, captured, shownAt: at });
      this._say("");
      this._draw();
    } catch {
      return; // half a picture: the next one comes
    } finally {
      this.showing = false;
    }
  }

  /* Until there is a live picture, or if there is none: that of the newest clip. */
  async _still(clip) {
    const from = url(`${cameraPath(this.camera.name)}/clip/${clip}.jpg`);
    const picture = async () => {
      const response = await fetch(from, { signal: this.stop.signal });
      return response.ok ? createImageBitmap(await response.blob()) : null;
    };
    const bitmap = await picture().catch(() => null); // also if the view closes meanwhile
    if (!bitmap || this.ahead !== undefined) return;
    this.bitmap?.close();
    this.bitmap = bitmap;
    this._say("");
    this._draw();
  }

  _tellAge() {
    if (!this.bitmap) return;
    if (this.ahead === undefined) {
      if (this.told.textContent !== STILL) this.told.textContent = STILL;
      return;
    }
    const behind = (this.ahead ?? 0) + performance.now() / 1000 - this.captured;
    const stale = behind > STALE_S;
    const text = Number.isNaN(behind) ? STILL : stale ? "no new picture" : this.inStep ? `${behind.toFixed(1)} s behind, in step with its boxes` : "newest picture";
    if (this.told.textContent !== text) this.told.textContent = text;
    this.stage.classList.toggle("stale", stale);
  }

  _say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  _draw() {
    const [width, height] = [this.stage.clientWidth, this.stage.clientHeight];
    if (!this.bitmap || !width) return;
    const shape = `${this.bitmap.width} / ${this.bitmap.height}`;
    if (this.shape !== shape) {
      this.stage.style.aspectRatio = this.shape = shape;
      this.root.parentElement?.parentElement?.style.setProperty("--shape", this.bitmap.width / this.bitmap.height);
    }
    const scale = Math.min(width / this.bitmap.width, height / this.bitmap.height);
    const [wide, high] = [this.bitmap.width * scale, this.bitmap.height * scale];
    const place = (this.place = { left: (width - wide) / 2, top: (height - high) / 2, wide, high });
    cleared(this.canvas, width, height).drawImage(this.bitmap, place.left, place.top, wide, high);
    const context = cleared(this.overlay, width, height);
    this.sketch?.draw(context);
    if (!this.withBoxes) return;
    const { zones, lines } = this.edited ?? this.camera;
    drawZones(context, zones ?? {}, place);
    drawLines(context, lines ?? {}, place);
    if (this.inStep && this.captured !== undefined) this._drawTracks(context, place, width);
  }

  _drawTracks(context, place, width) {
    const [across, down] = this.size ?? [this.bitmap.width, this.bitmap.height];
    const size = Math.max(11, Math.min(15, width / 46));
    context.font = `600 ${size}px system-ui, sans-serif`;
    for (const track of this.tracks.values()) {
      const box = boxAt(track.boxes, this.captured);
      if (!box) continue;
      const [x0, y0, x1, y1] = box.map((edge, side) =>
        side % 2 ? place.top + (edge / down) * place.high : place.left + (edge / across) * place.wide);
      const rgb = trackColour(track.id);
      drawBox(context, [x0, y0, x1, y1], rgb);
      drawTag(context, track.name, x0, y0, rgb, size, width);
    }
  }
}

/* Where the head of a part ends; -1 if it is not whole. */
function headEnd(bytes) {
  for (let at = 0; at + 3 < bytes.length && at < 2048; at++) {
    if (bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at + 4;
  }
  return -1;
}
