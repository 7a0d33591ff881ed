/* Light or dark: as the system says, until the button is pressed. Event: "change". */
{
  const MOON = "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z";
  const RAYS = "M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4";
  const SUN = `M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8${RAYS}`;

  percept.Theme = class extends EventTarget {
    constructor() {
      super();
      this.button = percept.iconButton("Light or dark (t)", MOON, () => this.toggle());
      try {
        const theme = localStorage.getItem("percept-theme");
        if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
      } catch {
        /* Some browsers keep nothing for files. */
      }
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this._changed());
      this._changed();
    }

    toggle() {
      const theme = this._isDark() ? "light" : "dark";
      document.documentElement.dataset.theme = theme;
      try {
        localStorage.setItem("percept-theme", theme);
      } catch {
        /* As above. */
      }
      this._changed();
    }

    _isDark() {
      const chosen = document.documentElement.dataset.theme;
      return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    }

    _changed() {
      this.button.replaceChildren(percept.icon(this._isDark() ? SUN : MOON));
      this.dispatchEvent(new Event("change"));
    }
  };
}
