/* Which labels are shown: words to look for, separated by commas, and the least probability in thousandths. */
const LENS = "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 20 20";

percept.Filter = class extends EventTarget {
  constructor(root, { least = 300, placeholder = "Filter labels, such as dog, rain" } = {}) {
    super();
    this.least = least;
    this.terms = [];
    const { element } = percept;
    this.input = element("input", {
      type: "search",
      placeholder,
      "aria-label": "Filter labels",
      spellcheck: "false",
      oninput: () => this._changed(),
    });
    this.slider = element("input", {
      type: "range",
      min: 0,
      max: 95,
      step: 5,
      value: least / 10,
      "aria-label": "Least probability",
      oninput: () => this._changed(),
    });
    this.output = element("output", { text: percept.percent(least) });
    this.found = element("span", { class: "found", "aria-live": "polite" });
    root.classList.add("filter");
    root.append(
      element("div", { class: "search" }, percept.icon(LENS), this.input),
      element("label", { class: "least" }, element("span", { text: "at least" }), this.slider, this.output),
      this.found,
    );
  }

  matches(word) {
    const lower = word.toLowerCase();
    return !this.terms.length || this.terms.some((term) => lower.includes(term));
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  clear() {
    this.input.value = "";
    this._changed();
  }

  say(text) {
    this.found.textContent = text;
  }

  _changed() {
    this.terms = this.input.value.toLowerCase().split(",").map((term) => term.trim()).filter(Boolean);
    this.least = Number(this.slider.value) * 10;
    this.output.textContent = percept.percent(this.least);
    this.slider.setAttribute("aria-valuetext", percept.percent(this.least));
    this.dispatchEvent(new Event("change"));
  }
};
