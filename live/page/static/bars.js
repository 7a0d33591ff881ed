/* The labels of the newest clip, each with its probability and what every modality says. */
import { element, MODALITIES, percent, signed, timeElement } from "./elements.js";
import { wholeBar } from "./parts.js";

export class LabelBars {
  constructor() {
    this.when = element("span", { class: "when" });
    this.rows = element("ol");
    this.notes = element("p", { class: "notes", hidden: true });
    this.trust = element("p", { class: "trust" });
    this.root = element("section", { class: "label-bars", "aria-label": "Labels now" },
      element("header", {}, element("h2", { text: "Now" }), this.when), this.rows, this.notes, this.trust);
    this._note("No clip has been labelled yet.");
  }

  show({ record }) {
    if (record.wall_time) this.when.replaceChildren(timeElement(record.wall_time));
    if (record.gap) return this._note("A gap: the camera sent nothing.");
    if (record.dropped) return;
    if (record.error) return this._note(`This clip has no result: ${record.error}`, true);
    const labels = record.labels ?? [];
    labels.forEach((label, place) => fill(this.rows.children[place] ?? this._row(), label));
    while (this.rows.children.length > labels.length) this.rows.lastChild.remove();
    this._note(record.reused ? "Nothing moves: answers of an earlier clip hold." : labels.length ? "" : "No label.");
    this._weigh(Object.assign({}, ...labels.map((label) => label.evidence)), labels[0]?.base_log_odds);
  }

  _note(text, isWrong = false) {
    this.notes.textContent = text;
    this.notes.hidden = !text;
    this.notes.classList.toggle("wrong", isWrong);
  }

  _row() {
    const meters = MODALITIES.map(({ key, name }) =>
      element("span", { class: `meter ${key}`, title: `what ${name} alone says, and what it adds to the log-odds` },
        element("span", { class: "name", text: name }), element("span", { class: "value" }),
        element("span", { class: "scale" }, element("span", { class: "fill" })),
        element("span", { class: "added" })));
    const row = element("li", {},
      element("span", { class: "word" }), element("span", { class: "value" }), wholeBar(),
      element("span", { class: "meters" }, ...meters));
    this.rows.append(row);
    return row;
  }

  /* How far each modality is trusted in this clip. */
  _weigh(evidence, base) {
    const known = MODALITIES.filter(({ key }) => evidence[key]);
    this.trust.replaceChildren(...known.map(({ key, name }) =>
      element("span", { class: key, title: `how far ${name} is trusted in this clip` },
        element("i"), `${name} `, element("b", { text: percent(evidence[key].weight) }))));
    if (known.length) this.trust.prepend(element("span", { text: "weights" }));
    if (base === undefined) return;
    const title = "log-odds of a label that is not there; what every modality adds is added to it, and 0 is 50 %";
    this.trust.append(element("span", { class: "base", title }, "base ", element("b", { text: signed(base) })));
  }
}

function fill(row, label) {
  const [name, value, whole, meters] = row.children;
  if (name.textContent !== label.label) name.textContent = name.title = label.label;
  value.textContent = percent(label.probability);
  row.title = sumOf(label);
  whole.fill(label);
  MODALITIES.forEach(({ key }, index) => {
    const meter = meters.children[index];
    const evidence = label.evidence?.[key];
    meter.hidden = !evidence;
    meter.querySelector(".fill").style.width = `${(evidence?.probability ?? 0) * 100}%`;
    meter.querySelector(".value").textContent = evidence ? percent(evidence.probability) : "";
    const added = evidence?.contribution;
    meter.querySelector(".added").textContent = added === undefined ? "" : signed(added);
  });
}

/* How the base and what every modality adds become the probability; "" for records that do not tell. */
function sumOf(label) {
  const base = label.base_log_odds;
  if (base === undefined) return "";
  const terms = MODALITIES.filter(({ key }) => label.evidence?.[key]?.contribution !== undefined);
  const total = terms.reduce((sum, { key }) => sum + label.evidence[key].contribution, base);
  const added = terms.map(({ key, name }) => `${name} ${signed(label.evidence[key].contribution)}`);
  return `log-odds: base ${signed(base)}, ${added.join(", ")}, together ${signed(total)}: ${percent(label.probability)}`;
}
