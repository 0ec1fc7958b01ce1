// What the page must know of a slice beside its picture: window, shape of a pixel, place in the patient. Read from Orthanc, attribute by attribute.
import { getNumbers, getText } from "./api.js";

const isFrame = ({ Frame }) => Frame !== null && Frame !== undefined;

/** A look-up in the functional groups of a multi-frame instance (shared, then the frame's own), or in a classic instance. */
async function attribute(slice, macro, tag, read = getNumbers) {
  const places = isFrame(slice) ? [`5200-9229/0/${macro}/0/${tag}`, `5200-9230/${Number(slice.Frame)}/${macro}/0/${tag}`, tag] : [tag];
  return (await Promise.all(places.map((place) => read(slice.InstanceID, place)))).find(Boolean) ?? null;
}

/** `[center, width]` of the slice's first window; null where it has none. */
export async function windowOf(slice) {
  const [center, width] = await Promise.all([attribute(slice, "0028-9132", "0028-1050"), attribute(slice, "0028-9132", "0028-1051")]);
  return center && width && width[0] > 0 ? [center[0], width[0]] : null;
}

/** The function that the window is of (PS3.3 C.11.2.1.2): LINEAR where it does not say. */
export const windowFunction = async (slice) => await attribute(slice, "0028-9132", "0028-1056", getText) ?? "LINEAR";

/** Height of a pixel over its width (PixelSpacing: rows first). */
export async function pixelShape(slice) {
  const [row, column] = await attribute(slice, "0028-9110", "0028-0030") ?? [];
  return row > 0 && column > 0 ? row / column : 1;
}

/** Whether the slice is of a CT, whose values are in HU. */
export const isCt = async (slice) => (await getText(slice.InstanceID, "0008-0060")) === "CT";

/** How the slice's values are shown: MONOCHROME1 (the smallest is white), MONOCHROME2, or of a colour (PS3.3 C.7.6.3.1.2); null where it does not say. */
export const photometric = (slice) => getText(slice.InstanceID, "0028-0004");

/**
 * The corners of a slice's plane in the patient (mm, LPS), going round; null where it does not say where it lies. `size`: `[rows, columns]`.
 * ImagePositionPatient is the centre of the first pixel (PS3.3 C.7.6.2.1.1).
 */
export async function planeOf(slice, [rows, columns]) {
  const [position, orientation, spacing] = await Promise.all([attribute(slice, "0020-9113", "0020-0032"), attribute(slice, "0020-9116", "0020-0037"), attribute(slice, "0028-9110", "0028-0030")]);
  if (position?.length !== 3 || orientation?.length !== 6 || spacing?.length !== 2) return null;
  const at = (row, column) => position.map((start, axis) => start + orientation[axis] * spacing[1] * column + orientation[3 + axis] * spacing[0] * row);
  return [at(-0.5, -0.5), at(-0.5, columns - 0.5), at(rows - 0.5, columns - 0.5), at(rows - 0.5, -0.5)];
}
