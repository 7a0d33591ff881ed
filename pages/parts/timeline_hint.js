/* What is under the pointer on a timeline: the time, the label with its evidence, or why there is no result. */
{
  const { element, percent, clockText, MODALITIES } = percept;

  percept.TimelineHint = class {
    constructor(timeline) {
      this.timeline = timeline;
      this.title = element("b");
      this.text = element("span");
      this.evidence = element("span", { class: "evidence" });
      this.root = element("div", { class: "hint", hidden: true }, this.title, this.text, this.evidence);
    }

    show(event) {
      const { timeline, root } = this;
      const bounds = timeline.box.getBoundingClientRect();
      const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
      const ms = timeline.stretch().ms(x);
      this._write(ms, timeline.rowAt(y));
      root.hidden = false;
      const left = Math.min(Math.max(0, x + 14), bounds.width - root.offsetWidth);
      root.style.transform = `translate(${left}px, ${this._top(y, bounds)}px)`;
    }

    hide() {
      this.root.hidden = true;
    }

    _top(y, bounds) {
      return y + this.root.offsetHeight + 18 < bounds.height ? y + 16 : Math.max(0, y - this.root.offsetHeight - 10);
    }

    _write(ms, row) {
      const { recording } = this.timeline;
      const clip = recording.clipAt(ms);
      const label = row && clip >= 0 ? recording.labelsOf(clip).find(({ word }) => word === row.word) : null;
      this.title.textContent = clockText(ms, true);
      this.evidence.replaceChildren();
      if (clip >= 0 && recording.state[clip] !== percept.Recording.RESULT) {
        this.text.textContent = (recording.notes.get(clip) ?? []).join("; ");
      } else if (label) {
        this.text.textContent = `${recording.words[label.word]} ${percent(label.probability)}`;
        for (const { key, name } of MODALITIES) {
          if (label.evidence[key] === undefined) continue;
          this.evidence.append(element("span", { class: key }, element("i"), `${name} ${percent(label.evidence[key])}`));
        }
      } else this.text.textContent = row && clip >= 0 ? `${recording.words[row.word]}: not among the best` : "";
    }
  };
}
