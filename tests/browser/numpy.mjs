// NumPy files as Orthanc writes them (NEP 1, version 1.0), drawn by the tests: float32, rows × columns × channels.

/** A file whose values are what `value(row, column)` says, the same in every channel. */
export function numpy(rows, columns, value, { channels = 1, descr = "<f4" } = {}) {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${rows},${columns},${channels}), }`;
  const head = Buffer.from(`${text.padEnd(117)}\n`, "latin1");
  const body = Buffer.alloc(rows * columns * channels * 4);
  for (let at = 0; at < rows * columns * channels; at += 1) {
    const pixel = Math.floor(at / channels);
    body.writeFloatLE(value(Math.floor(pixel / columns), pixel % columns), 4 * at);
  }
  const start = Buffer.from("\x93NUMPY\x01\x00\x00\x00", "latin1");
  start.writeUInt16LE(head.length, 8);
  return Buffer.concat([start, head, body]);
}
