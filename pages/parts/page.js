/* The page: one source at a time, its parts in step with one clock and one filter. */
{
  const { element, iconButton, clockText, counted } = percept;
  const block = (id) => JSON.parse(document.getElementById(id).textContent);
  const BACK = "M15 5l-7 7 7 7";
  const QUESTION = "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.5v.5";
  const OTHERS = [["errors", "error"], ["drops", "dropped clip"], ["gaps", "gap"]];
  const PARTS = ["player", "bars", "filter", "timeline", "events", "sheet"];

  percept.Page = class {
    constructor(sources) {
      this.sources = sources;
      this.main = element("main");
      this.theme = new percept.Theme();
      this.theme.addEventListener("change", () => this.timeline?.redraw());
      document.body.prepend(this._header(), this.main);
      const given = new URLSearchParams(location.hash.slice(1)); // such as #source=2&t=83.5
      const number = Math.max(1, Math.min(sources.length, Number(given.get("source")) || 1));
      this.show(number - 1, (Number(given.get("t")) || 0) * 1000);
      this.keyboard = new percept.Keyboard(this._keys());
    }

    show(number, ms = 0) {
      this.player?.close();
      this.timeline?.close();
      const recording = new percept.Recording(block(`source-${number}`));
      this.recording = recording;
      this.picker.value = String(number);
      this._facts(recording);
      const slots = Object.fromEntries(PARTS.map((name) => [name, element("section", { class: `slot-${name}` })]));
      this.first = element("div", { class: "first" }, slots.player, slots.bars);
      const lists = element("div", { class: "lists" }, slots.sheet, slots.events);
      this.main.replaceChildren(this._warnings(recording), this.first, slots.filter, slots.timeline, lists);
      const onshape = (shape) => this.first.style.setProperty("--shape", shape);
      this.player = new percept.Player(slots.player, recording, { onshape });
      this.bars = new percept.LabelBars(slots.bars, recording, (clip, word) => this.why.show(recording, clip, word));
      this.filter = new percept.Filter(slots.filter);
      this.timeline = new percept.Timeline(slots.timeline, recording);
      this.events = new percept.EventList(slots.events, recording);
      this.sheet = new percept.ContactSheet(slots.sheet, recording);
      this.main.classList.toggle("no-picture", !this.player.stage);
      this.main.classList.toggle("no-sheet", slots.sheet.hidden);
      this._connect();
      this.seek(ms);
    }

    seek(ms) {
      this.player.clock.seek(ms);
    }

    /* Forward or back by clips. */
    step(clips) {
      const { start } = this.recording;
      const now = percept.after(start, this.player.clock.time + 1) - 1;
      const isBetween = clips < 0 && now >= 0 && this.player.clock.time - start[now] > 300;
      const next = Math.max(0, Math.min(start.length - 1, now + clips + (isBetween ? 1 : 0)));
      this.seek(start[next]);
    }

    _connect() {
      const parts = [this.bars, this.timeline, this.events, this.sheet];
      const { clock } = this.player;
      clock.addEventListener("time", () => parts.forEach((part) => part.show(clock.time)));
      for (const part of parts.slice(1)) part.addEventListener("seek", (event) => this.seek(event.detail));
      const apply = () => {
        parts.forEach((part) => part.applyFilter(this.filter));
        parts.forEach((part) => part.show(clock.time));
        const words = this.timeline.ranked.length;
        this.filter.say(`${counted(words, "label")}, ${counted(this.events.count, "event")}`);
      };
      this.filter.addEventListener("change", apply);
      apply();
    }

    _header() {
      this.name = element("h1");
      this.facts = element("p", { class: "facts" });
      const choices = this.sources.map(({ source, end }, number) =>
        element("option", { value: number, text: `${number + 1}  ${source}  (${clockText(end)})` }));
      const choose = () => this.show(Number(this.picker.value));
      const hidden = this.sources.length < 2;
      this.picker = element("select", { "aria-label": "Source", hidden, onchange: choose }, ...choices);
      this.dialog = percept.helpDialog("Made by Percept. This page loads nothing but the video.");
      this.why = new percept.Why();
      const help = iconButton("Help (?)", QUESTION, () => this.dialog.showModal());
      const title = element("div", { class: "title" }, this.name, this.facts);
      const tools = element("div", { class: "tools" }, this.theme.button, help);
      return element("header", { class: "top" }, this._home(), title, this.picker, tools, this.dialog, this.why.root);
    }

    /* The way back to the report that the page belongs to. */
    _home() {
      if (!document.getElementById("home")) return null;
      const { url, name } = block("home");
      return element("a", { class: "icon home", href: url, title: name, "aria-label": name }, percept.icon(BACK));
    }

    _facts(recording) {
      const { counts, media, model } = recording.tree;
      this.name.textContent = recording.source.split("/").pop() || recording.source;
      this.name.title = recording.source;
      const facts = [clockText(recording.end), counted(counts.results, "clip")];
      for (const [kind, noun] of OTHERS) if (counts[kind]) facts.push(counted(counts[kind], noun));
      if (model) facts.push(model);
      if (media.preview) facts.push("preview");
      this.facts.textContent = facts.join("  ·  ");
      document.title = `${this.name.textContent} – Percept`;
    }

    _warnings(recording) {
      const texts = [...recording.tree.warnings];
      if (!recording.tree.counts.results) {
        const reasons = [...new Set([...recording.notes.values()].flat())].slice(0, 3);
        texts.unshift(`There are no results: ${reasons.join("; ") || "no clip was labelled"}`);
      }
      const rows = texts.map((text) => element("li", { text }));
      return element("ul", { class: "warnings", hidden: !texts.length, role: "status" }, ...rows);
    }

    _keys() {
      const clock = () => this.player.clock;
      const seek = (sign) => (event) => (event.shiftKey ? this.seek(clock().time + sign * 5000) : this.step(sign));
      return {
        " ": () => clock().toggle(),
        k: () => clock().toggle(),
        ArrowLeft: seek(-1),
        ArrowRight: seek(1),
        Home: () => this.seek(0),
        End: () => this.seek(this.recording.start.at(-1) ?? 0),
        "+": () => this.timeline.zoom(0.5),
        "=": () => this.timeline.zoom(0.5),
        "-": () => this.timeline.zoom(2),
        0: () => this.timeline.zoomTo(0, this.timeline.end),
        "/": () => this.filter.focus(),
        Escape: () => this._escape(),
        b: () => this.player.toggleBoxes(),
        f: () => this.player.toggleFull(),
        m: () => this.player.toggleMuted(),
        t: () => this.theme.toggle(),
        "?": () => (this.dialog.open ? this.dialog.close() : this.dialog.showModal()),
      };
    }

    _escape() {
      this.filter.clear();
      this.filter.input.blur();
    }
  };

  percept.page = new percept.Page(block("sources"));
}
