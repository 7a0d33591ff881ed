/* One event: its card, and a dialog with its film, picture and evidence. */
import { url } from "./api.js";
import { durationText, element, MODALITIES, percent, signed, textButton, timeElement } from "./elements.js";

const WARNING = new Set(["health", "connection"]);
const NAMES = {
  microphone_silent: "microphone silent",
  lens_covered: "lens covered",
  picture_frozen: "picture frozen",
  engine_constant: "engine answers constant",
  camera_lost: "camera lost",
  clock_wrong: "clock wrong",
  disk_full: "disk full",
};

const path = (event, file) => url(`/events/${encodeURIComponent(event.id)}/${file}`);
export const nameOf = (event) => (WARNING.has(event.kind) ? (NAMES[event.name] ?? event.name) : event.name);

export class EventCard {
  constructor(event, withCamera = true) {
    this.word = element("span", { class: "word" });
    this.when = element("span", { class: "when" });
    this.shot = element("span", { class: "shot" });
    this.where = withCamera && element("span", { class: "where" });
    this.button = element("button", { type: "button", class: "event", onclick: () => openEvent(this.event) },
      this.shot, this.word, this.where, this.when);
    this.root = element("li", {}, this.button);
    this.root.show = (newer) => this.show(newer);
    this.show(event);
  }

  show(event) {
    if (this.event && JSON.stringify(this.event) === JSON.stringify(event)) return;
    const hadSnapshot = this.event?.snapshot;
    this.event = event;
    this.button.classList.toggle("open", event.state === "open");
    this.button.classList.toggle("trouble", WARNING.has(event.kind));
    this.word.textContent = this.word.title = nameOf(event);
    if (this.where) this.where.textContent = event.camera;
    const lasts = event.state === "open" ? "going on" : durationText(event.duration_s ?? 0);
    this.when.replaceChildren(timeElement(event.start), ` · ${lasts}`);
    if (event.snapshot && event.snapshot !== hadSnapshot) {
      const picture = element("img", { alt: "", src: path(event, "snapshot.jpg"), loading: "lazy", decoding: "async" });
      picture.addEventListener("error", () => picture.remove());
      this.shot.replaceChildren(picture);
    }
    this.shot.classList.toggle("film", Boolean(event.recording));
  }
}

/* Show an event in a dialog. */
export function openEvent(event) {
  const dialog = element("dialog", { class: "event-dialog", "aria-label": `Event: ${nameOf(event)}`,
    onclick: (click) => click.target === dialog && dialog.close(),
    onclose: () => dialog.remove() });
  dialog.append(
    element("header", {}, element("h2", { text: nameOf(event) }), textButton("Close", () => dialog.close())),
    media(event),
    download(event),
    element("dl", { class: "facts" }, ...facts(event)),
    evidence(event) ?? "");
  document.body.append(dialog);
  dialog.showModal();
}

function media(event) {
  if (event.recording) {
    const film = element("video", { src: path(event, "recording.mp4"), controls: true, autoplay: true, muted: true,
      playsinline: true, preload: "metadata", poster: event.snapshot ? path(event, "snapshot.jpg") : null });
    film.muted = true;
    film.addEventListener("error", () =>
      film.replaceWith(snapshot(event), element("p", { class: "nothing", text: "This browser cannot play the film, or it is no longer kept." })));
    return film;
  }
  return snapshot(event);
}

function download(event) {
  const files = [["Film", event.recording, "recording.mp4"], ["Picture", event.snapshot, "snapshot.jpg"]];
  const links = files.filter(([, there]) => there).map(([text, , file]) =>
    element("a", { href: path(event, file), download: `${event.id}.${file.split(".")[1]}`, text: `Download the ${text.toLowerCase()}` }));
  return links.length ? element("p", { class: "downloads" }, ...links) : "";
}

function snapshot(event) {
  if (!event.snapshot) return element("p", { class: "nothing", text: "There is no picture of this event." });
  const picture = element("img", { alt: `Picture of the event ${nameOf(event)}`, src: path(event, "snapshot.jpg") });
  picture.addEventListener("error", () =>
    picture.replaceWith(element("p", { class: "nothing", text: "Its picture is no longer kept." })));
  return picture;
}

function facts(event) {
  const rows = [
    ["Camera", element("a", { href: `#/camera/${encodeURIComponent(event.camera)}`, text: event.camera })],
    ["Began", timeElement(event.start)],
    ["Ended", event.state === "open" ? "it goes on" : event.end ? timeElement(event.end) : ""],
    ["Lasted", event.duration_s ? durationText(event.duration_s) : ""],
    ["Probability", event.peak ? `${percent(event.probability ?? 0)} on average, at most ${percent(event.peak)}` : ""],
    ["Threshold", event.threshold ? percent(event.threshold) : ""],
    ["Why", event.text ?? ""],
  ];
  return rows.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", { text: name }), element("dd", {}, value)]);
}

function evidence(event) {
  const found = Object.entries(event.evidence ?? {});
  if (!found.length) return null;
  const rows = found.map(([name, value]) =>
    element("li", {}, element("span", { text: called(name) }),
      element("span", { class: "value", text: plain(name, value, WARNING.has(event.kind)) })));
  return element("section", { class: "evidence", "aria-label": "Evidence" }, element("h3", { text: "Evidence" }), element("ul", {}, ...rows));
}

const UNITS = { dbfs: "dBFS", db: "dB", s: "s" };
const unitOf = (name) => UNITS[/_([a-z]+)$/.exec(name)?.[1]] ?? "";

/* `level_dbfs` -> "level", "image" -> "picture" */
function called(name) {
  const modality = MODALITIES.find(({ key }) => key === name);
  if (modality) return modality.name;
  return unitOf(name) ? name.replace(/_[a-z]+$/, "").replaceAll("_", " ") : name;
}

/* Probabilities are per cent; measurements are numbers with their unit. */
function plain(name, value, isMeasured) {
  if (typeof value === "number" && !isMeasured && value >= 0 && value <= 1) return percent(value);
  if (typeof value === "number") return `${Math.round(value * 100) / 100} ${unitOf(name)}`.trim();
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value && typeof value === "object" && typeof value.probability === "number") {
    const added = value.contribution;
    return added === undefined ? percent(value.probability) : `${percent(value.probability)}, adds ${signed(added)}`;
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}
