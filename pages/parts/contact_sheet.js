/* Pictures of the best moments of each label. Clicking one seeks: "seek" with `detail` in milliseconds.
   A moment of another page is a link to it: { url, name }. */
{
  const { element, percent, clockText } = percept;

  percept.ContactSheet = class extends EventTarget {
    constructor(root, recording) {
      super();
      root.classList.add("contact-sheet");
      this.root = root;
      this.grid = element("ol");
      root.append(element("header", {}, element("h2", { text: "Moments" })), this.grid);
      this.items = recording.tree.thumbnails.map(([ms, word, probability, uri, link]) => {
        const goes = link ? { href: link.url } : { type: "button", onclick: () => percept.askToSeek(this, ms) };
        const button = element(link ? "a" : "button", { ...goes, title: link?.name },
          element("img", { src: uri, alt: "", decoding: "async" }),
          element("span", { class: "word", text: word }),
          element("span", { class: "when", text: `${clockText(ms)} · ${percent(probability)}` }),
          link && element("span", { class: "when", text: link.name.split("/").pop() }));
        const item = element("li", {}, button);
        return { ms, word, probability, item, button };
      });
      this.grid.append(...this.items.map(({ item }) => item));
      root.hidden = !this.items.length;
    }

    /* The last moment that has passed is marked. */
    show(ms) {
      const now = this.items.findLast((item) => item.ms <= ms + 1000 && item.ms >= ms - 2000);
      if (now === this.now) return;
      this.now?.button.removeAttribute("aria-current");
      now?.button.setAttribute("aria-current", "true");
      this.now = now;
    }

    applyFilter(filter) {
      for (const { word, probability, item } of this.items) {
        item.hidden = Boolean(filter) && !(filter.matches(word) && probability >= filter.least);
      }
    }
  };
}
