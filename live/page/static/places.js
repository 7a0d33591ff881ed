/* What names tracks, and where they are counted: things to find, zones and lines, drawn on the picture. */
import { cameraPath, send } from "./api.js";
import { element, iconButton, keyed, tell, textButton } from "./elements.js";
import { panel } from "./parts.js";

const CROSS = "M6 6l12 12M18 6 6 18";
const SWAP = "M7 4v14m0 0-4-4m4 4 4-4M17 20V6m0 0-4 4m4-4 4 4";
const LEAST = { zone: 3, line: 2 };

export class Places {
  /* Other settings of the camera stay as they are. `picture` shows what is being edited. */
  constructor(camera, picture) {
    Object.assign(this, { camera, picture, number: 0 });
    this.find = element("input", { type: "text", placeholder: "dog, red car", maxlength: 2000, autocomplete: "off",
      oninput: () => this._refresh() });
    this.rows = element("ol", { class: "places" });
    this.said = element("p", { class: "said muted", role: "status" });
    this.applyButton = textButton("Apply", () => this.apply(), "primary");
    this.revertButton = textButton("Revert", () => this.revert());
    const what = element("label", { class: "find", title: "Tracks of other things are not told. Empty: labels name tracks." },
      "Things to find", this.find);
    this.root = panel("Find and count", { class: "counting" }, what, this.rows,
      element("div", { class: "actions" }, textButton("Draw a zone", () => this._draw("zone")), textButton("Draw a line", () => this._draw("line"))),
      this.said, element("div", { class: "actions" }, this.applyButton, this.revertButton));
    this.revert();
  }

  /* The settings changed elsewhere. What is being edited stays. */
  configured(camera) {
    if (isSame(asked(camera), asked(this.camera))) return;
    const wasChanged = this._isChanged();
    this.camera = camera;
    if (wasChanged) this._refresh();
    else this.revert();
  }

  revert() {
    const now = asked(this.camera);
    this.find.value = now.find.join(", ");
    this.places = [["zone", now.zones], ["line", now.lines]].flatMap(([kind, named]) =>
      Object.entries(named).map(([name, points]) => this._place(kind, name, points)));
    this.rows.replaceChildren();
    this._refresh();
  }

  async apply() {
    const [now, wanted] = [asked(this.camera), this._wanted()];
    const change = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => !isSame(value, now[key])));
    this.applyButton.disabled = true;
    try {
      await send("PATCH", cameraPath(this.camera.name), change);
      this.camera = { ...this.camera, ...change };
      tell("Applied, from the next clip on.");
    } catch (error) {
      tell(error.message, true);
    }
    this._refresh();
  }

  close() {
    this.picture.edited = undefined;
  }

  _place(kind, name, points) {
    return { key: this.number++, kind, name, text: pointsText(points) };
  }

  async _draw(kind) {
    const drawn = await this.picture.sketched(kind);
    if (!drawn) return;
    const points = drawn.map((point) => point.map((share) => Math.round(share * 1000) / 1000));
    const names = new Set(this.places.map(({ name }) => name));
    let number = 1;
    while (names.has(`${kind} ${number}`)) number++;
    const place = this._place(kind, `${kind} ${number}`, points);
    this.places.push(place);
    this._refresh();
    this.rows.querySelector(`[data-key="${place.key}"] input`).select();
  }

  _refresh() {
    keyed(this.rows, this.places, ({ key }) => key, (place) => this._row(place), (row, place) => fill(row, place));
    const wrong = this._wrong();
    this.said.textContent = wrong;
    this.revertButton.disabled = !this._isChanged();
    this.applyButton.disabled = this.revertButton.disabled || Boolean(wrong);
    this.picture.edited = wrong ? undefined : this._wanted();
    this.picture.redraw();
  }

  _row(place) {
    const edited = (key) => ({ target }) => {
      place[key] = target.value;
      this._refresh();
    };
    const swap = () => {
      const points = pointsOf(place.text);
      if (points) place.text = pointsText(points.reverse());
      this._refresh();
    };
    return element("li", {},
      element("input", { class: "name", type: "text", maxlength: 100, "aria-label": `Name of the ${place.kind}`, autocomplete: "off",
        oninput: edited("name") }),
      place.kind === "line" ? iconButton("Swap in and out", SWAP, swap) : element("span"),
      iconButton(`Remove this ${place.kind}`, CROSS, () => {
        this.places = this.places.filter(({ key }) => key !== place.key);
        this._refresh();
      }),
      element("input", { class: "points", type: "text", maxlength: 2000, autocomplete: "off", spellcheck: "false",
        "aria-label": `${place.kind === "line" ? "Ends of the line" : "Corners of the zone"}, in fractions of the picture: x,y; x,y`,
        oninput: edited("text") }));
  }

  /* What is asked for: things to find, zones and lines, as the settings have them. */
  _wanted() {
    const named = (kind) => Object.fromEntries(this.places.filter((place) => place.kind === kind)
      .map(({ name, text }) => [name.trim(), pointsOf(text) ?? []]));
    const find = this.find.value.split(",").map((word) => word.trim()).filter(Boolean);
    return { find, zones: named("zone"), lines: named("line") };
  }

  _isChanged() {
    return !isSame(this._wanted(), asked(this.camera));
  }

  /* A sentence about the first thing that is wrong; "" if nothing is. */
  _wrong() {
    const names = new Set();
    for (const { kind, name, text } of this.places) {
      const points = pointsOf(text);
      if (!name.trim()) return `A ${kind} has no name.`;
      if (names.has(name.trim())) return `There are two of the name ${name.trim()}.`;
      names.add(name.trim());
      if (kind === "line" && points?.length !== 2) return `${name}: a line has two ends, such as 0.1,0.5; 0.9,0.5.`;
      if (!points || points.length < LEAST[kind]) return `${name}: expected at least three corners, such as 0.1,0.2; 0.5,0.2; 0.5,0.9.`;
    }
    return "";
  }
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function asked(camera) {
  return { find: camera.find ?? [], zones: camera.zones ?? {}, lines: camera.lines ?? {} };
}

/* A field that is being written in keeps its text. */
function fill(row, { name, text }) {
  for (const [field, value] of [[row.querySelector(".name"), name], [row.querySelector(".points"), text]]) {
    if (field.value !== value) field.value = value;
  }
}

const pointsText = (points) => points.map((point) => point.join(",")).join("; ");

/* "0.1,0.5; 0.9,0.5" -> [[0.1, 0.5], [0.9, 0.5]]; null if it is not that, or not inside the picture. */
function pointsOf(text) {
  const points = text.split(";").filter((each) => each.trim()).map((each) => each.split(",").map((value) => (value.trim() ? Number(value) : NaN)));
  const isRight = (point) => point.length === 2 && point.every((value) => value >= 0 && value <= 1);
  return points.every(isRight) ? points : null;
}
