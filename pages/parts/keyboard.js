/* Keys for the whole page, and the help that lists them. */
{
  const { element } = percept;
  const HELP = [
    ["space", "play or pause"],
    ["← →", "back or forward by one clip"],
    ["shift ← →", "back or forward by 5 seconds"],
    ["home end", "first or last clip"],
    ["+ − 0", "zoom the timeline in, out, whole"],
    ["/", "filter labels"],
    ["esc", "clear the filter, close this"],
    ["b f m", "boxes, full screen, sound"],
    ["t", "light or dark"],
    ["?", "this help"],
  ];

  const MEANING =
    "A bar is as long as its label is probable in this clip. Its colours divide it by what speaks for the label: " +
    "the probability that picture, motion or sound gives it alone, times how far each is trusted in this clip. " +
    "Labels do not compete: two can both be true, and none need be.";

  /* `actions` by key: functions that take the event. */
  percept.Keyboard = class {
    constructor(actions) {
      this.actions = actions;
      document.addEventListener("keydown", (event) => this._pressed(event));
      // After a click, space plays again instead of pressing the same button.
      document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
    }

    _pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { target, key } = event;
      const isField = target.matches("input[type=search], select, textarea");
      if (isField && key !== "Escape") return;
      if (document.querySelector("dialog[open]") && key !== "?") return;
      const isControl = target.matches("button, summary, a");
      if (isControl && (key === " " || key === "Enter")) return;
      if (target.matches("input[type=range]:not(.position)") && /^(Arrow|Home|End|Page)/.test(key)) return;
      const action = this.actions[key];
      if (!action) return;
      event.preventDefault();
      action(event);
    }
  };

  percept.helpDialog = (source) => {
    const rows = HELP.flatMap(([keys, text]) => [
      element("dt", {}, ...keys.split(" ").map((each) => element("kbd", { text: each }))),
      element("dd", { text }),
    ]);
    const closing = element("button", { type: "button", text: "Close", onclick: () => dialog.close() });
    const closeOutside = (event) => event.target === dialog && dialog.close();
    const dialog = element("dialog", { class: "help", "aria-label": "Help", onclick: closeOutside },
      element("h2", { text: "Keys" }), element("dl", {}, ...rows),
      element("h2", { text: "What the bars mean" }),
      element("p", { text: MEANING }),
      element("p", { class: "muted", text: source }), closing);
    return dialog;
  };
}
