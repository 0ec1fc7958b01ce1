// REST answers for what a healthy server cannot be asked to do: fail, be slow, or say something hostile.

export const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`;

const CLASSES = [
  { Name: "Mass", Color: "#d32f2f", Translations: { ko: "종괴" } }, { Name: "Calcification", Color: "#f57c00", Translations: { ko: "석회화" } },
  { Name: "Architectural/Asymmetry", Color: "#fbc02d", Translations: { ko: "구조 왜곡/비대칭" } }, { Name: "Normal", Color: "#388e3c", Translations: { ko: "정상" } },
];

export const model = (changes = {}) => ({
  Name: "mammography-4view-demo", Title: "Mammography, four views (DEMO)", Version: "1.0.0", Demo: true, State: "Ready", Reason: null, Description: "A narrow ResNet50.",
  Disclaimer: "Results mean nothing for a patient.", Count: 4, Views: ["L-CC", "R-CC", "L-MLO", "R-MLO"], Classes: CLASSES, WeightsFile: "weights.safetensors", WeightsSha256: "ab".repeat(32), LoadSeconds: 0.2, ...changes,
});

export const server = (models) => ({ Version: "1.0.0", ApiVersion: 1, Device: "cpu", Threads: 2, OrthancVersion: "1.10.1", QueueLength: 0, QueueLimit: 16, Models: models });

export const result = (view, winner, changes = {}) => {
  const all = Object.fromEntries(CLASSES.map(({ Name }) => [Name, Name === winner ? 0.91 : 0.03]));
  return { View: view, Success: true, Class: winner, Color: CLASSES.find(({ Name }) => Name === winner).Color, Probability: 0.91, AllProbabilities: all, Error: null, InstanceUid: "2.25.1", InstanceID: null, ...changes };
};

export const run = (changes = {}) => ({
  ID: "canned", Model: "mammography-4view-demo", ModelTitle: "Mammography, four views (DEMO)", Version: "1.0.0", Demo: true, Disclaimer: "Results mean nothing for a patient.",
  Resource: "/studies/canned-study", Study: "canned-study", Origin: "Rest", State: "Succeeded", Progress: 100, Stage: null, Created: "2026-01-02T03:04:05Z", Started: "2026-01-02T03:04:06Z",
  Finished: "2026-01-02T03:04:10Z", StageSeconds: { fetch: 0.5, infer: 3.25 }, Error: null, Status: !changes.State || changes.State === "Succeeded" ? "Stored" : null, JobID: null, Warnings: [],
  Results: [result("L-CC", "Normal"), result("R-CC", "Mass"), result("L-MLO", "Architectural/Asymmetry"), result("R-MLO", "Calcification")],
  Stored: [{ ID: "sr", Kind: "SR", Path: "/instances/sr", SeriesID: "s", StudyID: "canned-study" }], ...changes,
});

export const segmentationModel = (changes = {}) => ({
  Name: "breast-dce-swinunetr-demo", Title: "Breast DCE-MRI tumour (DEMO)", Version: "1.0.0", Demo: true, State: "Ready", Reason: null, Description: "A small SwinUNETR.",
  Disclaimer: "Results mean nothing for a patient.", Task: "Segmentation", Count: 0, Views: [], Classes: [], Channels: ["pre-contrast", "phase 1", "phase 2", "phase 3"],
  Segments: [{ Name: "Tumour", Color: "#d32f2f", Translations: { ko: "종양" } }], WeightsFile: "weights.safetensors", WeightsSha256: "cd".repeat(32), LoadSeconds: 0.4, ...changes,
});

export const segment = (changes = {}) => ({
  Name: "Tumour", Color: "#d32f2f", Found: true, VolumeMl: 3.2441, LongAxisMm: 21.34, RatioPercent: 0.1234, FirstSlice: 180, LastSlice: 219, OutlineSlice: 201,
  Channels: [{ Name: "pre-contrast", Mean: 281.26 }, { Name: "phase 1", Mean: 900.5, EnhancementPercent: 220.2 }, { Name: "phase 2", Mean: 800, EnhancementPercent: 184.4 }, { Name: "phase 3", Mean: 250, EnhancementPercent: -11.1 }],
  Finding: "Tumour: 3.2 ml, longest diameter 21.3 mm", ...changes,
});

/** A segment without voxels: the server leaves every measurement away. */
export const notFound = (changes = {}) => ({ Name: "Tumour", Color: "#d32f2f", Found: false, Finding: "Tumour: not found", ...changes });

/** A segmentation run of `count` slices; a slice's frames of the SEG follow from the segments' spans, segment after segment. */
export function segmentationRun({ segments = [segment()], count = 400, ...changes } = {}) {
  const model = segmentationModel();
  const frames = segments.filter(({ Found }) => Found).flatMap(({ FirstSlice, LastSlice }) => Array.from({ length: LastSlice - FirstSlice + 1 }, (_, at) => FirstSlice + at));
  const found = frames.length > 0;
  return run({
    Model: model.Name, ModelTitle: model.Title, Results: [],
    Segmentation: { Slices: count, SeriesUid: "2.25.2", Channel: "phase 1", Segments: segments, ...(found ? { SegInstanceUid: "2.25.3", SegSeriesUid: "2.25.4" } : {}) },
    Slices: Array.from({ length: count }, (_, slice) => ({ InstanceID: `slice-${slice}`, Frame: null, Analysed: true, MaskFrames: frames.flatMap((one, frame) => (one === slice ? [frame] : [])) })),
    Stored: [...(found ? [{ ID: "seg", Kind: "SEG", Path: "/instances/seg", SeriesID: "s", StudyID: "canned-study" }] : []), { ID: "sr", Kind: "SR", Path: "/instances/sr", SeriesID: "s", StudyID: "canned-study" }], ...changes,
  });
}

export const applicability = (changes = {}) => ({
  Resource: "/studies/canned-study", Parent: null, Runs: [],
  Models: [{ Model: "mammography-4view-demo", Title: "Mammography, four views (DEMO)", Demo: true, Applies: true, Reason: "", Images: 4, State: "Ready" }], ...changes,
});

export const refusal = (status, details, headers) => ({
  status, headers, json: { HttpError: "Refused", HttpStatus: status, Message: "Refused", Method: "POST", OrthancError: "Refused", OrthancStatus: 0, Uri: "/", Details: details },
});
