/* The labels of the clip on show, each with its probability and what every modality says. `onwhy` is told clip and word
   of a label that is clicked. */
{
  const { element, percent, signed, clockText, MODALITIES } = percept;

  percept.LabelBars = class {
    constructor(root, recording, onwhy) {
      this.onwhy = onwhy;
      this.recording = recording;
      this.clip = null;
      this.filter = null;
      root.classList.add("label-bars");
      this.when = element("span", { class: "when" });
      this.rows = element("ol");
      this.notes = element("ul", { class: "notes" });
      this.trust = element("p", { class: "trust" });
      root.append(element("header", {}, element("h2", { text: "Now" }), this.when), this.rows, this.notes, this.trust);
    }

    show(ms) {
      const clip = this.recording.clipAt(ms);
      if (clip !== this.clip) {
        this.clip = clip;
        this._render();
      }
    }

    applyFilter(filter) {
      this.filter = filter;
      this._render();
    }

    _render() {
      const { recording, clip } = this;
      const labels = clip === null || clip < 0 ? [] : recording.labelsOf(clip);
      const [start, end] = [recording.start[clip], recording.endOf[clip]];
      this.when.textContent = clip >= 0 ? `${clockText(start, true)} – ${clockText(end, true)}` : "";
      labels.forEach((label, place) => {
        this._fill(this.rows.children[place] ?? this._row(), label, recording.first[clip] + place);
      });
      while (this.rows.children.length > labels.length) this.rows.lastChild.remove();
      const notes = clip === null || clip < 0 ? ["no clip here"] : (recording.notes.get(clip) ?? []);
      this.notes.replaceChildren(...notes.map((text) => element("li", { text })));
      this.notes.classList.toggle("wrong", clip >= 0 && recording.state[clip] !== percept.Recording.RESULT);
      this._weigh(labels.length ? clip : -1);
    }

    _row() {
      const meters = MODALITIES.map(({ key, name }) =>
        element("span", { class: `meter ${key}`, title: `what ${name} alone says, and what it adds to the log-odds` },
          element("span", { class: "name", text: name }),
          element("span", { class: "value" }),
          element("span", { class: "scale" }, element("span", { class: "fill" })),
          element("span", { class: "added" })));
      const parts = MODALITIES.map(({ key }) => element("span", { class: `fill ${key}` }));
      const asked = () => this.onwhy(this.clip, this.recording.labelsOf(this.clip)[[...this.rows.children].indexOf(row)].word);
      const row = element("li", {},
        element("button", { type: "button", class: "word", onclick: asked }), element("span", { class: "value" }),
        element("span", { class: "scale whole" }, ...parts),
        element("span", { class: "meters" }, ...meters));
      this.rows.append(row);
      return row;
    }

    _fill(row, label, place) {
      const word = this.recording.words[label.word];
      const [name, value, whole, meters] = row.children;
      row.title = this._sum(label);
      name.textContent = word;
      name.title = `${word}: why?`;
      value.textContent = percent(label.probability);
      const wanted = !this.filter || (label.probability >= this.filter.least && this.filter.matches(word));
      row.classList.toggle("dim", !wanted);
      const shares = this.recording.shares(place, this.clip);
      const known = shares.some((share) => share > 0);
      whole.classList.toggle("plain", !known);
      MODALITIES.forEach(({ key }, index) => {
        whole.children[index].style.width = `${((known ? shares[index] : index ? 0 : 1) * label.probability) / 10}%`;
        const meter = meters.children[index];
        const evidence = label.evidence[key];
        meter.hidden = evidence === undefined;
        meter.querySelector(".fill").style.width = `${(evidence ?? 0) / 10}%`;
        meter.querySelector(".value").textContent = evidence === undefined ? "" : percent(evidence);
        const added = label.added[key];
        meter.querySelector(".added").textContent = added === null ? "" : signed(added);
      });
    }

    /* How the base and what every modality adds become the probability; "" for records that do not tell. */
    _sum(label) {
      const base = this.recording.bases[this.clip];
      if (base === null) return "";
      const terms = MODALITIES.filter(({ key }) => label.added[key] !== null);
      const total = terms.reduce((sum, { key }) => sum + label.added[key], base);
      const added = terms.map(({ key, name }) => `${name} ${signed(label.added[key])}`);
      return `log-odds: base ${signed(base)}, ${added.join(", ")}, together ${signed(total)}: ${percent(label.probability)}`;
    }

    /* How far each modality is trusted in this clip. */
    _weigh(clip) {
      const known = MODALITIES.filter(({ key }) => clip >= 0 && this.recording.weights[key][clip] >= 0);
      this.trust.replaceChildren(...known.map(({ key, name }) =>
        element("span", { class: key, title: `how far ${name} is trusted in this clip` },
          element("i"), `${name} `, element("b", { text: percent(this.recording.weights[key][clip]) }))));
      if (known.length) this.trust.prepend(element("span", { text: "weights" }));
      const base = known.length ? this.recording.bases[clip] : null;
      if (base === null) return;
      const title = "log-odds of a label that is not there; what every modality adds is added to it, and 0 is 50 %";
      this.trust.append(element("span", { class: "base", title }, "base ", element("b", { text: signed(base) })));
    }
  };
}
