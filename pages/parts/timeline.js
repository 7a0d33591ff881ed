/* A lane per label over time. Clicking seeks; names open lanes for picture, motion and sound.
   Events: "seek" with `detail` in milliseconds. */
{
  const { element, iconButton, MODALITIES } = percept;
  const RULER_PX = 26;
  const LANE_PX = 38;
  const BAR_PX = 26;
  const SUB_PX = 22;
  const FEW = 12;
  const LEAST_MS = 500;
  const WHOLE = "M4 12h16M4 12l4-4M4 12l4 4M20 12l-4-4M20 12l-4 4";

  percept.Timeline = class extends EventTarget {
    constructor(root, recording, { end = recording.end } = {}) {
      super();
      Object.assign(this, { root, recording, end, from: 0, to: end, time: 0, filter: null, all: false });
      this.open = new Set();
      this.dense = new percept.Dense();
      this.hover = new percept.TimelineHint(this);
      this._build();
      this._listen();
      this.applyFilter(null);
    }

    /* Follow the time; a zoomed view turns the page when the time leaves it. */
    show(ms) {
      const wasInside = this.time >= this.from && this.time <= this.to;
      const span = this.to - this.from;
      this.time = ms;
      if (wasInside && span < this.end && (ms < this.from || ms > this.to)) this.zoomTo(ms - span * 0.1, span);
      this._place();
    }

    applyFilter(filter) {
      this.filter = filter;
      this.least = filter ? filter.least : 0;
      const durations = this.recording.durations(Math.max(1, this.least));
      this.ranked = durations
        .map((duration, word) => ({ duration, word }))
        .filter(({ duration, word }) => duration > 0 && (!filter || filter.matches(this.recording.words[word])))
        .sort((a, b) => b.duration - a.duration || a.word - b.word)
        .map(({ word }) => word);
      this._lanes();
    }

    zoom(factor, around = this.time) {
      const span = Math.max(LEAST_MS, Math.min(this.end, (this.to - this.from) * factor));
      const centre = around < this.from || around > this.to ? (this.from + this.to) / 2 : around;
      const share = (centre - this.from) / (this.to - this.from);
      this.zoomTo(centre - share * span, span);
    }

    zoomTo(from, span = this.to - this.from) {
      this.from = Math.max(0, Math.min(from, this.end - span));
      this.to = this.from + span;
      const zoomed = span < this.end - 1;
      this.outButton.disabled = this.wholeButton.disabled = !zoomed;
      this.overview.root.hidden = !zoomed;
      this.draw();
    }

    stretch() {
      return new percept.Stretch(this.from, this.to, this.box.clientWidth);
    }

    /* Draw everything anew: labels, sizes or colours have changed. */
    redraw() {
      this.overview.isStale = true;
      this.draw();
    }

    /* Draw once before the next frame, however often it is asked for. */
    draw() {
      this._asked ??= requestAnimationFrame(() => {
        this._asked = undefined;
        this.paint();
      });
    }

    paint() {
      const width = this.box.clientWidth;
      const height = Math.min(this.body.clientHeight, this.lanesPx + RULER_PX);
      if (!width || !height) return;
      this.box.style.height = `${height}px`;
      const context = percept.cleared(this.canvas, width, height);
      const [paints, stretch, scrolled] = [percept.paints(), this.stretch(), this.body.scrollTop];
      context.save();
      context.beginPath();
      context.rect(0, RULER_PX, width, height - RULER_PX);
      context.clip();
      this.dense.clear(width, height);
      for (const row of this.rows) {
        const top = row.top + RULER_PX - scrolled;
        if (top + row.height > RULER_PX && top < height) this._paintRow(context, row, stretch, top, paints);
      }
      this.dense.drawOn(context);
      percept.paintOthers(context, this.recording, stretch, RULER_PX, height - RULER_PX, paints);
      context.restore();
      percept.paintRuler(context, stretch, RULER_PX, paints);
      this.overview.draw();
      this._place();
    }

    /* The lane at a height of the box; null if there is none. */
    rowAt(y) {
      const inside = y - RULER_PX + this.body.scrollTop;
      return this.rows.find((row) => y > RULER_PX && inside >= row.top && inside < row.top + row.height) ?? null;
    }

    close() {
      this.resized.disconnect();
      cancelAnimationFrame(this._asked);
    }

    _paintRow(context, row, stretch, top, paints) {
      context.fillStyle = paints.line;
      context.fillRect(0, top + row.height - 1, stretch.width, 1);
      const [gap, high] = row.modality ? [4, SUB_PX - 6] : [6, BAR_PX];
      const { word, modality } = row;
      const lane = { word, modality, top: top + gap, height: high, least: modality ? 0 : this.least };
      percept.paintLane(context, this.dense, this.recording, stretch, lane, paints);
      if (!modality) percept.paintEvents(context, this.eventsOf[word] ?? [], stretch, top + gap + high + 2, paints);
    }

    _build() {
      this.eventsOf = grouped(this.recording.events);
      this.canvas = element("canvas");
      this.playhead = element("div", { class: "playhead" });
      const slider = { role: "slider", tabindex: 0, "aria-label": "Timeline position", "aria-valuemin": 0 };
      this.box = element("div", { class: "box", ...slider }, this.canvas, this.playhead, this.hover.root);
      this.box.setAttribute("aria-valuemax", Math.round(this.end / 1000));
      this.names = element("div", { class: "names" });
      this.body = element("div", { class: "body" }, this.names, element("div", { class: "area" }, this.box));
      this.nothing = element("p", { class: "nothing" });
      this.moreButton = percept.textButton("", () => {
        this.all = !this.all;
        this._lanes();
      });
      const zoomIn = iconButton("Zoom in (+)", "M12 6v12M6 12h12", () => this.zoom(0.5));
      this.outButton = iconButton("Zoom out (−)", "M6 12h12", () => this.zoom(2));
      this.wholeButton = iconButton("Whole source (0)", WHOLE, () => this.zoomTo(0, this.end));
      this.overview = new percept.Overview(this);
      this.legend = element("p", { class: "legend" });
      this.root.classList.add("timeline");
      this.root.append(
        element("header", {}, element("h2", { text: "Timeline" }), this.legend,
          element("div", { class: "zoom" }, this.outButton, zoomIn, this.wholeButton)),
        this.body, this.nothing, this.overview.root, this.moreButton);
      this.outButton.disabled = this.wholeButton.disabled = true;
      this.overview.root.hidden = true;
      this._explain();
    }

    _explain() {
      const states = new Set(this.recording.others.map((clip) => this.recording.state[clip]));
      const used = MODALITIES.filter(({ key }) => this.recording.labels[key].some((value) => value >= 0));
      const entries = used.map(({ key, name }) => [key, name]);
      ["error", "dropped", "gap"].forEach((name, place) => states.has(place + 1) && entries.push([name, name]));
      if (this.recording.events.length) entries.push(["event", "event"]);
      this.legend.append(...entries.map(([kind, text]) => element("span", { class: kind }, element("i"), text)));
    }

    _listen() {
      const seek = (event) => {
        const ms = this.stretch().ms(event.clientX - this.box.getBoundingClientRect().left);
        percept.askToSeek(this, Math.max(0, Math.min(ms, this.end)));
      };
      this.box.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        this.box.setPointerCapture(event.pointerId);
        this.hover.hide();
        seek(event);
      });
      this.box.addEventListener("pointermove", (event) => {
        if (this.box.hasPointerCapture(event.pointerId)) seek(event);
        else if (event.pointerType === "mouse") this.hover.show(event);
      });
      this.box.addEventListener("pointerleave", () => this.hover.hide());
      this.box.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
      this.body.addEventListener("scroll", () => this.draw());
      this.resized = new ResizeObserver(() => this.redraw());
      this.resized.observe(this.body);
    }

    _wheel(event) {
      const stretch = this.stretch();
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        this.zoom(Math.exp(event.deltaY * 0.01), stretch.ms(event.clientX - this.box.getBoundingClientRect().left));
      } else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY) && this.to - this.from < this.end) {
        this.zoomTo(this.from + (sideways / stretch.width) * (this.to - this.from));
      } else return;
      this.hover.hide();
      event.preventDefault();
    }

    _lanes() {
      const shown = this.all ? this.ranked : this.ranked.slice(0, FEW);
      this.rows = [];
      let top = 0;
      const add = (word, modality, height) => {
        this.rows.push({ word, modality, top, height });
        top += height;
      };
      for (const word of shown) {
        add(word, null, LANE_PX);
        if (this.open.has(word)) for (const { key } of MODALITIES) add(word, key, SUB_PX);
      }
      this.names.replaceChildren(...this.rows.map((row) => this._name(row)));
      this.lanesPx = top;
      this.names.style.height = `${top + RULER_PX}px`;
      this.nothing.hidden = shown.length > 0;
      const isNamed = Boolean(this.filter?.terms.length);
      const tooFew = `No label is at least ${percept.percent(this.least)} probable.`;
      this.nothing.textContent = isNamed ? "No label fits the filter." : tooFew;
      this.moreButton.hidden = this.ranked.length <= FEW;
      this.moreButton.textContent = this.all ? `Show the ${FEW} longest` : `Show all ${this.ranked.length} labels`;
      this.redraw();
    }

    _name(row) {
      const word = this.recording.words[row.word];
      if (row.modality) {
        const { name } = MODALITIES.find(({ key }) => key === row.modality);
        return element("div", { class: `sub ${row.modality}` }, element("i"), name);
      }
      const isOpen = String(this.open.has(row.word));
      const onclick = (event) => this._toggle(row.word, event.detail === 0);
      return element("button", { type: "button", title: word, "aria-expanded": isOpen, onclick },
        percept.icon("M9 6l6 6-6 6"), element("span", { text: word }));
    }

    /* Open or close the lanes of a label; the focus stays if it was a key that did it. */
    _toggle(word, byKey) {
      if (!this.open.delete(word)) this.open.add(word);
      this._lanes();
      const place = this.rows.findIndex((row) => row.word === word);
      if (byKey) this.names.children[place].focus();
    }

    _place() {
      const x = this.stretch().x(this.time);
      this.playhead.hidden = x < 0 || x > this.box.clientWidth + 1;
      this.playhead.style.transform = `translateX(${x}px)`;
      this.box.setAttribute("aria-valuenow", Math.round(this.time / 1000));
      this.box.setAttribute("aria-valuetext", percept.clockText(this.time, true));
      this.overview.place();
    }
  };

  function grouped(events) {
    const found = {};
    for (const event of events) (found[event.word] ??= []).push(event);
    return found;
  }
}
