/* One source among many: its picture, its name, and its labels over time. Times are links into its player. */
{
  const { element, clockText } = percept;
  const OTHERS = [["errors", "error"], ["drops", "dropped clip"], ["gaps", "gap"]];

  percept.SourceCard = class {
    /* given: { tree, url, picture, peaks } */
    constructor(given, dense) {
      const { tree, url, picture } = given;
      const recording = new percept.Recording(tree);
      this.name = recording.source;
      this.peaks = tree.peaks;
      const at = (ms) => `${url}&t=${(ms / 1000).toFixed(1)}`;
      const short = this.name.split("/").pop();
      const folder = this.name.slice(0, this.name.length - short.length);
      const name = element("a", { class: "name", href: at(0), title: this.name },
        folder && element("small", { text: folder }), element("b", { text: short || this.name }));
      const lanes = element("div");
      this.strip = new percept.Strip(lanes, recording, dense);
      this.strip.addEventListener("seek", (event) => location.assign(at(event.detail)));
      const nothing = recording.words.length ? null : element("p", { class: "nothing", text: "No label was found." });
      const image = picture && element("img", { src: picture, alt: "", loading: "lazy", decoding: "async" });
      this.root = element("li", { class: "source-card" },
        element("a", { class: "picture", href: at(0), tabindex: -1, "aria-hidden": "true" }, image),
        element("div", { class: "about" },
          element("p", { class: "line" }, name, element("span", { class: "facts", text: facts(tree) })), nothing ?? lanes));
    }

    paint() {
      this.strip.paint();
    }

    /* Whether the name has one of the words, or a label that has is probable enough. */
    fits(filter) {
      if (!filter.terms.length) return true;
      const label = this.peaks.some(([word, peak]) => peak >= filter.least && filter.matches(word));
      return label || filter.matches(this.name);
    }
  };

  function facts({ counts, end }) {
    const texts = [clockText(end), percept.counted(counts.results, "clip")];
    for (const [kind, noun] of OTHERS) if (counts[kind]) texts.push(percept.counted(counts[kind], noun));
    return texts.join("  ·  ");
  }
}
