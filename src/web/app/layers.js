// What lies over a slice, as one picture: its masks, or of a heat map's picture what it adds to the image.
import { getPicture, getValues, sliceUrl } from "./api.js";
import { photometric, windowFunction, windowOf } from "./headers.js";
import { differing, shares, voiShare } from "./values.js";

/**
 * Pictures that lie over a slice as one; null of none, undefined where one did not come or is of another size than the image.
 * `ground()` resolves to what heat maps are told apart from, as `groundOf` gives it, null where it did not come; null for masks.
 */
export async function cover(drawn, image, ground) {
  const { width, height } = image ?? drawn[0] ?? {};
  const fits = (one) => Boolean(one) && one.width === width && one.height === height;
  if (!drawn.every(fits)) {
    for (const one of drawn) one?.close();
    return undefined;
  }
  if (!ground || !drawn.length) return together(drawn);
  const { picture, own } = await ground() ?? {};
  const hot = fits(picture) ? await Promise.all(drawn.map((one) => hotOnly(one, picture))) : null;
  if (own) picture.close();
  for (const one of drawn) one.close();
  return hot ? together(hot) : undefined;
}

/** Pictures of one size over each other, as one; null of none. Closes them. */
function together(pictures) {
  if (pictures.length < 2) return pictures[0] ?? null;
  const canvas = new OffscreenCanvas(pictures[0].width, pictures[0].height);
  const context = canvas.getContext("2d");
  for (const picture of pictures) {
    context.drawImage(picture, 0, 0);
    picture.close();
  }
  return canvas.transferToImageBitmap();
}

/**
 * The image as the plugin drew it under a heat map that it stored (`displayed`, src/transform/uint8.rs): in the slice's own window, by
 * the function that the file names; without a window from the least to the greatest value. `image` is the picture that `address` (a
 * promise) gave. Gives `{picture, own}`, `own`: it is nobody else's, and to be closed.
 */
export async function groundOf(slice, address, image, signal) {
  const [window, said, seen] = await Promise.all([windowOf(slice), windowFunction(slice), address]);
  const name = ["LINEAR_EXACT", "SIGMOID"].includes(said) ? said : "LINEAR";
  const get = async (asked) => {
    const url = sliceUrl(slice, asked);
    return image && url === seen ? { picture: image } : { picture: await getPicture(url, signal), own: true };
  };
  if (!window || (name === "LINEAR" && window[1] < 1)) return get(null); // no window of its function's
  const [center, width] = window;
  // Orthanc draws LINEAR_EXACT, and widens what is narrower than 1. LINEAR is the same about half a value lower, a value narrower.
  if (name === "LINEAR_EXACT" && width > 1) return get(window);
  if (name === "LINEAR" && width > 2) return get([center - 0.5, width - 1]);
  const [values, shows] = await Promise.all([getValues(slice, signal), photometric(slice)]);
  if (!values) return get(window);
  const pixels = shares(values, voiShare(window, name), shows === "MONOCHROME1");
  return { picture: await createImageBitmap(new ImageData(pixels, values.columns)), own: true };
}

/** What a heat map's picture adds to the image under it: its heat, its outlines and letters. */
async function hotOnly(heat, ground) {
  const { width, height } = heat;
  const pixels = [heat, ground].map((one) => {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(one, 0, 0);
    return context.getImageData(0, 0, width, height);
  });
  differing(pixels[0].data, pixels[1].data);
  return createImageBitmap(pixels[0]);
}
