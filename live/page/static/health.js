/* How the watch is: account, queues, processes, engines, cameras; and cameras added and removed. */
import { cameraPath, get, send } from "./api.js";
import { durationText, element, keyed, percent, tell, textButton } from "./elements.js";
import { connectionBadge, panel } from "./parts.js";

export class HealthView {
  title = "Health";

  constructor(root, feed) {
    this.feed = feed;
    this.tiles = element("dl", { class: "tiles" });
    this.queues = element("ol", { class: "queues" });
    this.engines = element("dl", { class: "facts" });
    this.processes = table(["Process", "State", "Deaths"]);
    this.cameras = table(["Camera", "Connection", "Age p50", "p99", "Results", "Reused", "Dropped", "Errors", "Reconnects", ""]);
    const alerting = textButton("Send a test alert", () => act(send("POST", "/test_alert"), "A test alert is sent."));
    const leaving = textButton("Log out", async () => (await act(send("POST", "/logout"), "")) && location.assign("/login"));
    leaving.hidden = true;
    get("/settings").then(({ has_login: hasLogin }) => (leaving.hidden = !hasLogin), () => {});
    root.replaceChildren(
      panel("Watch", { class: "tiles-panel", tools: [alerting, leaving] }, this.tiles),
      panel("Cameras", { class: "wide" }, element("div", { class: "scroll", tabindex: 0 }, this.cameras.root), this._adding()),
      element("div", { class: "pair" },
        panel("Queues", {}, this.queues),
        panel("Engines", {}, this.engines)),
      panel("Processes", {}, element("div", { class: "scroll", tabindex: 0 }, this.processes.root)));
    this.stop = new AbortController();
    feed.addEventListener("status", () => this._show(), { signal: this.stop.signal });
    this._show();
  }

  close() {
    this.stop.abort();
  }

  _show() {
    const { status } = this.feed;
    if (!status) return;
    this._tiles(status);
    keyed(this.queues, Object.entries(status.queues), ([name]) => name, queueRow, fillQueue);
    keyed(this.engines, engineCells(status), ({ key }) => key, ({ tag }) => element(tag), (cell, { text }) => set(cell, text));
    this.processes.fill(status.processes, ({ name }) => name, (process) => [
      process.name, process.ready ? "ready" : process.pid ? "starting" : "gone", String(process.deaths)]);
    this.cameras.fill(status.cameras, ({ name }) => name, (camera) => [
      cameraLink(camera), badge, seconds(camera.age_s?.p50), seconds(camera.age_s?.p99), String(camera.results),
      camera.results ? percent(camera.reused / camera.results) : "–", dropped(camera.drops), String(camera.errors),
      String(camera.reconnects), remover]);
  }

  _tiles(status) {
    const { account, slots, canary } = status;
    const rows = [
      ["Running for", durationText(status.uptime_s)],
      ["Models", status.ready ? "loaded" : "loading"],
      ["Canary", canary.ok ? "right" : canary.text || "not yet"],
      ["Clips in", account.clips_in.toLocaleString()],
      ["Results", account.results.toLocaleString()],
      ["Dropped", account.drops.toLocaleString()],
      ["Errors", account.errors.toLocaleString()],
      ["In flight", account.in_flight.toLocaleString()],
      ["Slots free", `${slots.free} of ${slots.count}`],
      ["Settings", `version ${status.version}`],
    ];
    keyed(this.tiles, rows, ([name]) => name, ([name]) => element("div", {}, element("dt", { text: name }), element("dd")),
      (tile, [, value]) => set(tile.lastChild, value));
    this.tiles.children[2].title = canary.at ? `last at ${canary.at}` : "";
  }

  _adding() {
    const name = element("input", { name: "name", required: true, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", maxlength: 64, placeholder: "door", autocomplete: "off" });
    const address = element("input", { name: "url", required: true, placeholder: "rtsp://user:password@camera.local/stream", autocomplete: "off", spellcheck: "false" });
    const button = element("button", { type: "submit", class: "primary", text: "Add camera" });
    const form = element("form", { class: "adding camera-form", onsubmit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      if (await act(send("POST", "/cameras", { name: name.value, url: address.value.trim() }), `${name.value} is added.`)) form.reset();
      button.disabled = false;
    } },
      element("label", {}, "Name", name), element("label", { class: "long" }, "Address", address), button);
    return form;
  }
}

const set = (node, text) => node.textContent !== text && (node.textContent = text);
const seconds = (value) => (value == null ? "–" : `${value.toFixed(1)} s`);
const dropped = (drops) => Object.entries(drops ?? {}).filter(([, n]) => n).map(([why, n]) => `${n} ${why.replace("_", " ")}`).join(", ") || "0";

async function act(promise, text) {
  try {
    const done = await promise;
    tell(done.text || text);
    return true;
  } catch (error) {
    tell(error.message, true);
    return false;
  }
}

function engineCells({ engines, stage_s: stages }) {
  const rows = [...Object.entries(engines), ...Object.entries(stages).map(([name, s]) => [`${name} worked`, s < 60 ? `${s.toFixed(1)} s` : durationText(s)])];
  return rows.flatMap(([name, value]) => [{ key: `${name}:name`, tag: "dt", text: name }, { key: `${name}:value`, tag: "dd", text: value }]);
}

function queueRow([name]) {
  return element("li", {}, element("span", { class: "word", text: name }), element("span", { class: "value" }),
    element("span", { class: "scale" }, element("span", { class: "fill" })));
}

function fillQueue(row, [, { ready, leased }]) {
  set(row.children[1], `${leased} in work, ${ready} waiting`);
  row.querySelector(".fill").style.width = `${Math.min(100, (ready + leased) * 10)}%`;
}

/* Cells are texts, or functions that make and refresh one. */
function badge(cell, { connection, text }) {
  cell.badge ??= connectionBadge();
  if (!cell.firstChild) cell.append(cell.badge.root);
  cell.badge.show({ connection, text });
}

function cameraLink({ name }) {
  return (cell) => cell.firstChild || cell.append(element("a", { href: `#/camera/${encodeURIComponent(name)}`, text: name }));
}

function remover(cell, { name }) {
  if (cell.firstChild) return;
  const button = textButton("Remove", () => {
    if (button.dataset.sure) return act(send("DELETE", cameraPath(name)), `${name} is removed.`);
    button.dataset.sure = button.textContent = "Really remove?";
    setTimeout(() => { delete button.dataset.sure; button.textContent = "Remove"; }, 4000);
  });
  button.setAttribute("aria-label", `Remove ${name}`);
  cell.append(button);
}

function table(names) {
  const body = element("tbody");
  const root = element("table", {}, element("thead", {}, element("tr", {}, ...names.map((text) => element("th", { scope: "col", text })))), body);
  const fill = (items, keyOf, cells) => keyed(body, items, keyOf, () => element("tr", {}, ...names.map(() => element("td"))),
    (row, item) => cells(item).forEach((value, place) => {
      if (typeof value === "function") value(row.children[place], item);
      else set(row.children[place], value);
    }));
  return { root, fill };
}
