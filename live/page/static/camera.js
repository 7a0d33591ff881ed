/* One camera. */
import { LabelBars } from "./bars.js";
import { durationText, element } from "./elements.js";
import { Editor } from "./editor.js";
import { connectionBadge, panel } from "./parts.js";
import { Picture } from "./picture.js";
import { Places } from "./places.js";
import { Strip } from "./strip.js";
import { Timeline } from "./timeline.js";

export class CameraView {
  constructor(root, feed, name) {
    Object.assign(this, { root, feed, name, title: name, stop: new AbortController(), parts: [] });
    root.replaceChildren(element("p", { class: "nothing", text: "Loading …" }));
    const on = (kind, act) => feed.addEventListener(kind, act, { signal: this.stop.signal });
    on("cameras", () => this._cameras());
    on("status", () => this._status());
    on("record", ({ detail }) => detail.camera === name && this._record(detail));
    if (feed.cameras.size) this._cameras();
    feed.focusOn(name);
  }

  keys() {
    const go = (by) => () => {
      const names = [...this.feed.cameras.keys()];
      const place = names.indexOf(this.name);
      if (place >= 0) location.hash = `#/camera/${encodeURIComponent(names[(place + by + names.length) % names.length])}`;
    };
    return {
      ArrowRight: go(1),
      ArrowLeft: go(-1),
      "/": () => this.editor?.focus(),
      b: () => this.picture?.toggleBoxes(),
      l: () => this.picture?.toggleStep(),
    };
  }

  redraw() {
    for (const part of this.parts) part.redraw?.();
  }

  close() {
    this.feed.focusOn(null);
    this.stop.abort();
    for (const part of this.parts) part.close?.();
  }

  _cameras() {
    const view = this.feed.cameras.get(this.name);
    if (!view) return this._missing();
    if (!this.parts.length) this._build(view);
    this.editor.configured(view.camera);
    this.places.configured(view.camera);
    this.picture.camera = view.camera;
    for (const noted of view.recent.slice(-20)) this.picture.learn(noted);
    const seen = view.recent.findLast(({ record }) => !record.dropped && !record.error && record.clip >= 0);
    if (seen) this.picture.record(seen);
    const newest = view.recent.findLast(({ record }) => !record.dropped);
    if (newest) this.bars.show(newest);
    this.strip.show(view.recent);
    this._status();
  }

  _missing() {
    this.close();
    this.feed.focusOn(this.name);
    this.stop = new AbortController();
    this.parts = [];
    this.asksFor = this.counts = undefined;
    this.root.replaceChildren(element("div", { class: "empty" },
      element("h2", { text: "This camera is not watched" }),
      element("p", { text: "It may have been removed." }),
      element("a", { class: "primary", href: "#/", text: "All cameras" })));
  }

  _build(view) {
    this.picture = new Picture(view.camera);
    this.bars = new LabelBars();
    this.strip = new Strip();
    this.timeline = new Timeline(this.feed, this.name);
    this.editor = new Editor(view.camera);
    this.places = new Places(view.camera, this.picture);
    this.parts = [this.picture, this.strip, this.timeline, this.editor, this.places];
    this.badge = connectionBadge();
    this.facts = element("p", { class: "facts" });
    this.asked = element("div");
    this.counted = element("div");
    this.root.replaceChildren(
      element("div", { class: "camera-head" }, element("h1", { text: this.name, title: this.name }), this.badge.root, this.facts),
      element("div", { class: "first" }, element("div", { class: "slot-player" }, this.picture.root), this.bars.root),
      this.strip.root,
      element("div", { class: "lower" }, this.timeline.root,
        element("div", { class: "side" }, this.counted, this.editor.root, this.places.root, this.asked)));
  }

  _status() {
    const view = this.feed.cameras.get(this.name);
    if (!view || !this.parts.length) return;
    const { status, camera } = view;
    this.badge.show(status);
    const facts = [
      status.width ? `${status.width} × ${status.height}` : "",
      status.transport,
      status.age_s?.p99 != null ? `results ${status.age_s.p50.toFixed(1)} s old, 99 % under ${status.age_s.p99.toFixed(1)} s` : "",
      status.reconnects ? `${status.reconnects} reconnects` : "",
    ];
    this._count(status);
    const text = facts.filter(Boolean).join(" · ");
    if (this.facts.textContent !== text) this.facts.textContent = text;
    this._ask(camera);
  }

  /* What zones and lines have counted since the watch began. */
  _count(status) {
    const rows = [
      ...Object.entries(status.zones ?? {}).map(([name, { visits, mean_s, longest_s, inside }]) => [name, [
        `${visits} ${visits === 1 ? "visit" : "visits"}`,
        visits ? `${durationText(mean_s)} on average, at most ${durationText(longest_s)}` : "",
        inside ? `${inside} in it now` : "",
      ].filter(Boolean).join(" · ")]),
      ...Object.entries(status.lines ?? {}).map(([name, line]) => [name, `${line.in} in · ${line.out} out`]),
    ];
    const text = JSON.stringify(rows);
    if (this.counts === text) return;
    this.counts = text;
    const list = element("dl", { class: "facts" },
      ...rows.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]));
    this.counted.replaceChildren(...(rows.length ? [panel("Counts", { class: "asked" }, list)] : []));
  }

  /* Rules, schedule and the like, as they are; the config says them. */
  _ask(camera) {
    const text = JSON.stringify(camera);
    if (this.asksFor === text) return;
    this.asksFor = text;
    const rows = [
      ...(camera.rules ?? []).map((rule) => [rule.name, rule.when]),
      ["Modalities", (camera.modalities ?? ["image", "motion", "audio"]).map((each) => ({ image: "picture", audio: "sound" })[each] ?? each).join(", ")],
      ["Clips", `${camera.clip_seconds ?? 2} s, ${camera.policy === "every" ? "every one" : "the newest first"}`],
      ["Events go on for", durationText(camera.hold_s ?? 4)],
      ["False alarms", camera.false_alarms_per_day ? `at most ${camera.false_alarms_per_day} a day` : ""],
      ["Active", camera.schedule?.active?.length ? `${camera.schedule.active.join(", ")} (${camera.schedule.zone ?? "UTC"})` : ""],
      ["Masks", camera.masks?.length ? String(camera.masks.length) : ""],
      ["Films", camera.record ? `${camera.pre_s ?? 5} s before to ${camera.post_s ?? 3} s after` : "none"],
      ["Source", camera.url ?? ""],
    ];
    const list = element("dl", { class: "facts" }, ...rows.filter(([, value]) => value)
      .flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]));
    this.asked.replaceChildren(panel("Settings", { class: "asked" }, list));
  }

  _record(noted) {
    if (!this.parts.length) return;
    this.picture.record(noted);
    this.bars.show(noted);
    this.strip.show(this.feed.cameras.get(this.name).recent);
  }
}
