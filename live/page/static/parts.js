/* Small parts that several views use. */
import { element, MODALITIES } from "./elements.js";

const CONNECTIONS = { connecting: "connecting", live: "live", lost: "connection lost", refused: "refused" };

/* How a camera is reached, as a dot and words. */
export function connectionBadge() {
  const dot = element("i", { class: "dot", "aria-hidden": "true" });
  const text = element("span", { class: "text" });
  const root = element("span", { class: "connection" }, dot, text);
  const show = (status) => {
    root.dataset.state = status.connection;
    const name = CONNECTIONS[status.connection] ?? status.connection;
    const why = status.connection === "live" ? "" : status.text;
    const words = why ? `${name}: ${why}` : name;
    if (text.textContent !== words) text.textContent = root.title = words;
  };
  return { root, show };
}

/* A bar as long as a label is probable, divided by what speaks for it. `fill(label)` sets it. */
export function wholeBar() {
  const parts = MODALITIES.map(({ key }) => element("span", { class: `fill ${key}` }));
  const bar = element("span", { class: "scale whole" }, ...parts);
  bar.fill = (label) => {
    const shares = evidenceShares(label);
    const known = shares.some((share) => share > 0);
    bar.classList.toggle("plain", !known);
    parts.forEach((part, place) => {
      part.style.width = `${(known ? shares[place] : place ? 0 : 1) * label.probability * 100}%`;
    });
  };
  return bar;
}

/*
 * The share of each modality in what speaks for a label; they sum to 1. It is what the modality adds to the log-odds, or
 * its probability times its weight if none adds anything or the record does not tell.
 */
export function evidenceShares(label) {
  const of = MODALITIES.map(({ key }) => label.evidence?.[key]);
  let parts = of.map((evidence) => Math.max(0, evidence?.contribution ?? 0));
  if (!parts.some((part) => part > 0)) {
    parts = of.map((evidence) => (evidence ? evidence.probability * (evidence.weight ?? 1) : 0));
  }
  const sum = parts.reduce((a, b) => a + b, 0);
  return parts.map((part) => (sum > 0 ? part / sum : 0));
}

/* A box with a heading. */
export function panel(title, options = {}, ...children) {
  const heading = element("h2", { text: title });
  const head = element("header", {}, heading, ...(options.tools ?? []));
  return element("section", { class: `panel ${options.class ?? ""}`.trim(), "aria-label": title }, head, ...children);
}
