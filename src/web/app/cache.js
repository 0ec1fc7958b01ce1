// Decoded slices in memory, bounded by what they weigh.

const MOST_BYTES = 192 * 2 ** 20;

/** Bytes of a slice: its bitmaps as RGBA, and its values. */
const weigh = ({ image, layer, values }) => [image, layer].reduce((sum, bitmap) => sum + (bitmap ? bitmap.width * bitmap.height * 4 : 0), values?.values.byteLength ?? 0);

/** Frees a slice's bitmaps. */
export function close(loaded) {
  loaded.image?.close();
  loaded.layer?.close();
  Object.assign(loaded, { image: undefined, layer: undefined });
}

/**
 * Slices by index, `{image, layer, values, …}`; `most` bytes of them. `inUse()` says which one is wanted (those farthest from it go
 * first) and which are never let go: `{wanted, pinned: [index]}`.
 */
export class SliceCache {
  #held = new Map();

  constructor(inUse, most = MOST_BYTES) {
    this.inUse = inUse;
    this.most = most;
  }

  get = (index) => this.#held.get(index);

  get bytes() {
    return [...this.#held.values()].reduce((sum, loaded) => sum + weigh(loaded), 0);
  }

  /** How many slices like this one there is room for, itself among them. */
  room = (loaded) => Math.floor(this.most / Math.max(weigh(loaded), 1));

  keep(index, loaded) {
    this.#held.set(index, loaded);
    const { wanted, pinned } = this.inUse();
    let bytes = this.bytes;
    const farthest = [...this.#held.keys()].filter((one) => one !== wanted && !pinned.includes(one)).sort((a, b) => Math.abs(b - wanted) - Math.abs(a - wanted));
    for (const one of farthest) {
      if (bytes <= this.most) break;
      bytes -= weigh(this.#held.get(one));
      close(this.#held.get(one));
      this.#held.delete(one);
    }
  }

  /** Forgets a slice whose bitmaps are still in use. */
  forget(index) {
    this.#held.delete(index);
  }
}
