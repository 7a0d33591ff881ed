/* Elements, times and colours for all parts. Text from outside is only ever written as text. */
const percept = {};

percept.MODALITIES = [
  { key: "image", name: "picture" },
  { key: "motion", name: "motion" },
  { key: "audio", name: "sound" },
];

/* element("button", {class: "quiet", text: "Play", onclick: f, "aria-label": "Play"}, child, …) */
percept.element = (tag, options = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(Boolean));
  return made;
};

const SVG = "http://www.w3.org/2000/svg";

/* An icon from one path in a square of 24. */
percept.icon = (path) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
};

/* A button with a text. */
percept.textButton = (text, onclick) => percept.element("button", { type: "button", class: "quiet", text, onclick });

/* Tell whoever listens to a part that the user wants to go to a time. */
percept.askToSeek = (part, ms) => part.dispatchEvent(new CustomEvent("seek", { detail: ms }));

/* A button with an icon, whose name is told to screen readers and shown as a hint. */
percept.iconButton = (name, path, onclick) => {
  const button = percept.element("button", { type: "button", class: "icon", onclick }, percept.icon(path));
  percept.rename(button, name);
  return button;
};

percept.rename = (button, name) => {
  button.setAttribute("aria-label", name);
  button.title = name;
};

/* 83500 -> "1:23"; with tenths "1:23.5"; from an hour on "1:01:23" */
percept.clockText = (ms, tenths = false) => {
  const tick = tenths ? 100 : 1000;
  const all = Math.max(0, tenths ? Math.round(ms / tick) * tick : Math.floor(ms / tick) * tick);
  const [hours, minutes, seconds] = [Math.floor(all / 3.6e6), Math.floor(all / 6e4) % 60, (all % 6e4) / 1000];
  const last = (tenths ? seconds.toFixed(1) : String(seconds)).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${last}` : `${minutes}:${last}`;
};

/* 1 clip, 2,000 clips */
percept.counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

percept.percent = (thousandths) => `${Math.round(thousandths / 10)} %`;

/* 512 -> "+5.1", -4 -> "−0.0", 0 -> "0": hundredths of log-odds. */
percept.signed = (hundredths) =>
  hundredths ? `${hundredths < 0 ? "−" : "+"}${(Math.abs(hundredths) / 100).toFixed(1)}` : "0";

/* The colour of a track: neighbouring ids have very different hues, as in the labelled video. */
percept.trackColour = (id) => {
  const hue = ((id * 0.618034) % 1) * 6;
  const level = (of) => {
    const k = (of + hue) % 6;
    return Math.round(255 * (1 - 0.65 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [level(5), level(3), level(1)];
};

/* The first index of a rising array whose value is greater than `value`. */
percept.after = (values, value) => {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
};

/* The context of an empty canvas of this size in CSS pixels, sharp on any screen. */
percept.cleared = (canvas, width, height) => {
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
};
