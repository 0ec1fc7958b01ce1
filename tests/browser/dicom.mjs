// A synthetic four-view mammography exam and a breast DCE-MRI study: small, made here, so that the tests need no file of anyone's.
// Explicit VR Little Endian (PS3.5 §7.1.2); Digital Mammography X-Ray Image Storage - For Presentation, MR Image Storage.

const LONG_VRS = new Set(["OB", "OW"]);
const MG_STORAGE = "1.2.840.10008.5.1.4.1.1.1.2";
const MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4";
const WIDTH = 192;
const HEIGHT = 256;

function element(group, number, vr, value) {
  const raw = Buffer.isBuffer(value) ? value : typeof value === "number" ? Buffer.from(Uint16Array.of(value).buffer) : Buffer.from(value, "latin1");
  const padding = vr === "UI" ? "\0" : " ";
  const body = raw.length % 2 ? Buffer.concat([raw, Buffer.from(padding, "latin1")]) : raw;
  const head = Buffer.alloc(LONG_VRS.has(vr) ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, "latin1");
  if (LONG_VRS.has(vr)) head.writeUInt32LE(body.length, 8);
  else head.writeUInt16LE(body.length, 6);
  return Buffer.concat([head, body]);
}

/** A half ellipse on black, bright towards its middle, on the side where that breast lies. */
function pixels(laterality) {
  const image = new Uint16Array(WIDTH * HEIGHT);
  for (let row = 0; row < HEIGHT; row += 1) {
    for (let column = 0; column < WIDTH; column += 1) {
      const x = (laterality === "L" ? column : WIDTH - 1 - column) / (0.75 * WIDTH);
      const y = (row - HEIGHT / 2) / (0.45 * HEIGHT);
      const inside = 1 - x * x - y * y;
      if (inside > 0) image[row * WIDTH + column] = 400 + 2200 * inside + 500 * Math.sin(column / 7) * Math.cos(row / 9);
    }
  }
  return Buffer.from(image.buffer);
}

