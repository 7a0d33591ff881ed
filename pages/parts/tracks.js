/* Tracks: where the box of each is at a time, and how boxes are drawn. */
percept.Track = class {
  static HOLD_MS = 250; // how long a box stays after its last time
  static BRIDGE_MS = 1000; // boxes are interpolated over at most this time

  constructor({ id, names, boxes }, words) {
    this.id = id;
    this.boxes = boxes; // rows of time, x0, y0, x1, y1
    this.names = names.map(([from, word, probability]) => ({ from, word: words[word], probability }));
    this.times = boxes.filter((_, place) => place % 5 === 0);
    this.from = this.times[0] ?? Infinity;
    this.to = (this.times[this.times.length - 1] ?? -Infinity) + percept.Track.HOLD_MS;
  }

  /* The box at a time, interpolated between its neighbours; null if the track is not visible. */
  boxAt(ms) {
    if (ms < this.from || ms > this.to) return null;
    const before = percept.after(this.times, ms) - 1;
    const [from, to] = [this.times[before], this.times[before + 1]];
    const row = this.boxes.slice(before * 5 + 1, before * 5 + 5);
    if (to !== undefined && to - from <= percept.Track.BRIDGE_MS) {
      const share = (ms - from) / (to - from);
      return row.map((edge, side) => edge + (this.boxes[(before + 1) * 5 + 1 + side] - edge) * share);
    }
    return ms - from <= percept.Track.HOLD_MS ? row : null;
  }

  nameAt(ms) {
    let found = this.names[0];
    for (const name of this.names) if (name.from <= ms) found = name;
    return found ? `${this.id}  ${found.word} ${percept.percent(found.probability)}` : String(this.id);
  }
};

/* Set the font of tags for a canvas of this width. Gives its size. */
percept.tagFont = (context, width) => {
  const size = Math.max(11, Math.min(15, width / 46));
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.lineJoin = "round";
  return size;
};

/* Draw the boxes of all tracks at a time. `place`: left, top and scale from pixels of boxes to those of the canvas. */
percept.drawTracks = (context, tracks, ms, place, width) => {
  const size = percept.tagFont(context, width);
  let drawn = 0;
  for (const track of tracks) {
    const box = track.boxAt(ms);
    if (!box) continue;
    const [x0, y0, x1, y1] = placed(box, place);
    const rgb = percept.trackColour(track.id);
    drawBox(context, [x0, y0, x1, y1], rgb);
    drawTag(context, track.nameAt(ms), x0, y0, rgb, size, width);
    drawn++;
  }
  return drawn;
};

/* Draw where labels are, as dashed boxes with word and share of the picture. */
percept.drawRegions = (context, regions, place, width) => {
  const size = percept.tagFont(context, width);
  regions.forEach(({ word, area, box }, row) => {
    const [x0, y0, x1, y1] = placed(box, place);
    context.setLineDash([7, 5]);
    drawBox(context, [x0, y0, x1, y1], REGION);
    context.setLineDash([]);
    // tags of tracks are at the top; those of regions at the bottom, above each other
    drawTag(context, `${word}, ${percept.percent(area)} of the picture`, x0, y1 - row * size * 1.7, REGION, size, width);
  });
};

const REGION = [255, 255, 255];

function placed(box, place) {
  return box.map((edge, side) => edge * place.scale + (side % 2 ? place.top : place.left));
}

function drawBox(context, [x0, y0, x1, y1], rgb) {
  context.beginPath();
  context.roundRect(x0, y0, x1 - x0, y1 - y0, 3);
  context.lineWidth = 4;
  context.strokeStyle = "rgb(0 0 0 / 0.35)";
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = `rgb(${rgb})`;
  context.stroke();
}

function drawTag(context, text, x, y, rgb, size, width) {
  while (text.length > 4 && context.measureText(text).width > width / 2) text = `${text.slice(0, -2).trimEnd()}…`;
  const [wide, high] = [context.measureText(text).width + size, Math.round(size * 1.5)];
  const left = Math.max(0, Math.min(x - 1, width - wide));
  const top = y >= high ? y - high - 1 : Math.max(0, y);
  context.fillStyle = `rgb(${rgb})`;
  context.beginPath();
  context.roundRect(left, top, wide, high, 3);
  context.fill();
  context.fillStyle = rgb[0] + rgb[1] + rgb[2] > 380 ? "#101218" : "#fff";
  context.textBaseline = "middle";
  context.fillText(text, left + size / 2, top + high / 2 + 0.5);
}
