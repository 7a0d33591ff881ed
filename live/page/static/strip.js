/* The last minutes: how loud it was, how much moved, and what went wrong, clip by clip. */
import { cleared, element, paints, timeText } from "./elements.js";
import { panel } from "./parts.js";

const SPAN_S = 300;
const FLOOR_DB = -70;
const RULER_PX = 18;
const LANE_PX = 46;
const GAP_PX = 8;

export class Strip {
  constructor() {
    this.canvas = element("canvas", { role: "img", "aria-label": "Loudness and motion of the last five minutes" });
    this.box = element("div", { class: "strip-box" }, this.canvas);
    this.now = element("span", { class: "when" });
    const legend = element("p", { class: "legend" },
      element("span", { class: "audio" }, element("i"), "sound"),
      element("span", { class: "motion" }, element("i"), "change"),
      element("span", { class: "dropped" }, element("i"), "dropped"),
      element("span", { class: "error" }, element("i"), "error or gap"));
    this.root = panel("Last five minutes", { class: "strip", tools: [legend, this.now] }, this.box);
    this.recent = [];
    this.resized = new ResizeObserver(() => this.redraw());
    this.resized.observe(this.box);
  }

  show(recent) {
    this.recent = recent;
    const level = recent.at(-1)?.record.measures?.level_dbfs;
    this.now.textContent = level === undefined ? "" : `${level.toFixed(0)} dBFS`;
    this.redraw();
  }

  redraw() {
    const width = this.box.clientWidth;
    if (!width) return;
    const height = LANE_PX * 2 + GAP_PX + RULER_PX;
    const context = cleared(this.canvas, width, height);
    const colours = paints();
    const newest = this.recent.at(-1);
    const end = newest?.captured_s ?? 0;
    const x = (seconds) => width - ((end - seconds) / SPAN_S) * width;
    context.fillStyle = colours.faint;
    context.fillRect(0, 0, width, LANE_PX);
    context.fillRect(0, LANE_PX + GAP_PX, width, LANE_PX);
    for (const noted of this.recent) this._clip(context, noted, x, colours);
    this._ruler(context, width, height, colours, newest);
  }

  close() {
    this.resized.disconnect();
  }

  _clip(context, { captured_s: captured, record }, x, colours) {
    const [left, right] = [x(captured - (record.end_s - record.start_s)), x(captured)];
    if (right < 0) return;
    const wide = Math.max(1, right - left - (right - left > 4 ? 1 : 0));
    if (record.gap || record.error || record.dropped) {
      context.fillStyle = record.dropped ? colours.drop : colours.error;
      context.fillRect(left, LANE_PX + 2, wide, GAP_PX - 4);
      return;
    }
    const measures = record.measures ?? {};
    bar(context, left, wide, 0, loudness(measures.level_dbfs), loudness(measures.peak_dbfs), colours.audio);
    bar(context, left, wide, LANE_PX + GAP_PX, Math.sqrt(measures.change ?? 0), 0, colours.motion);
  }

  _ruler(context, width, height, colours, newest) {
    context.fillStyle = colours.muted;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "alphabetic";
    const end = newest ? Date.parse(newest.record.wall_time ?? "") : NaN;
    for (let minute = 0; minute < 5; minute++) {
      const at = width - (minute / 5) * width;
      const text = minute === 0 ? "now" : Number.isNaN(end) ? `−${minute} min` : timeText(end - minute * 60_000, false);
      context.textAlign = minute === 0 ? "right" : "center";
      context.fillText(text, at, height - 3);
    }
  }
}

const loudness = (level) => (level === undefined ? 0 : Math.max(0, Math.min(1, (level - FLOOR_DB) / -FLOOR_DB)));

/* A column for a share, and a fainter one up to the peak. */
function bar(context, left, wide, top, share, peak, colour) {
  context.fillStyle = colour;
  if (peak > share) {
    context.globalAlpha = 0.35;
    context.fillRect(left, top + LANE_PX * (1 - peak), wide, LANE_PX * peak);
    context.globalAlpha = 1;
  }
  const high = Math.max(share > 0 ? 1 : 0, LANE_PX * Math.min(1, share));
  context.fillRect(left, top + LANE_PX - high, wide, high);
}
