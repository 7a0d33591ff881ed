/* The video with boxes, or the sound, and its controls. `player.clock` is the time that other parts follow.
   `onshape` is told width over height of the picture. */
{
  const { element, iconButton, rename, clockText } = percept;
  const PLAY = "M8 5.5v13l10.5-6.5z";
  const PAUSE = "M8 5.5v13M16 5.5v13";
  const LOUD = "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11";
  const MUTED = "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5";
  const BOXES = "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9 9h6v6H9z";
  const FULL = "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5";
  const RATES = [0.5, 1, 1.5, 2, 4];

  percept.Player = class {
    constructor(root, recording, { onshape = () => {} } = {}) {
      this.onshape = onshape;
      this.recording = recording;
      this.boxes = true;
      const { media, poster } = recording.tree;
      root.classList.add("player");
      this.root = root;
      const kind = media.kind === "sound" ? "audio" : "video";
      this.media = media.url ? element(kind, { preload: "auto", playsinline: true }) : null;
      this.clock = this.media
        ? new percept.MediaClock(this.media, recording.end, media.start)
        : new percept.Clock(recording.end);
      const hasBoxes = Boolean(recording.tracks.length || recording.regions.size);
      const hasStage = media.kind !== "sound" && (this.media || poster || hasBoxes);
      if (hasStage) this._stage(poster);
      else if (this.media) root.append(this.media);
      this._controls(Boolean(hasStage), hasBoxes);
      this.clock.addEventListener("time", () => this.draw());
      this.clock.addEventListener("state", () => this._stateChanged());
      if (this.media) this._load(media);
      this.draw();
    }

    draw() {
      const ms = this.clock.time;
      this.position.value = Math.round(ms);
      this.position.max = Math.round(this.clock.end);
      this.position.setAttribute("aria-valuetext", clockText(ms, true));
      this.position.style.setProperty("--done", `${(ms / this.clock.end) * 100}%`);
      this.now.textContent = clockText(ms, true);
      this.total.textContent = clockText(this.clock.end);
      if (this.canvas) this._drawBoxes(ms);
    }

    toggleBoxes() {
      this.boxes = !this.boxes;
      this.boxButton?.setAttribute("aria-pressed", String(this.boxes));
      this.draw();
    }

    toggleMuted() {
      if (!this.media) return;
      this.media.muted = !this.media.muted;
      this.muteButton.replaceChildren(percept.icon(this.media.muted ? MUTED : LOUD));
      rename(this.muteButton, this.media.muted ? "Sound on (m)" : "Sound off (m)");
    }

    toggleFull() {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.root.requestFullscreen?.();
    }

    close() {
      this.clock.pause();
      this.media?.removeAttribute("src");
      this.media?.load();
      this.resized?.disconnect();
    }

    _stage(poster) {
      this.canvas = element("canvas", { "aria-hidden": "true" });
      this.message = element("p", { class: "message", hidden: true });
      const picture = this.media ?? element("img", { src: poster || undefined, alt: "", hidden: !poster });
      this.picture = picture;
      const toggle = () => this.clock.toggle();
      this.stage = element("div", { class: "stage", onclick: toggle }, picture, this.canvas, this.message);
      this.root.append(this.stage);
      this._shape(this.recording.sizeAt(0));
      if (!this.media && !poster) {
        this.stage.classList.add("bare");
        this.message.textContent = "The video is not here. These are the boxes in its results.";
        this.message.hidden = false;
      }
      picture.addEventListener("load", () => this.draw());
      this.resized = new ResizeObserver(() => this.draw());
      this.resized.observe(this.stage);
    }

    _shape(size) {
      const { width, height } = size ?? { width: 16, height: 9 };
      this.stage.style.aspectRatio = `${width} / ${height}`;
      this.onshape(width / height);
    }

    _load(media) {
      this.media.addEventListener("error", () => this._fail(media.name));
      this.media.addEventListener("loadedmetadata", () => {
        const { videoWidth: width, videoHeight: height } = this.media;
        if (this.canvas && width) this._shape({ width, height });
        this.draw();
      });
      this.media.src = media.url;
    }

    _fail(name) {
      this.root.classList.add("failed");
      const text = `${name} cannot be played. It should be where it was when this page was made.`;
      if (this.message) [this.message.textContent, this.message.hidden] = [text, false];
      else this.root.prepend(element("p", { class: "message", text }));
    }

    _controls(hasStage, hasBoxes) {
      const { clock, media } = this;
      this.playButton = iconButton("Play (space)", PLAY, () => clock.toggle());
      this.playButton.classList.add("play", "paused");
      this.now = element("span", { class: "time now" });
      this.total = element("span", { class: "time" });
      this.position = element("input", {
        type: "range", min: 0, max: 1, step: 1, value: 0, class: "position", "aria-label": "Position",
        oninput: () => clock.seek(Number(this.position.value)),
      });
      const setRate = (event) => clock.setRate(Number(event.target.value));
      const rates = RATES.map((each) => element("option", { value: each, text: `${each}×`, selected: each === 1 }));
      const rate = element("select", { "aria-label": "Speed", class: "rate", onchange: setRate }, ...rates);
      if (media) this.muteButton = iconButton("Sound off (m)", LOUD, () => this.toggleMuted());
      if (hasStage && hasBoxes) {
        this.boxButton = iconButton("Boxes (b)", BOXES, () => this.toggleBoxes());
        this.boxButton.setAttribute("aria-pressed", "true");
      }
      const canBeFull = hasStage && document.fullscreenEnabled;
      const full = canBeFull && iconButton("Full screen (f)", FULL, () => this.toggleFull());
      const times = [this.playButton, this.now, this.position, this.total, rate];
      this.root.append(element("div", { class: "controls" }, ...times, this.muteButton, this.boxButton, full));
    }

    _stateChanged() {
      const { paused } = this.clock;
      this.playButton.replaceChildren(percept.icon(paused ? PLAY : PAUSE));
      this.playButton.classList.toggle("paused", paused);
      rename(this.playButton, paused ? "Play (space)" : "Pause (space)");
    }

    _drawBoxes(ms) {
      const { canvas, stage } = this;
      const [width, height] = [stage.clientWidth, stage.clientHeight];
      const context = percept.cleared(canvas, width, height);
      const size = this.recording.sizeAt(ms);
      if (!this.boxes || !size) return;
      const place = this._place(size, width, height);
      percept.drawRegions(context, this.recording.regionsAt(ms), place, width);
      percept.drawTracks(context, this.recording.tracks, ms, place, width);
    }

    /* Where the source is on the stage: it fits into the file's picture, and that into the stage. */
    _place(size, width, height) {
      const shown = { width: this.picture.videoWidth || size.width, height: this.picture.videoHeight || size.height };
      const outer = Math.min(width / shown.width, height / shown.height);
      const scale = Math.min((shown.width * outer) / size.width, (shown.height * outer) / size.height);
      return { scale, left: (width - size.width * scale) / 2, top: (height - size.height * scale) / 2 };
    }
  };
}
