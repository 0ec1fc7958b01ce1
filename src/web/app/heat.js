// The slices of a classified series, with the stored heat maps over those that have one.
import { pictureUrl } from "./api.js";
import { sliceBrowser } from "./slices.js";
import { className, percent, t } from "./text.js";

const keyOf = (uid, frame) => `${uid} ${frame ?? ""}`;

/**
 * The browser of a run whose images have one answer together; null for any other, and where nothing was stored that lies over them. `names`: the
 * classes; `kept` holds it over redraws.
 */
export function heatMapView(run, names, kept) {
  const results = (run.Results ?? []).filter((result) => result.InstanceID);
  const maps = heatMaps(run);
  if (!run.Overall || results.length < 2 || !maps.size) return null;
  if (kept.ended !== run.Finished) Object.assign(kept, { ended: run.Finished, heat: browser(run, results, maps, names) });
  return kept.heat;
}

/** The stored picture and the class of each explained image; of several the likeliest. */
function heatMaps(run) {
  const stored = new Map((run.Stored ?? []).map((object) => [object.SopInstanceUid, object.ID]));
  const maps = new Map();
  for (const { InstanceUid, Frame, Class, Probability, HeatMapInstanceUid } of run.Explanations ?? []) {
    const key = keyOf(InstanceUid, Frame);
    const picture = stored.get(HeatMapInstanceUid);
    if (picture && !(maps.get(key)?.probability >= Probability)) maps.set(key, { picture, name: Class, probability: Probability });
  }
  return maps;
}

function browser(run, results, maps, names) {
  const over = results.map((result) => maps.get(keyOf(result.InstanceUid, result.FrameNumber)));
  const slices = results.map(({ InstanceID, FrameNumber }, index) => ({ InstanceID, Frame: FrameNumber ? FrameNumber - 1 : null, heat: over[index] }));
  const likeliest = [...over.keys()].filter((index) => over[index]).sort((a, b) => over[b].probability - over[a].probability)[0];
  const explained = [...new Set(over.filter(Boolean).map(({ name }) => name))];
  const about = explained.length === 1 ? explained[0] : run.Overall.Class;
  const label = (name) => className(names.get(name), name);
  return sliceBrowser({
    slices, kind: "heat", start: Math.max(likeliest ?? 0, 0),
    layers: ({ heat }) => (heat ? [pictureUrl(heat.picture)] : []),
    spans: explained.map((name) => ({ name: label(name), color: names.get(name)?.Color, indices: new Set([...over.keys()].filter((index) => over[index]?.name === name)) })),
    caption: (index) => {
      const { Success: success, AllProbabilities: all } = results[index];
      const name = over[index]?.name ?? about; // what the heat map in sight explains
      return success ? `${label(name)} ${percent(all?.[name])}` : t("card.failed");
    },
  }).element;
}
