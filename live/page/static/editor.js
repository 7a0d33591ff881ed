/* What a camera is asked for: labels with thresholds, tried on the last minute before they are applied. */
import { cameraPath, send } from "./api.js";
import { element, iconButton, keyed, percent, tell } from "./elements.js";
import { panel } from "./parts.js";

const TRY_AFTER_MS = 350;
const CROSS = "M6 6l12 12M18 6 6 18";

export class Editor {
  constructor(camera) {
    this.camera = camera;
    this.number = 0;
    this.add = element("input", { type: "text", placeholder: "Add a label, such as dog barking", maxlength: 300,
      "aria-label": "New label", autocomplete: "off", enterkeyhint: "enter" });
    this.rows = element("ol", { class: "labels" });
    this.said = element("p", { class: "said muted", role: "status" });
    this.applyButton = element("button", { type: "button", class: "primary", text: "Apply", onclick: () => this.apply() });
    this.revertButton = element("button", { type: "button", class: "quiet", text: "Revert", onclick: () => this.revert() });
    this.saveButton = element("button", { type: "button", class: "quiet", text: "Write to config",
      title: "Changes hold until the watch ends, unless they are written to the config", onclick: () => this._save() });
    const adding = element("form", { class: "adding", onsubmit: (event) => this._submitted(event) }, this.add,
      element("button", { type: "submit", class: "quiet", text: "Add" }));
    this.root = panel("Labels to look for", { class: "editor" }, adding, this.rows, this.said,
      element("div", { class: "actions" }, this.applyButton, this.revertButton, this.saveButton));
    this.revert();
  }

  /* The settings changed elsewhere. What is being edited stays. */
  configured(camera) {
    if (JSON.stringify(camera) === JSON.stringify(this.camera)) return;
    const wasChanged = this.isChanged();
    this.camera = camera;
    if (!wasChanged) this.revert();
    else this._refresh();
  }

  focus() {
    this.add.focus();
  }

  isChanged() {
    return JSON.stringify(this.labels.map(bare)) !== JSON.stringify(watched(this.camera));
  }

  revert() {
    this.labels = watched(this.camera).map((label) => ({ ...label, key: this.number++ }));
    this.rows.replaceChildren();
    this._refresh();
  }

  async apply() {
    this.applyButton.disabled = true;
    try {
      const done = await send("PATCH", cameraPath(this.camera.name), { labels: this.labels.map(bare) });
      this.camera = { ...this.camera, labels: this.labels.map(bare) };
      tell(`Applied${done.version ? ` as version ${done.version}` : ""}, from the next clip on.`);
    } catch (error) {
      tell(error.message, true);
    }
    this._refresh();
  }

  close() {
    clearTimeout(this.trying);
    this.stop?.abort();
  }

  _submitted(event) {
    event.preventDefault();
    const word = this.add.value.trim();
    if (!word) return;
    if (this.labels.some(({ label }) => label === word)) tell(`“${word}” is there already.`);
    else this.labels.push({ label: word, key: this.number++ });
    this.add.value = "";
    this._refresh();
  }

  _remove(key) {
    this.labels = this.labels.filter((label) => label.key !== key);
    this._refresh();
    this.add.focus();
  }

  _refresh() {
    keyed(this.rows, this.labels, ({ key }) => key, (label) => this._row(label), (row, label) => this._fill(row, label));
    const changed = this.isChanged();
    this.applyButton.disabled = this.revertButton.disabled = !changed;
    this._try();
  }

  _row(label) {
    const slider = element("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": `Threshold of ${label.label}`,
      oninput: () => this._threshold(label, slider.value / 100) });
    const row = element("li", {},
      element("span", { class: "word", text: label.label, title: label.label }),
      iconButton(`Remove ${label.label}`, CROSS, () => this._remove(label.key)),
      element("span", { class: "minute", "aria-hidden": "true" }),
      element("span", { class: "threshold" }, slider, element("output")),
      element("span", { class: "fired muted" }));
    slider.value = Math.round(this._at(label) * 100);
    return row;
  }

  _threshold(label, value) {
    label.threshold = value;
    this.applyButton.disabled = this.revertButton.disabled = !this.isChanged();
    this._show();
  }

  _at(label) {
    return label.threshold ?? this.camera.threshold ?? 0.5;
  }

  _fill(row, label) {
    row.querySelector("output").textContent = percent(this._at(label));
    row.querySelector("input").setAttribute("aria-valuetext", percent(this._at(label)));
    const values = this.found?.get(label.label);
    const [minute, fired] = [row.querySelector(".minute"), row.querySelector(".fired")];
    if (!values) {
      fired.textContent = this.found ? "being tried …" : "";
      minute.replaceChildren();
      return;
    }
    const at = this._at(label);
    minute.style.setProperty("--at", `${at * 100}%`);
    while (minute.children.length > values.length) minute.lastChild.remove();
    while (minute.children.length < values.length) minute.append(element("i"));
    values.forEach((value, place) => {
      minute.children[place].style.height = `${Math.max(2, value * 100)}%`;
      minute.children[place].classList.toggle("fires", value >= at);
    });
    const count = values.filter((value) => value >= at).length;
    fired.textContent = count ? `${count} of the last ${values.length} clips` : `none of the last ${values.length} clips`;
  }

  _show() {
    [...this.rows.children].forEach((row, place) => this._fill(row, this.labels[place]));
  }

  /* Score the labels on the last minute, once typing has paused. */
  _try() {
    clearTimeout(this.trying);
    if (!this.labels.length) return this._say("No label is looked for. Add one above.");
    this.trying = setTimeout(() => this._preview(), TRY_AFTER_MS);
  }

  async _preview() {
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    try {
      const words = this.labels.map(({ label }) => label);
      const { clips } = await send("POST", `${cameraPath(this.camera.name)}/preview`, { labels: words }, stop.signal);
      this.found = new Map(words.map((word) => [word, clips.map((clip) =>
        clip.labels.find(({ label }) => label === word)?.probability ?? 0)]));
      this._say(clips.length ? "" : "There are no clips of the last minute to try the labels on.");
      this._show();
    } catch (error) {
      if (!stop.signal.aborted) this._say(`No preview: ${error.message}`);
    }
  }

  async _save() {
    try {
      const done = await send("POST", "/save");
      tell(done.text || "Written to the config.");
    } catch (error) {
      tell(error.message, true);
    }
  }

  _say(text) {
    this.said.textContent = text;
  }
}

/* The labels of a camera as objects: a plain text is a label with the camera's own threshold. */
function watched(camera) {
  return (camera.labels ?? []).map((label) => (typeof label === "string" ? { label } : { ...label }));
}

function bare({ key, ...label }) {
  return label;
}
