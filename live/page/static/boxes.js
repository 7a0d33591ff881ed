/* Where the box of a track is at a time, and how boxes and zones are drawn. */
const HOLD_S = 0.3; // how long a box stays after its last time
const BRIDGE_S = 1; // boxes are interpolated over at most this time

/* The box at a time, interpolated between its neighbours; null if the track is not there. */
export function boxAt(boxes, time) {
  let [low, high] = [0, boxes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (boxes[middle][0] <= time) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [boxes[low - 1], boxes[low]];
  if (!before) return null;
  if (after && after[0] - before[0] <= BRIDGE_S) {
    const share = (time - before[0]) / (after[0] - before[0]);
    return before.slice(1).map((edge, side) => edge + (after[side + 1] - edge) * share);
  }
  return time - before[0] <= HOLD_S ? before.slice(1) : null;
}

export function drawZones(context, zones, place) {
  for (const [name, corners] of Object.entries(zones)) drawPlace(context, name, corners, place, true);
}

/* Lines, with an arrow at the middle that points to the side that is "in". */
export function drawLines(context, lines, place) {
  for (const [name, ends] of Object.entries(lines)) {
    drawPlace(context, name, ends, place, false);
    const [[x0, y0], [x1, y1]] = ends.map((point) => toScreen(point, place));
    const length = Math.hypot(x1 - x0, y1 - y0) || 1;
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const [right, down] = [(y1 - y0) / length, (x0 - x1) / length];
    context.beginPath();
    context.moveTo(x + right * 14, y + down * 14);
    context.lineTo(x - down * 5 + right * 3, y + right * 5 + down * 3);
    context.lineTo(x + down * 5 + right * 3, y - right * 5 + down * 3);
    context.fillStyle = "#fff";
    context.fill();
  }
}

/* A point of the picture, in fractions, on the stage, in pixels. */
export function toScreen([x, y], place) {
  return [place.left + x * place.wide, place.top + y * place.high];
}

/* The other way round; what is beside the picture counts as its edge. */
export function toPicture([x, y], place) {
  const share = (value) => Math.min(1, Math.max(0, value));
  return [share((x - place.left) / place.wide), share((y - place.top) / place.high)];
}

function drawPlace(context, name, corners, place, isClosed) {
  context.font = "500 12px system-ui, sans-serif";
  const points = corners.map((corner) => toScreen(corner, place));
  context.beginPath();
  points.forEach(([x, y], number) => (number ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (isClosed) context.closePath();
  context.setLineDash(isClosed ? [6, 5] : []);
  context.lineWidth = 3;
  context.strokeStyle = "rgb(0 0 0 / 0.4)";
  context.stroke();
  context.lineWidth = 1.5;
  context.strokeStyle = "#fff";
  context.stroke();
  context.setLineDash([]);
  const [x, y] = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  const wide = context.measureText(name).width + 10;
  const left = Math.max(place.left, Math.min(x, place.left + place.wide - wide));
  context.fillStyle = "rgb(16 18 24 / 0.7)";
  context.fillRect(left, Math.max(place.top, y), wide, 18);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(name, left + 5, Math.max(place.top, y) + 9.5);
}

export function drawBox(context, [x0, y0, x1, y1], rgb) {
  context.beginPath();
  context.roundRect(x0, y0, x1 - x0, y1 - y0, 3);
  context.lineWidth = 4;
  context.strokeStyle = "rgb(0 0 0 / 0.35)";
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = `rgb(${rgb})`;
  context.stroke();
}

export function drawTag(context, text, x, y, rgb, size, width) {
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
