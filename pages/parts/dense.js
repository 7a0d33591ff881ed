/* Bars that are narrower than a pixel, painted pixel by pixel: far faster than rectangles. */
percept.Dense = class {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
  }

  /* Begin an empty picture. */
  clear(width, height) {
    const size = [Math.max(1, Math.ceil(width)), Math.max(1, Math.ceil(height))];
    if (!this.image || this.canvas.width !== size[0] || this.canvas.height !== size[1]) {
      [this.canvas.width, this.canvas.height] = size;
      this.image = this.context.createImageData(...size);
      this.pixels = new Uint32Array(this.image.data.buffer);
    } else if (this.used) this.pixels.fill(0);
    this.used = false;
  }

  /* A column that ends at `bottom` and is `high` pixels high, from the bottom up in these colours and shares. */
  column(x, bottom, high, colours, shares, opacity) {
    const { width, height } = this.canvas;
    if (x < 0 || x >= width) return;
    this.used = true;
    let y = Math.round(bottom) - 1;
    let edge = bottom;
    for (let part = 0; part < colours.length; part++) {
      edge -= shares[part] * Math.max(1, high);
      const packed = ((opacity << 24) | colours[part]) >>> 0;
      for (; y >= Math.round(edge); y--) if (y >= 0 && y < height) this.pixels[y * width + x] = packed;
    }
  }

  drawOn(context) {
    if (!this.used) return;
    this.context.putImageData(this.image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0);
  }
};

/* A colour of a style as a number for pixels, without opacity. */
percept.packed = (colour) => {
  const digits = colour.replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3");
  const [red, green, blue] = digits.startsWith("#")
    ? digits.slice(1).match(/../g).map((pair) => parseInt(pair, 16))
    : digits.match(/\d+/g).map(Number);
  return (blue << 16) | (green << 8) | red;
};
