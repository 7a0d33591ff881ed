/* What runs the page: the time in milliseconds of the source. Events: "time", and "state" when it plays or pauses. */
percept.Clock = class extends EventTarget {
  constructor(end) {
    super();
    this.end = end;
    this.time = 0;
    this.rate = 1;
    this.paused = true;
    this._tick = this._tick.bind(this);
  }

  toggle() {
    if (this.paused) this.play();
    else this.pause();
  }

  play() {
    if (this.time >= this.end - 50) this.seek(0);
    this._began(performance.now());
  }

  pause() {
    this._stopped();
  }

  seek(ms) {
    this._show(Math.max(0, Math.min(ms, this.end)));
  }

  setRate(rate) {
    this.rate = rate;
  }

  /* The time now, while it plays. Without media, it is that of the computer. */
  _now(at) {
    const now = this.time + (at - this._at) * this.rate;
    this._at = at;
    return now;
  }

  _began(at) {
    this._at = at;
    if (!this.paused) return;
    this.paused = false;
    this.dispatchEvent(new Event("state"));
    requestAnimationFrame(this._tick);
  }

  _stopped() {
    if (this.paused) return;
    this.paused = true;
    this.dispatchEvent(new Event("state"));
  }

  _tick(at) {
    if (this.paused) return;
    this._show(Math.max(0, Math.min(this._now(at), this.end)));
    if (this.time >= this.end) this.pause();
    else requestAnimationFrame(this._tick);
  }

  _show(ms) {
    this.time = ms;
    this.dispatchEvent(new Event("time"));
  }
};

/* The clock of a video or audio element. `start`: the time of the source at which the file begins. */
percept.MediaClock = class extends percept.Clock {
  constructor(media, end, start = 0) {
    super(end);
    this.media = media;
    this.start = start;
    media.addEventListener("play", () => this._began(performance.now()));
    media.addEventListener("pause", () => this._stopped());
    media.addEventListener("ended", () => this._stopped());
    media.addEventListener("seeked", () => this._show(this._now()));
    media.addEventListener("durationchange", () => {
      if (Number.isFinite(media.duration)) this.end = Math.max(1, media.duration * 1000 + start);
    });
  }

  play() {
    if (this.time >= this.end - 50) this.seek(this.start);
    this.media.play().catch(() => this._stopped());
  }

  pause() {
    this.media.pause();
  }

  seek(ms) {
    super.seek(ms);
    this.media.currentTime = Math.max(0, (this.time - this.start) / 1000);
  }

  setRate(rate) {
    super.setRate(rate);
    this.media.playbackRate = rate;
  }

  _now() {
    return this.media.currentTime * 1000 + this.start;
  }
};
