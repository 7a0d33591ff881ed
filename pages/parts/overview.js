/* The whole source in one strip beneath a zoomed timeline, with a window that can be dragged. */
{
  const HEIGHT_PX = 26;

  percept.Overview = class {
    constructor(timeline) {
      this.timeline = timeline;
      this.canvas = percept.element("canvas");
      this.window = percept.element("div", { class: "window" });
      this.head = percept.element("div", { class: "playhead" });
      this.strip = percept.element("div", { class: "strip" }, this.canvas, this.window, this.head);
      const name = percept.element("span", { text: "whole source" });
      this.root = percept.element("div", { class: "overview", "aria-hidden": "true" }, name, this.strip);
      this.strip.addEventListener("pointerdown", (event) => {
        this.strip.setPointerCapture(event.pointerId);
        this._move(event);
      });
      this.strip.addEventListener("pointermove", (event) => {
        if (this.strip.hasPointerCapture(event.pointerId)) this._move(event);
      });
    }

    /* Draws the lanes if they have changed. */
    draw() {
      const { timeline, canvas, strip } = this;
      const width = strip.clientWidth;
      if (!width || !this.isStale) return;
      this.isStale = false;
      const context = percept.cleared(canvas, width, HEIGHT_PX);
      const [paints, stretch] = [percept.paints(), new percept.Stretch(0, timeline.end, width)];
      const dense = new percept.Dense();
      dense.clear(width, HEIGHT_PX);
      const rows = timeline.rows.filter((row) => !row.modality);
      const height = Math.max(1, HEIGHT_PX / Math.max(rows.length, 1) - 0.5);
      rows.forEach(({ word }, place) => {
        const lane = { word, modality: null, top: place * (height + 0.5), height, least: timeline.least };
        percept.paintLane(context, dense, timeline.recording, stretch, lane, paints);
      });
      dense.drawOn(context);
      percept.paintOthers(context, timeline.recording, stretch, 0, HEIGHT_PX, paints);
    }

    place() {
      const { timeline, strip } = this;
      const x = (ms) => (ms / timeline.end) * strip.clientWidth;
      this.window.style.left = `${x(timeline.from)}px`;
      this.window.style.width = `${Math.max(6, x(timeline.to) - x(timeline.from))}px`;
      this.head.style.transform = `translateX(${x(timeline.time)}px)`;
    }

    _move(event) {
      const { timeline, strip } = this;
      const bounds = strip.getBoundingClientRect();
      const ms = ((event.clientX - bounds.left) / bounds.width) * timeline.end;
      timeline.zoomTo(ms - (timeline.to - timeline.from) / 2);
    }
  };
}
