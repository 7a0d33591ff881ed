/* A zone or a line, drawn on the picture corner by corner. */
import { toPicture, toScreen } from "./boxes.js";
import { element } from "./elements.js";

const NEAR_PX = 12; // a click this close to the first corner closes a zone
const HINTS = {
  zone: "Click the corners of the zone. Click the first again, or press Enter, to close it; Esc gives up.",
  line: "Click the two ends of the line. Esc gives up.",
};

export class Sketch {
  /* `place()` says where the picture is on the stage, `done(points)` gets fractions of it, or null if it was given up. */
  constructor(stage, kind, place, redraw, done) {
    Object.assign(this, { stage, kind, place, redraw, done, points: [], stop: new AbortController() });
    this.hint = element("p", { class: "hint", role: "status", text: HINTS[kind] });
    stage.append(this.hint);
    stage.classList.add("drawing");
    const signal = this.stop.signal;
    stage.addEventListener("pointerdown", (event) => this._add(event), { signal });
    stage.addEventListener("pointermove", (event) => this._move(event), { signal });
    document.addEventListener("keydown", (event) => this._key(event), { signal, capture: true });
    stage.scrollIntoView({ block: "nearest" });
  }

  close(points = null) {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.hint.remove();
    this.stage.classList.remove("drawing");
    this.done(points);
  }

  draw(context) {
    const place = this.place();
    const points = [...this.points, ...(this.at ? [this.at] : [])].map((point) => toScreen(point, place));
    context.strokeStyle = context.fillStyle = "#fff";
    context.lineWidth = 2;
    context.beginPath();
    points.forEach(([x, y], number) => (number ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
    for (const [x, y] of points) {
      context.beginPath();
      context.arc(x, y, 4, 0, 2 * Math.PI);
      context.fill();
    }
  }

  _add(event) {
    if (event.button) return;
    event.preventDefault();
    const point = this._point(event);
    if (this.kind === "zone" && this.points.length > 2 && this._isNear(point, this.points[0])) return this.close(this.points);
    if (this.points.length && this._isNear(point, this.points.at(-1))) return; // the second half of a double click
    this.points.push(point);
    if (this.kind === "line" && this.points.length === 2) return this.close(this.points);
    this.redraw();
  }

  _move(event) {
    this.at = this._point(event);
    this.redraw();
  }

  _key(event) {
    if (event.key === "Enter" && this.kind === "zone" && this.points.length > 2) this.close(this.points);
    else if (event.key === "Backspace" && this.points.length) this.points.pop();
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.redraw();
  }

  _point(event) {
    const edge = this.stage.getBoundingClientRect();
    return toPicture([event.clientX - edge.left, event.clientY - edge.top], this.place());
  }

  _isNear(one, other) {
    const [[x0, y0], [x1, y1]] = [one, other].map((point) => toScreen(point, this.place()));
    return Math.hypot(x1 - x0, y1 - y0) < NEAR_PX;
  }
}
