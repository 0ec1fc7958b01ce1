// Pixel values (after the modality LUT, so HU for CT) and what a window makes of them.

/**
 * A grey picture from a NumPy file, as Orthanc writes one: `{rows, columns, values}`. Null for anything else, colour above all: a window means nothing there.
 * Format: NEP 1; little endian, rows first.
 */
export function readNumpy(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059) return null;
  const [start, length] = view.getUint8(6) === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  if (start + length > buffer.byteLength) return null;
  const head = new TextDecoder("latin1").decode(new Uint8Array(buffer, start, length));
  const shape = (/'shape': *\(([\d, ]+)\)/.exec(head)?.[1] ?? "").split(",").filter((part) => part.trim()).map(Number);
  const [rows, columns, channels = 1] = shape;
  const data = buffer.slice(start + length);
  if (!/'descr': *'<f4'/.test(head) || !/'fortran_order': *False/.test(head) || channels !== 1 || !(rows > 0) || !(columns > 0) || data.byteLength !== rows * columns * 4) return null;
  return { rows, columns, values: new Float32Array(data) };
}

/** `[center, width]` that shows everything from the smallest to the greatest value. */
export function fullWindow({ values }) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low < high ? [(low + high) / 2, high - low] : [Number.isFinite(low) ? low : 0, 1];
}

/** The picture that a window makes, as RGBA bytes: VOI LUT function LINEAR_EXACT (PS3.3 C.11.2.1.3.2), which is what Orthanc draws too. */
export function windowed({ values }, [center, width], inverted = false) {
  const pixels = new Uint8ClampedArray(values.length * 4); // which rounds, and bounds to 0 and 255
  const [low, scale] = inverted ? [center + width / 2, -255 / width] : [center - width / 2, 255 / width];
  for (let at = 0, to = 0; at < values.length; at += 1, to += 4) {
    const grey = (values[at] - low) * scale;
    pixels[to] = grey;
    pixels[to + 1] = grey;
    pixels[to + 2] = grey;
    pixels[to + 3] = 255;
  }
  return pixels;
}

/** A window's output as a share of the output range, by the VOI LUT function of that name (PS3.3 C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2). */
export function voiShare([center, width], name) {
  if (name === "SIGMOID") return (value) => 1 / (1 + Math.exp(-4 * (value - center) / width));
  const [middle, wide] = name === "LINEAR_EXACT" ? [center, width] : [center - 0.5, width - 1];
  return (value) => {
    if (value <= middle - wide / 2) return 0;
    return value > middle + wide / 2 ? 1 : (value - middle) / wide + 0.5;
  };
}

/** The picture of such shares, as RGBA bytes, cut as the plugin cuts them. */
export function shares({ values }, share, inverted) {
  const pixels = new Uint8ClampedArray(values.length * 4);
  for (let at = 0, to = 0; at < values.length; at += 1, to += 4) {
    const of = share(values[at]);
    pixels.fill(Math.trunc((inverted ? 1 - of : of) * 255), to, to + 3);
    pixels[to + 3] = 255;
  }
  return pixels;
}

/** Leaves of `layer` (RGBA bytes) what differs from `ground` by more than rounding: the rest becomes transparent. */
export function differing(layer, ground, tolerance = 6) {
  for (let at = 0; at < layer.length; at += 4) {
    const apart = Math.max(Math.abs(layer[at] - ground[at]), Math.abs(layer[at + 1] - ground[at + 1]), Math.abs(layer[at + 2] - ground[at + 2]));
    if (apart <= tolerance) layer[at + 3] = 0;
  }
  return layer;
}
