/* Events in order of time. Clicking one seeks. Events: "seek" with `detail` in milliseconds. */
{
  const { element, percent, clockText } = percept;
  const PAGE = 100;

  percept.EventList = class extends EventTarget {
    constructor(root, recording) {
      super();
      this.recording = recording;
      this.shown = PAGE;
      this.rows = [];
      root.classList.add("event-list");
      this.list = element("ol");
      this.nothing = element("p", { class: "nothing", hidden: true });
      this.title = element("h2", { text: "Events" });
      this.moreButton = percept.textButton("", () => {
        this.shown += PAGE;
        this._fill();
      });
      root.append(element("header", {}, this.title), this.list, this.nothing, this.moreButton);
      this.applyFilter(null);
    }

    get count() {
      return this.events.length;
    }

    show(ms) {
      for (const { event, row } of this.rows) {
        if (ms >= event.start && ms < event.end) row.setAttribute("aria-current", "true");
        else row.removeAttribute("aria-current");
      }
    }

    applyFilter(filter) {
      this.events = this.recording.events.filter(
        ({ word, peak }) => !filter || (filter.matches(this.recording.words[word]) && peak >= filter.least));
      this.shown = PAGE;
      this._fill();
    }

    _fill() {
      const { events, shown } = this;
      this.rows = events.slice(0, shown).map((event) => ({ event, row: this._row(event) }));
      this.list.replaceChildren(...this.rows.map(({ row }) => element("li", {}, row)));
      this.title.textContent = events.length === 1 ? "1 event" : `${events.length.toLocaleString("en")} events`;
      this.nothing.hidden = events.length > 0;
      const isFiltered = this.recording.events.length > 0;
      this.nothing.textContent = isFiltered ? "No event fits the filter." : "No label was probable enough for an event.";
      this.moreButton.hidden = shown >= events.length;
      this.moreButton.textContent = `Show ${Math.min(PAGE, events.length - shown)} more`;
    }

    _word(event) {
      const word = element("span", { class: "word", text: this.recording.words[event.word] });
      const others = event.others.map((other) => this.recording.words[other]);
      if (others.length) word.append(element("small", { text: ` also ${others.join(", ")}` }));
      return word;
    }

    _row(event) {
      const value = element("span", { class: "fill" });
      value.style.width = `${event.mean / 10}%`;
      const row = element("button", { type: "button", onclick: () => percept.askToSeek(this, event.start) },
        element("span", { class: "when", text: `${clockText(event.start)} – ${clockText(event.end)}` }),
        this._word(event),
        element("span", { class: "scale" }, value),
        element("span", { class: "value", text: percent(event.mean) }));
      row.title = `mean ${percent(event.mean)}, at most ${percent(event.peak)}`;
      return row;
    }
  };
}
