/* The records of one source, as the page holds them: see pages/recording.py for units. */
percept.Recording = class {
  static RESULT = 0;
  static ERROR = 1;
  static DROPPED = 2;
  static GAP = 3;

  constructor(tree) {
    this.tree = tree;
    this.source = tree.source;
    this.words = tree.words;
    this.start = tree.clips.start;
    this.endOf = tree.clips.end;
    this.state = tree.clips.state;
    this.first = [...tree.clips.first, tree.labels.word.length];
    this.labels = tree.labels;
    this.weights = tree.weights;
    this.contributions = tree.contributions;
    this.bases = tree.bases;
    this.events = tree.events.map(([word, start, end, mean, peak, others]) => ({ word, start, end, mean, peak, others }));
    this.tracks = tree.tracks.map((track) => new percept.Track(track, this.words));
    this.notes = new Map(tree.notes.map(([clip, ...texts]) => [clip, texts.map((each) => tree.texts[each])]));
    this.why = new Map((tree.why ?? []).map(([clip, label, sentences, picture]) => [`${clip} ${label}`, { sentences, picture }]));
    this.regions = new Map();
    for (const [clip, ...row] of tree.regions) this.regions.set(clip, [...(this.regions.get(clip) ?? []), row]);
    this.end = Math.max(tree.end, 1);
    this.others = [...this.state.keys()].filter((clip) => this.state[clip] !== 0 && this.endOf[clip] > this.start[clip]);
    this.places = this._placesByWord();
  }

  /* The clip at a time; -1 if there is none. Of clips that overlap, the last that has begun. */
  clipAt(ms) {
    const clip = percept.after(this.start, ms) - 1;
    if (clip < 0) return -1;
    return ms < this.endOf[clip] || (clip === this.start.length - 1 && ms <= this.endOf[clip] + 250) ? clip : -1;
  }

  /* Where a clip ends, or the next one begins before that. */
  endBefore(clip) {
    const next = this.start[clip + 1];
    return next > this.start[clip] ? Math.min(this.endOf[clip], next) : this.endOf[clip];
  }

  /* The labels of a clip, best first. */
  labelsOf(clip) {
    const rows = [];
    for (let place = this.first[clip]; place < this.first[clip + 1]; place++) rows.push(this.labelAt(place));
    return rows;
  }

  labelAt(place) {
    const evidence = {};
    const added = {};
    for (const { key } of percept.MODALITIES) {
      if (this.labels[key][place] >= 0) evidence[key] = this.labels[key][place];
      added[key] = this.contributions[key][place];
    }
    return { word: this.labels.word[place], probability: this.labels.probability[place], evidence, added };
  }

  /*
   * The share of each modality in what speaks for a label; they sum to 1. It is what the modality adds to the log-odds,
   * or its probability times its weight if none adds anything or the records do not tell.
   */
  shares(place, clip) {
    let parts = percept.MODALITIES.map(({ key }) => Math.max(0, this.contributions[key][place] ?? 0));
    if (!parts.some((part) => part > 0)) {
      parts = percept.MODALITIES.map(
        ({ key }) => Math.max(0, this.labels[key][place]) * Math.max(0, this.weights[key][clip]),
      );
    }
    const sum = parts[0] + parts[1] + parts[2];
    return sum ? parts.map((part) => part / sum) : [0, 0, 0];
  }

  /* Where labels are in the picture of the clip at a time: word, share of the picture and box. */
  regionsAt(ms) {
    const rows = this.regions.get(this.clipAt(ms)) ?? [];
    return rows.map(([word, area, ...box]) => ({ word: this.words[word], area, box }));
  }

  /* Width and height of the upright source at a time, in pixels of its boxes; null if unknown. */
  sizeAt(ms) {
    let found = this.tree.sizes[0];
    for (const size of this.tree.sizes) if (size[0] <= ms) found = size;
    return found ? { width: found[1], height: found[2] } : null;
  }

  /* How long each word is at least this probable, in milliseconds. */
  durations(least) {
    return this.places.map(({ clips, places }) => {
      let sum = 0;
      for (let k = 0; k < clips.length; k++) {
        if (this.labels.probability[places[k]] >= least) sum += this.endOf[clips[k]] - this.start[clips[k]];
      }
      return sum;
    });
  }

  _placesByWord() {
    const found = this.words.map(() => ({ clips: [], places: [] }));
    for (let clip = 0; clip < this.start.length; clip++) {
      for (let place = this.first[clip]; place < this.first[clip + 1]; place++) {
        const of = found[this.labels.word[place]];
        of.clips.push(clip);
        of.places.push(place);
      }
    }
    return found;
  }
};
