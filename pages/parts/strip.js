/* A source in one strip: a thin lane for each of its labels. Clicking goes to a time: "seek" with `detail` in
   milliseconds. `dense`: what thin bars are painted in, shared by all strips. */
{
  const { element, percent, clockText } = percept;
  const LANE_PX = 18;
  const BAR_PX = 13;

  percept.Strip = class extends EventTarget {
    constructor(root, recording, dense) {
      super();
      Object.assign(this, { recording, dense, least: 0 });
      this.height = Math.max(1, recording.words.length) * LANE_PX;
      this.canvas = element("canvas");
      this.at = element("div", { class: "playhead", hidden: true });
      this.hint = element("p", { class: "hint", hidden: true });
      this.box = element("div", { class: "box" }, this.canvas, this.at, this.hint);
      this.box.style.height = `${this.height}px`;
      const names = recording.words.map((word) => element("li", { text: word, title: word }));
      root.classList.add("strip-lanes");
      root.append(element("ol", {}, ...names), this.box);
      this.box.addEventListener("click", (event) => percept.askToSeek(this, this._ms(event)));
      this.box.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this._point(event));
      this.box.addEventListener("pointerleave", () => (this.at.hidden = this.hint.hidden = true));
    }

    paint() {
      const width = this.box.clientWidth;
      if (!width) return;
      const context = percept.cleared(this.canvas, width, this.height);
      const [paints, stretch] = [percept.paints(), new percept.Stretch(0, this.recording.end, width)];
      this.dense.clear(width, this.height);
      this.recording.words.forEach((_, word) => {
        const top = word * LANE_PX;
        context.fillStyle = paints.line;
        context.fillRect(0, top + LANE_PX - 1, width, 1);
        const lane = { word, modality: null, top: top + LANE_PX - BAR_PX - 1, height: BAR_PX, least: this.least };
        percept.paintLane(context, this.dense, this.recording, stretch, lane, paints);
      });
      this.dense.drawOn(context);
      percept.paintOthers(context, this.recording, stretch, 0, this.height, paints);
    }

    _ms(event) {
      const bounds = this.box.getBoundingClientRect();
      const share = (event.clientX - bounds.left) / bounds.width;
      return Math.max(0, Math.min(1, share)) * this.recording.end;
    }

    _point(event) {
      const { recording } = this;
      const bounds = this.box.getBoundingClientRect();
      const [x, ms] = [event.clientX - bounds.left, this._ms(event)];
      const word = Math.min(recording.words.length - 1, Math.floor((event.clientY - bounds.top) / LANE_PX));
      const clip = recording.clipAt(ms);
      const label = clip < 0 ? null : recording.labelsOf(clip).find((each) => each.word === word);
      const text = label ? `  ${recording.words[word]} ${percent(label.probability)}` : "";
      this.hint.textContent = `${clockText(ms, recording.end < 60_000)}${text}`;
      this.at.hidden = this.hint.hidden = false;
      this.at.style.transform = `translateX(${x}px)`;
      const left = Math.min(x + 10, bounds.width - this.hint.offsetWidth);
      this.hint.style.transform = `translate(${Math.max(0, left)}px, ${-this.hint.offsetHeight - 2}px)`;
    }
  };
}
