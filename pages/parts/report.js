/* The report of an archive: what it holds, and a page of its sources. */
{
  const { element, counted } = percept;
  const block = (id) => JSON.parse(document.getElementById(id).textContent);

  percept.Report = class {
    constructor(report, sources) {
      this.report = report;
      this.theme = new percept.Theme();
      this.theme.addEventListener("change", () => this.paint());
      this.main = element("main");
      document.body.prepend(this._header(), this.main);
      if (report.moments.length || report.histogram.rows.length) this.main.append(this._whole());
      if (sources.length) this.main.append(...this._sources(sources));
      if (report.failed.length) this.main.append(this._failed());
      this.main.append(this._pages());
      document.addEventListener("keydown", (event) => this._pressed(event));
    }

    /* Paint what is on the screen; the rest is painted when it comes there. */
    paint() {
      for (const card of this.seen ?? []) card.paint();
    }

    _header() {
      const { name, facts, failures, files } = this.report;
      const failed = failures && element("a", { href: `${files[0]}#failed`, text: `${failures.toLocaleString("en")} failed` });
      const line = element("p", { class: "facts", text: facts.join("  ·  ") });
      if (failed) line.append("  ·  ", failed);
      const title = element("div", { class: "title" }, element("h1", { text: name, title: name }), line);
      const tools = element("div", { class: "tools" }, this.theme.button);
      return element("header", { class: "top" }, title, this._pages(), tools);
    }

    /* Labels and moments of the whole archive. */
    _whole() {
      const slots = { histogram: element("section"), sheet: element("section") };
      const sheet = new percept.ContactSheet(slots.sheet, { tree: { thumbnails: this.report.moments } });
      const histogram = new percept.Histogram(slots.histogram, this.report.histogram);
      histogram.addEventListener("pick", (event) => this._pick(event.detail));
      return element("div", { class: `whole${sheet.items.length ? "" : " no-sheet"}` }, slots.histogram, slots.sheet);
    }

    _sources(sources) {
      const dense = new percept.Dense();
      this.cards = sources.map((source) => new percept.SourceCard(source, dense));
      this.seen = new Set();
      const byRoot = new Map(this.cards.map((card) => [card.root, card]));
      const watch = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries) {
          const card = byRoot.get(target);
          if (isIntersecting) this.seen.add(card);
          else this.seen.delete(card);
          if (isIntersecting) card.paint();
        }
      }, { rootMargin: "300px" });
      for (const { root } of this.cards) watch.observe(root);
      const slot = element("section", { class: "slot-filter" });
      this.filter = new percept.Filter(slot, { placeholder: "Find labels and names" });
      this.filter.addEventListener("change", () => this._apply());
      const list = element("ol", { class: "source-list" }, ...this.cards.map(({ root }) => root));
      new ResizeObserver(() => this.paint()).observe(list);
      this._apply();
      return [slot, list];
    }

    _pick(label) {
      if (!this.filter) return;
      this.filter.input.value = label;
      this.filter.input.dispatchEvent(new Event("input"));
      this.filter.input.scrollIntoView({ block: "start", behavior: "smooth" });
    }

    _apply() {
      let shown = 0;
      for (const card of this.cards) {
        const fits = card.fits(this.filter);
        card.root.hidden = !fits;
        card.strip.least = this.filter.least;
        shown += fits;
      }
      this.paint();
      const { page, pages } = this.report;
      const where = pages > 1 ? ` on page ${page} of ${pages}` : "";
      const all = this.cards.length;
      this.filter.say(`${shown === all ? counted(all, "source") : `${shown} of ${counted(all, "source")}`}${where}`);
    }

    _failed() {
      const rows = this.report.failed.map(([name, reason, tries]) =>
        element("li", {}, element("b", { text: name }), element("span", { text: reason }),
          tries > 1 && element("small", { text: `tried ${tries} times` })));
      return element("section", { class: "failed-sources", id: "failed" },
        element("header", {}, element("h2", { text: `${counted(this.report.failures, "source")} failed` })),
        element("ol", {}, ...rows));
    }

    /* Links to the other pages: the first, the last, and those around this one. */
    _pages() {
      const { page, pages, files } = this.report;
      const near = (number) => number === 1 || number === pages || Math.abs(number - page) <= 2;
      const links = [];
      for (let number = 1; number <= pages; number++) {
        if (near(number)) links.push(this._link(number, files[number - 1]));
        else if (near(number - 1)) links.push(element("span", { text: "…" }));
      }
      return element("nav", { class: "pages", "aria-label": "Pages", hidden: pages < 2 }, ...links);
    }

    _link(number, url) {
      const isHere = number === this.report.page;
      return element("a", { href: url, text: number, "aria-current": isHere ? "page" : null, "aria-label": `Page ${number}` });
    }

    _pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && this.filter) this.filter.clear();
      if (event.target.matches("input")) return;
      if (event.key === "t") this.theme.toggle();
      if (event.key === "/" && this.filter) {
        event.preventDefault();
        this.filter.focus();
      }
    }
  };

  percept.report = new percept.Report(block("report"), block("sources"));
}
