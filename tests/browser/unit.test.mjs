// The page's pure functions and its dictionaries, without a browser.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { SliceCache } from "../../src/web/app/cache.js";
import { classColor, textOn } from "../../src/web/app/dom.js";
import { DICTIONARIES, dicomDate, percent, personName } from "../../src/web/app/text.js";

const APP = new URL("../../src/web/app/", import.meta.url);
const CLASS_COLORS = ["#d32f2f", "#f57c00", "#fbc02d", "#388e3c"];

const luminance = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
  .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);

test("text on a class's colour keeps a contrast of 4.5 for every colour", () => {
  const grid = ["00", "33", "66", "80", "99", "cc", "ff"];
  const colors = [...CLASS_COLORS, ...grid.flatMap((r) => grid.flatMap((g) => grid.map((b) => `#${r}${g}${b}`)))];
  for (const color of colors) {
    const [low, high] = [luminance(color), luminance(textOn(color))].sort((a, b) => a - b);
    assert.ok((high + 0.05) / (low + 0.05) >= 4.5, color);
  }
});

test("slices in memory are bounded by what they weigh; the farthest go first, and never the one in sight", () => {
  const closed = [];
  const bitmap = (name) => ({ width: 10, height: 10, close: () => closed.push(name) });
  let use = { wanted: 5, pinned: [5] };
  const cache = new SliceCache(() => use, 2000); // five bitmaps
  for (const index of [5, 6, 4, 7, 3]) cache.keep(index, { image: bitmap(index), layer: null });
  assert.deepEqual([closed, cache.bytes, cache.room(cache.get(5))], [[], 2000, 5]);
  use = { wanted: 20, pinned: [5] };
  cache.keep(20, { image: bitmap(20), layer: bitmap("layer 20") });
  assert.deepEqual(closed, [3, 4], "as far as is needed");
  assert.ok(cache.get(5).image && cache.get(20).layer && !cache.get(3));
  Object.assign(cache.get(20), { values: { values: new Float32Array(200) } });
  cache.keep(20, cache.get(20));
  assert.deepEqual(closed, [3, 4, 6, 7], "values weigh too");
  cache.keep(5, Object.assign(cache.get(5), { values: { values: new Float32Array(900) } }));
  assert.deepEqual(closed, [3, 4, 6, 7], "one that is in sight or wanted stays, whatever it weighs");
});

test("a colour that is no #rrggbb becomes grey", () => {
  for (const bad of [undefined, null, "", "red", "#fff", "url(x)", "#12345g", "#1234567"]) assert.equal(classColor(bad), "#757575");
  for (const good of CLASS_COLORS) assert.equal(classColor(good), good);
});

test("percentages round, and the uncertain never reads as certain", () => {
  const table = [[0, "0.0 %"], [0.0004, "<0.1 %"], [0.05, "5.0 %"], [0.9708, "97.1 %"], [0.9996, ">99.9 %"], [1, "100.0 %"], [NaN, "–"], [undefined, "–"]];
  for (const [value, text] of table) assert.equal(percent(value), text);
});

test("DICOM dates and names read as people write them", () => {
  assert.equal(dicomDate("20240131"), "2024-01-31");
  assert.equal(dicomDate("2024"), "2024");
  assert.equal(personName("Hong^Gildong=洪^吉洞=홍^길동"), "Hong Gildong · 洪 吉洞 · 홍 길동");
  assert.equal(personName("^^"), "");
  assert.equal(personName(undefined), "");
});

test("both languages say the same things with the same blanks", () => {
  const blanks = (text) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
  assert.deepEqual(Object.keys(DICTIONARIES.ko), Object.keys(DICTIONARIES.en));
  for (const [key, text] of Object.entries(DICTIONARIES.en)) {
    assert.deepEqual(blanks(DICTIONARIES.ko[key]), blanks(text), key);
    assert.ok(DICTIONARIES.ko[key].trim(), key);
  }
});

test("every text that the page asks for exists, and none is left over", async () => {
  const files = (await readdir(APP)).filter((name) => name.endsWith(".js") && name !== "text.js");
  const source = (await Promise.all([...files, "text.js"].map((name) => readFile(new URL(name, APP), "utf8")))).join("\n");
  const [dictionary] = /export const DICTIONARIES[\s\S]*?\n};/.exec(source);
  const code = source.replace(dictionary, "");
  const asked = new Set([...code.matchAll(/"([a-z]+\.[A-Za-z]+)"/g)].map(([, key]) => key).filter((key) => key in DICTIONARIES.en || !/\.(js|html)$/.test(key)));
  for (const [, key] of code.matchAll(/\bt\("([^"]+)"/g)) asked.add(key);
  const composed = /^(state|stage|resource)\./; // asked for as `${kind}.${value}`
  assert.deepEqual([...asked].filter((key) => !(key in DICTIONARIES.en)), [], "asked for, not there");
  assert.deepEqual(Object.keys(DICTIONARIES.en).filter((key) => !asked.has(key) && !composed.test(key)), [], "there, never asked for");
});