/** A file: preamble, meta information, the data set's elements. */
function file(sopClass, sopInstance, elements) {
  const meta = Buffer.concat([
    element(0x0002, 0x0001, "OB", Buffer.from([0, 1])), element(0x0002, 0x0002, "UI", sopClass),
    element(0x0002, 0x0003, "UI", sopInstance), element(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1"), element(0x0002, 0x0012, "UI", "2.25.1"),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(meta.length);
  const groupLength = Buffer.concat([Buffer.from([0x02, 0, 0, 0]), Buffer.from("UL"), Buffer.from([4, 0]), length]);
  return Buffer.concat([Buffer.alloc(128), Buffer.from("DICM"), groupLength, meta, element(0x0008, 0x0016, "UI", sopClass), element(0x0008, 0x0018, "UI", sopInstance), ...elements]);
}

function mammogram(root, view, number) {
  const [laterality, position] = view.split("-");
  const uid = (...path) => [root, ...path].join(".");
  return file(MG_STORAGE, uid(number, 1), [
    element(0x0008, 0x0020, "DA", "20240131"),
    element(0x0008, 0x0030, "TM", "101500"), element(0x0008, 0x0050, "SH", "SYN-0001"), element(0x0008, 0x0060, "CS", "MG"),
    element(0x0008, 0x0068, "CS", "FOR PRESENTATION"), element(0x0008, 0x1030, "LO", "Synthetic mammography"), element(0x0008, 0x103e, "LO", view),
    element(0x0010, 0x0010, "PN", "Phantom^Synthetic"), element(0x0010, 0x0020, "LO", "BROWSER-TEST"),
    element(0x0010, 0x0030, "DA", "19700101"), element(0x0010, 0x0040, "CS", "F"), element(0x0018, 0x5101, "CS", position),
    element(0x0020, 0x000d, "UI", root), element(0x0020, 0x000e, "UI", uid(number)), element(0x0020, 0x0011, "IS", String(number)),
    element(0x0020, 0x0013, "IS", "1"), element(0x0020, 0x0062, "CS", laterality),
    element(0x0028, 0x0002, "US", 1), element(0x0028, 0x0004, "CS", "MONOCHROME2"), element(0x0028, 0x0010, "US", HEIGHT),
    element(0x0028, 0x0011, "US", WIDTH), element(0x0028, 0x0100, "US", 16), element(0x0028, 0x0101, "US", 12),
    element(0x0028, 0x0102, "US", 11), element(0x0028, 0x0103, "US", 0), element(0x0028, 0x1050, "DS", "1500"), element(0x0028, 0x1051, "DS", "3000"),
    element(0x7fe0, 0x0010, "OW", pixels(laterality)),
  ]);
}

/** Four DICOM files (one series each) of one study. */
export const mammographyStudy = (views = ["L-CC", "R-CC", "L-MLO", "R-MLO"], root = "2.25.91120") => views.map((view, index) => mammogram(root, view, index + 1));

/** The breast DCE-MRI study: its grid, its channels, its tumour (`center` and `radii` in voxels: slice, row, column). */
export const DCE = {
  slices: 24, rows: 64, columns: 96, sliceMm: 3, rowMm: 2.4, columnMm: 1.6, phases: ["pre-contrast", "phase 1", "phase 2", "phase 3"],
  tumour: { center: [15, 24, 66], radii: [4.5, 6.5, 9.5] },
};

/** How far inside of an ellipsoid a voxel lies: 1 at its centre, 0 on its surface, negative outside. */
const depth = ({ center, radii }, ...voxel) => 1 - Math.hypot(...voxel.map((at, axis) => (at - center[axis]) / radii[axis]));

export const inTumour = (slice, row, column) => depth(DCE.tumour, slice, row, column) >= 0;

/** Two breasts above a chest wall; the tumour takes up contrast agent and washes it out again. */
function dceSlice(phase, slice) {
  const image = new Uint16Array(DCE.rows * DCE.columns);
  for (let row = 0; row < DCE.rows; row += 1) {
    for (let column = 0; column < DCE.columns; column += 1) {
      const breast = Math.max(...[24, 72].map((middle) => depth({ center: [12, 40, middle], radii: [16, 32, 21] }, slice, row, column)));
      const tissue = row > 48 ? 240 : breast > 0 ? 260 + 180 * Math.sin(row / 3) * Math.cos(column / 4 + slice / 2) ** 2 : 12;
      image[row * DCE.columns + column] = inTumour(slice, row, column) ? [280, 900, 800, 700][phase] : tissue * (1 + 0.08 * phase);
    }
  }
  return Buffer.from(image.buffer);
}

function dceInstance(root, phase, slice) {
  const uid = (...path) => [root, ...path].join(".");
  return file(MR_STORAGE, uid(phase + 1, slice + 1), [
    element(0x0008, 0x0020, "DA", "20240131"), element(0x0008, 0x0030, "TM", "101500"), element(0x0008, 0x0032, "TM", `1015${phase}0`), element(0x0008, 0x0050, "SH", "SYN-0002"),
    element(0x0008, 0x0060, "CS", "MR"), element(0x0008, 0x1030, "LO", "Synthetic breast DCE-MRI"), element(0x0008, 0x103e, "LO", DCE.phases[phase]),
    element(0x0010, 0x0010, "PN", "Phantom^Synthetic"), element(0x0010, 0x0020, "LO", "BROWSER-TEST"), element(0x0010, 0x0030, "DA", "19700101"), element(0x0010, 0x0040, "CS", "F"),
    element(0x0018, 0x0050, "DS", String(DCE.sliceMm)), element(0x0020, 0x000d, "UI", root), element(0x0020, 0x000e, "UI", uid(phase + 1)), element(0x0020, 0x0011, "IS", String(phase + 1)),
    element(0x0020, 0x0013, "IS", String(DCE.slices - slice)), // against the order in space
    element(0x0020, 0x0032, "DS", `-80\\-70\\${slice * DCE.sliceMm}`), element(0x0020, 0x0037, "DS", "1\\0\\0\\0\\1\\0"), element(0x0020, 0x0052, "UI", uid(9)),
    element(0x0028, 0x0002, "US", 1), element(0x0028, 0x0004, "CS", "MONOCHROME2"), element(0x0028, 0x0010, "US", DCE.rows), element(0x0028, 0x0011, "US", DCE.columns),
    element(0x0028, 0x0030, "DS", `${DCE.rowMm}\\${DCE.columnMm}`), element(0x0028, 0x0100, "US", 16), element(0x0028, 0x0101, "US", 12), element(0x0028, 0x0102, "US", 11), element(0x0028, 0x0103, "US", 0),
    element(0x0028, 0x1050, "DS", "450"), element(0x0028, 0x1051, "DS", "900"), element(0x7fe0, 0x0010, "OW", dceSlice(phase, slice)),
  ]);
}

/** One study of four series, a phase each. */
export const dceStudy = (root = "2.25.91121") => DCE.phases.flatMap((_, phase) => Array.from({ length: DCE.slices }, (__, slice) => dceInstance(root, phase, slice)));
