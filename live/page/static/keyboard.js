/* Keys for the whole page, and the help that lists them. */
import { element } from "./elements.js";

const HELP = [
  ["c e h", "cameras, events, health"],
  ["← → ↑ ↓", "from camera to camera"],
  ["enter", "open what is in focus"],
  ["/", "filter, or add a label"],
  ["b", "boxes and zones on or off"],
  ["l", "newest picture, or in step with its boxes"],
  ["t", "light or dark"],
  ["esc", "back"],
  ["?", "this help"],
];
const MEANING =
  "A bar is as long as its label is probable in the newest clip. Its colours divide it by what speaks for the label: " +
  "picture, motion or sound. Labels do not compete: two can both be true, and none need be.";

export class Keyboard {
  /* `actions()` by key: functions that take the event. */
  constructor(actions) {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const { target, key } = event;
      const isField = target.matches("input:not([type=range], [type=checkbox]), select, textarea");
      if (isField) {
        if (key === "Escape") target.blur();
        return;
      }
      if (document.querySelector("dialog[open]")) return;
      if (target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(key)) return;
      const action = actions()[key];
      if (!action) return;
      event.preventDefault();
      action(event);
    });
  }
}

export function helpDialog() {
  const rows = HELP.flatMap(([keys, text]) => [
    element("dt", {}, ...keys.split(" ").map((each) => element("kbd", { text: each }))),
    element("dd", { text }),
  ]);
  const closing = element("button", { type: "button", text: "Close", onclick: () => dialog.close() });
  const dialog = element("dialog", { class: "help", "aria-label": "Help",
    onclick: (event) => event.target === dialog && dialog.close() },
    element("h2", { text: "Keys" }), element("dl", {}, ...rows),
    element("h2", { text: "What the bars mean" }), element("p", { text: MEANING }), closing);
  return dialog;
}
