/* How long each label was found, over all sources. Clicking one picks it: "pick" with `detail`, the label. */
{
  const { element, clockText } = percept;
  const FEW = 24;

  percept.Histogram = class extends EventTarget {
    /* rows: label, seconds, number of sources; the longest first. total: how many labels were found at all. */
    constructor(root, { rows, total, least }) {
      super();
      this.rows = rows;
      this.all = false;
      root.classList.add("histogram");
      root.hidden = !rows.length;
      const about = `found with at least ${percept.percent(least)}, for how long and in how many sources`;
      this.list = element("ol");
      this.moreButton = percept.textButton("", () => {
        this.all = !this.all;
        this._fill();
      });
      const left = total > rows.length ? `${(total - rows.length).toLocaleString("en")} more are shorter.` : "";
      root.append(
        element("header", {}, element("h2", { text: "Labels" }), element("p", { text: about })),
        this.list, element("p", { class: "nothing", text: left, hidden: !left }), this.moreButton);
      this._fill();
    }

    _fill() {
      const shown = this.all ? this.rows : this.rows.slice(0, FEW);
      this.list.replaceChildren(...shown.map((row) => element("li", {}, this._row(row))));
      this.moreButton.hidden = this.rows.length <= FEW;
      this.moreButton.textContent = this.all ? `Show the ${FEW} longest` : `Show all ${this.rows.length}`;
    }

    _row([label, seconds, sources]) {
      const bar = element("span", { class: "fill" });
      bar.style.width = `${(100 * seconds) / this.rows[0][1]}%`;
      const pick = () => this.dispatchEvent(new CustomEvent("pick", { detail: label }));
      return element("button", { type: "button", onclick: pick, title: `Show sources with ${label}` },
        element("span", { class: "word", text: label }),
        element("span", { class: "scale" }, bar),
        element("span", { class: "value", text: clockText(seconds * 1000) }),
        element("span", { class: "when", text: sources.toLocaleString("en") }));
    }
  };
}
