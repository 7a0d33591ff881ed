/* Paints a stretch of time: a ruler, a lane per label or modality, and where there are no results. */
{
  const { MODALITIES, clockText } = percept;
  const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800];
  const TICK_PX = 74;

  /* The stretch [from, to) in milliseconds over a width in pixels. */
  percept.Stretch = class {
    constructor(from, to, width) {
      Object.assign(this, { from, to, width });
    }

    x(ms) {
      return ((ms - this.from) / (this.to - this.from)) * this.width;
    }

    ms(x) {
      return this.from + (x / this.width) * (this.to - this.from);
    }
  };

  /* Colours of the theme, for canvases. */
  percept.paints = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    const names = ["ink", "muted", "line", "bar", "error", "drop", "gap", ...MODALITIES.map(({ key }) => key)];
    return Object.fromEntries(names.map((name) => [name, of(name)]));
  };

  percept.paintRuler = (context, stretch, height, paints) => {
    const perTick = ((stretch.to - stretch.from) / 1000) * (TICK_PX / Math.max(stretch.width, 1));
    const step = (STEPS_S.find((each) => each >= perTick) ?? STEPS_S.at(-1)) * 1000;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let ms = Math.ceil(stretch.from / step) * step; ms <= stretch.to; ms += step) {
      const x = Math.round(stretch.x(ms)) + 0.5;
      context.strokeStyle = paints.line;
      context.beginPath();
      context.moveTo(x, height - 5);
      context.lineTo(x, height);
      context.stroke();
      const text = clockText(ms, step < 1000);
      const wide = context.measureText(text).width;
      context.fillStyle = paints.muted;
      context.fillText(text, Math.max(0, Math.min(x - wide / 2, stretch.width - wide)), height / 2 - 1);
    }
  };

  /* Stretches with an error, a drop or a gap, over all lanes. */
  percept.paintOthers = (context, recording, stretch, top, height, paints) => {
    const colours = { 1: paints.error, 2: paints.drop, 3: paints.gap };
    for (const clip of recording.others) {
      const [left, right] = [stretch.x(recording.start[clip]), stretch.x(recording.endOf[clip])];
      if (right < 0 || left > stretch.width) continue;
      const wide = Math.max(2, right - left);
      context.fillStyle = colours[recording.state[clip]];
      context.globalAlpha = 0.16;
      context.fillRect(left, top, wide, height);
      context.globalAlpha = 1;
      context.fillRect(left, top, wide, 3);
      if (recording.state[clip] === percept.Recording.GAP) hatch(context, left, top, wide, height, paints.gap);
    }
  };

  /* A label's lane: a bar per clip as high as its probability, in the colours of what speaks for it.
     Where clips are narrower than two pixels, the most probable one stands for its pixel.
     They are collected in `dense`. `lane`: word, modality (null: all together), top, height and least probability. */
  percept.paintLane = (context, dense, recording, stretch, lane, paints) => {
    const { clips, places } = recording.places[lane.word];
    const values = lane.modality ? recording.labels[lane.modality] : recording.labels.probability;
    const { colours, sharesOf } = composition(recording, lane.modality, paints);
    const bottom = lane.top + lane.height;
    const packed = colours.map(percept.packed);
    const look = (index) => {
      const value = values[places[index]];
      return [(value / 1000) * lane.height, sharesOf(places[index], clips[index]), value >= lane.least ? 255 : 72];
    };
    const column = (pixel, index) => {
      const [high, shares, opacity] = look(index);
      if (high > 0) dense.column(pixel, bottom, high, packed, shares, opacity);
    };
    let [pixel, best] = [-1, -1];
    for (let index = firstSeen(recording, clips, stretch.from); index < clips.length; index++) {
      const clip = clips[index];
      if (recording.start[clip] >= stretch.to) break;
      const [left, right] = [stretch.x(recording.start[clip]), stretch.x(recording.endBefore(clip))];
      if (right - left >= 2) {
        const wide = right - left - (right - left > 8 ? 1 : 0);
        paintBar(context, left, wide, bottom, colours, ...look(index));
      } else if (Math.floor(left) !== pixel) {
        if (best >= 0) column(pixel, best);
        [pixel, best] = [Math.floor(left), index];
      } else if (values[places[index]] > values[places[best]]) best = index;
    }
    if (best >= 0) column(pixel, best);
  };

  /* A line under each event of a lane. Those that are narrower than two pixels are joined. */
  percept.paintEvents = (context, events, stretch, y, paints) => {
    context.fillStyle = paints.ink;
    let [from, to] = [-1, -1];
    const flush = () => to > from && context.fillRect(from, y, to - from, 2.5);
    for (const event of events) {
      if (event.end < stretch.from) continue;
      if (event.start > stretch.to) break;
      const [left, right] = [stretch.x(event.start), stretch.x(event.end)];
      if (right - left < 2 && left <= to + 1) {
        to = Math.max(to, right);
        continue;
      }
      flush();
      [from, to] = [left, Math.max(left + 1, right - (right - left > 4 ? 1 : 0))];
    }
    flush();
  };

  /* The colours a bar may have, and the share of each for one label. */
  function composition(recording, modality, paints) {
    if (modality) return { colours: [paints[modality]], sharesOf: () => [1] };
    const colours = [...MODALITIES.map(({ key }) => paints[key]), paints.bar];
    const sharesOf = (place, clip) => {
      const shares = recording.shares(place, clip);
      shares.push(shares[0] + shares[1] + shares[2] ? 0 : 1);
      return shares;
    };
    return { colours, sharesOf };
  }

  function paintBar(context, left, wide, bottom, colours, high, shares, opacity) {
    if (high <= 0) return;
    let y = bottom;
    context.globalAlpha = opacity / 255;
    colours.forEach((colour, part) => {
      if (!shares[part]) return;
      const tall = shares[part] * Math.max(1, high);
      y -= tall;
      context.fillStyle = colour;
      context.fillRect(left, y, wide, tall);
    });
    context.globalAlpha = 1;
  }

  /* The first of these clips that may reach into the stretch. */
  function firstSeen(recording, clips, from) {
    let [low, high] = [0, clips.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (recording.endOf[clips[middle]] <= from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function hatch(context, left, top, wide, height, colour) {
    context.save();
    context.beginPath();
    context.rect(left, top, wide, height);
    context.clip();
    context.strokeStyle = colour;
    context.globalAlpha = 0.35;
    context.beginPath();
    const start = Math.max(left - height, -height);
    for (let x = start; x < Math.min(left + wide, context.canvas.width); x += 7) {
      context.moveTo(x, top + height);
      context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
  }
}
