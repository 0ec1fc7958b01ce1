// What the page says, in English and Korean, by the browser's language.

export const DICTIONARIES = {
  en: {
    "title": "AI analysis",
    "skip": "Skip to content",
    "server.line": "{device} · Orthanc {orthanc} · plugin {version}",
    "server.queue": "queue {length} of {limit}",
    "refresh": "Refresh",
    "loading": "Loading…",

    "models": "Models",
    "model.version": "Version",
    "model.name": "Name",
    "model.input": "Input",
    "model.inputViews": "{count} images: {views}",
    "model.inputCount": "{count} images",
    "model.inputSeries": "{count} series: {names}",
    "model.inputSlices": "the slices of one series",
    "model.classes": "Classes",
    "model.segments": "Segments",
    "model.weights": "Weights",
    "model.loaded": "loaded in {seconds}",
    "model.noWeights": "Put the checkpoint as {file} into the folder {name} of the models directory (Ai.ModelsDirectory), then restart Orthanc.",
    "models.none": "No model is installed. Each folder of the models directory (Ai.ModelsDirectory) that holds a manifest.json is a model.",
    "state.Ready": "Ready",
    "state.NoWeights": "No weights",
    "state.Loading": "Loading",
    "state.Failed": "Failed",
    "state.Queued": "Queued",
    "state.Running": "Running",
    "state.Succeeded": "Succeeded",
    "state.Cancelled": "Cancelled",
    "disclaimer": "Disclaimer",
    "demo": "DEMO",
    "demo.ribbon": "DEMO — not for patients",

    "runs": "Runs",
    "runs.none": "Nothing has been analysed yet. Open a study in Orthanc Explorer and press “AI analysis”.",
    "runs.noneHere": "Nothing has been analysed here yet.",
    "run.state": "State",
    "run.model": "Model",
    "run.study": "Study",
    "run.created": "Requested",
    "run.duration": "Duration",
    "run.result": "Result",
    "run.origin": "Requested by",
    "run.job": "Orthanc job",
    "run.scope": "Analysed",
    "run.timings": "Time by stage",
    "run.total": "Total",
    "run.imagesFailed": "{failed} of {total} images could not be analysed",
    "run.waiting": "Waiting for its turn",
    "run.progress": "Progress of the analysis",
    "run.failed": "The analysis failed",
    "run.warnings": "Please check",
    "run.stored": "Report stored in the study",
    "run.alreadyStored": "An identical report was stored before; nothing was added to the study",
    "run.report": "Structured report ({kind})",
    "run.segmentation": "Segmentation ({kind})",
    "run.links": "In Orthanc",
    "run.openStudy": "Study",
    "run.allOfStudy": "All AI runs of this study",
    "stage.fetch": "Fetching images",
    "stage.read": "Reading images",
    "stage.prepare": "Preparing images",
    "stage.infer": "Analysing images",
    "stage.encode": "Writing the report",
    "stage.store": "Storing the report",

    "action.run": "Run",
    "action.force": "Make a new report even if an identical one is stored",
    "action.cancel": "Cancel",
    "action.retry": "Run again",
    "action.delete": "Delete",
    "action.keep": "Keep",
    "action.back": "Back",
    "confirm.cancel": "Stop this analysis? Nothing will be stored.",
    "confirm.cancelYes": "Stop it",
    "confirm.cancelNo": "Let it finish",
    "confirm.retry": "Run this analysis again?",
    "confirm.delete": "Delete this run and every object it stored in the study? This cannot be undone.",

    "card.probability": "Probability",
    "card.all": "All probabilities",
    "spread.title": "Standard deviation of the probability over {over}.",
    "spread.overall": "Standard deviation of the probability over {over}, mean over the images that it is made of.",
    "spread.segment": "Standard deviation of the probability over {over}, mean over what is inside.",
    "spread.meaning": "It says how far they agree, not how right they are.",
    "answers.views": "{views} views of the image (as it is, flipped, rotated)",
    "answers.models": "{models} models",
    "answers.both": "{models} models, each on {views} views of the image",
    "answers.several": "several answers",
    "card.failed": "Not analysed",
    "card.noPreview": "No preview",
    "card.preview": "Image {view}",
    "card.openImage": "Image in Orthanc Explorer",
    "overall.title": "All images together",
    "overall.short": "All",
    "overall.analysed": "{analysed} of {total} images analysed",
    "overall.carrying": "Images that carry the answer",

    "segment.noFinding": "No finding",
    "segment.noFindingText": "The model marked nothing as {name}. That is no proof that there is nothing.",
    "segment.volume": "Volume",
    "segment.longAxis": "Longest diameter",
    "segment.ratio": "Share of the analysed volume",
    "segment.spread": "Spread of the answers",
    "segment.slices": "Slices {first} to {last}",
    "segment.largest": "Largest area: slice {number}",
    "segment.signal": "Signal inside",
    "segment.phase": "Phase",
    "segment.channel": "Channel",
    "segment.mean": "Mean",
    "segment.enhancement": "Enhancement",
    "segment.analysed": "{count} of {total} slices were analysed: {first} to {last}.",

    "slices.title": "Slices",
    "slices.slider": "Slice",
    "slices.position": "Slice {number} of {total}",
    "slices.holds": "mask: {names}",
    "slices.holdsNone": "no mask",
    "slices.outside": "not analysed",
    "slices.mask": "Mask",
    "slices.opacity": "Mask opacity",
    "slices.brightness": "Brightness",
    "slices.contrast": "Contrast",
    "slices.noPicture": "Orthanc cannot show this slice.",
    "slices.noMask": "The mask of this slice could not be loaded.",
    "slices.help": "Slices: mouse wheel, arrow keys, Page Up and Page Down, Home, End. Mask on or off: M.",

    "resource.studies": "Study",
    "resource.series": "Series",
    "resource.instances": "Instance",
    "resource.models": "What can be analysed",
    "resource.applies": "Applies",
    "resource.appliesNot": "Does not apply",
    "resource.images": "{images} matching images",
    "resource.parent": "This is one part of a study. Models that need several images run on the study:",
    "resource.openParent": "open the study",

    "patient.id": "ID",
    "patient.born": "Born",
    "patient.sex": "Sex",
    "patient.date": "Study date",
    "patient.accession": "Accession",
    "patient.description": "Description",
    "patient.unknown": "Study {id}",

    "seconds": "{seconds} s",
    "error.offline": "The server does not answer.",
    "error.notJson": "The server answered with something that is not JSON.",
    "error.notFound": "This does not exist (any more).",
    "error.refused": "The server refused.",
    "error.retryAfter": "Try again in {seconds} s.",
    "error.retrying": "{reason} Trying again…",
    "error.noSuchPage": "There is no such page.",
    "error.nothingStarted": "No run was started.",
  },
  ko: {
    "title": "AI 분석",
    "skip": "본문으로 건너뛰기",
    "server.line": "{device} · Orthanc {orthanc} · 플러그인 {version}",
    "server.queue": "대기열 {length}/{limit}",
    "refresh": "새로 고침",
    "loading": "불러오는 중…",

    "models": "모델",
    "model.version": "버전",
    "model.name": "이름",
    "model.input": "입력",
    "model.inputViews": "영상 {count}장: {views}",
    "model.inputCount": "영상 {count}장",
    "model.inputSeries": "시리즈 {count}개: {names}",
    "model.inputSlices": "시리즈 하나의 모든 슬라이스",
    "model.classes": "분류",
    "model.segments": "분할 대상",
    "model.weights": "가중치",
    "model.loaded": "{seconds} 만에 로드됨",
    "model.noWeights": "모델 디렉터리(Ai.ModelsDirectory)의 {name} 폴더에 체크포인트를 {file} 이름으로 넣고 Orthanc를 다시 시작하십시오.",
    "models.none": "설치된 모델이 없습니다. 모델 디렉터리(Ai.ModelsDirectory)에서 manifest.json이 있는 폴더 하나가 모델 하나입니다.",
    "state.Ready": "준비됨",
    "state.NoWeights": "가중치 없음",
    "state.Loading": "로드 중",
    "state.Failed": "실패",
    "state.Queued": "대기 중",
    "state.Running": "분석 중",
    "state.Succeeded": "완료",
    "state.Cancelled": "취소됨",
    "disclaimer": "주의 사항",
    "demo": "데모",
    "demo.ribbon": "데모 — 환자에게 사용 금지",

    "runs": "분석 목록",
    "runs.none": "아직 분석한 검사가 없습니다. Orthanc Explorer에서 검사를 열고 “AI analysis”를 누르십시오.",
    "runs.noneHere": "아직 분석한 기록이 없습니다.",
    "run.state": "상태",
    "run.model": "모델",
    "run.study": "검사",
    "run.created": "요청 시각",
    "run.duration": "소요 시간",
    "run.result": "결과",
    "run.origin": "요청 경로",
    "run.job": "Orthanc 작업",
    "run.scope": "분석 대상",
    "run.timings": "단계별 시간",
    "run.total": "합계",
    "run.imagesFailed": "영상 {total}장 중 {failed}장을 분석하지 못했습니다",
    "run.waiting": "순서를 기다리는 중",
    "run.progress": "분석 진행률",
    "run.failed": "분석에 실패했습니다",
    "run.warnings": "확인이 필요합니다",
    "run.stored": "보고서를 검사에 저장했습니다",
    "run.alreadyStored": "같은 보고서가 이미 저장되어 있어 새로 추가하지 않았습니다",
    "run.report": "구조화 보고서 ({kind})",
    "run.segmentation": "분할 결과 ({kind})",
    "run.links": "Orthanc에서 보기",
    "run.openStudy": "검사",
    "run.allOfStudy": "이 검사의 모든 AI 분석",
    "stage.fetch": "영상 가져오기",
    "stage.read": "영상 읽기",
    "stage.prepare": "영상 전처리",
    "stage.infer": "영상 분석",
    "stage.encode": "보고서 작성",
    "stage.store": "보고서 저장",

    "action.run": "분석",
    "action.force": "같은 보고서가 있어도 새로 만들기",
    "action.cancel": "취소",
    "action.retry": "다시 분석",
    "action.delete": "삭제",
    "action.keep": "유지",
    "action.back": "돌아가기",
    "confirm.cancel": "이 분석을 중단하시겠습니까? 아무것도 저장되지 않습니다.",
    "confirm.cancelYes": "중단",
    "confirm.cancelNo": "계속 진행",
    "confirm.retry": "다시 분석하시겠습니까?",
    "confirm.delete": "이 분석과 검사에 저장된 결과를 모두 삭제하시겠습니까? 되돌릴 수 없습니다.",

    "card.probability": "확률",
    "card.all": "전체 확률",
    "spread.title": "{over}에 대한 확률의 표준편차입니다.",
    "spread.overall": "{over}에 대한 확률의 표준편차를 확률 계산에 쓰인 영상들에 대해 평균한 값입니다.",
    "spread.segment": "{over}에 대한 확률의 표준편차를 분할 영역 안에서 평균한 값입니다.",
    "spread.meaning": "서로 얼마나 일치하는지를 나타내며, 얼마나 정확한지를 나타내지는 않습니다.",
    "answers.views": "영상의 {views}가지 변형(원본, 뒤집기, 회전)",
    "answers.models": "모델 {models}개",
    "answers.both": "모델 {models}개(각각 영상의 {views}가지 변형)",
    "answers.several": "여러 답",
    "card.failed": "분석하지 못함",
    "card.noPreview": "미리보기 없음",
    "card.preview": "{view} 영상",
    "card.openImage": "Orthanc Explorer에서 영상 보기",
    "overall.title": "전체 영상 종합",
    "overall.short": "전체",
    "overall.analysed": "영상 {total}장 중 {analysed}장 분석",
    "overall.carrying": "근거가 된 영상",

    "segment.noFinding": "소견 없음",
    "segment.noFindingText": "모델이 {name}(으)로 표시한 부분이 없습니다. 병변이 없다는 증거는 아닙니다.",
    "segment.volume": "부피",
    "segment.longAxis": "최장 직경",
    "segment.ratio": "분석 부피 중 비율",
    "segment.spread": "답의 편차",
    "segment.slices": "슬라이스 {first}–{last}",
    "segment.largest": "최대 면적: 슬라이스 {number}",
    "segment.signal": "내부 신호",
    "segment.phase": "시기",
    "segment.channel": "채널",
    "segment.mean": "평균",
    "segment.enhancement": "조영 증강",
    "segment.analysed": "슬라이스 {total}장 중 {count}장을 분석했습니다: {first}–{last}.",

    "slices.title": "슬라이스",
    "slices.slider": "슬라이스",
    "slices.position": "슬라이스 {number}/{total}",
    "slices.holds": "마스크: {names}",
    "slices.holdsNone": "마스크 없음",
    "slices.outside": "분석하지 않음",
    "slices.mask": "마스크",
    "slices.opacity": "마스크 불투명도",
    "slices.brightness": "밝기",
    "slices.contrast": "대비",
    "slices.noPicture": "Orthanc가 이 슬라이스를 표시할 수 없습니다.",
    "slices.noMask": "이 슬라이스의 마스크를 불러오지 못했습니다.",
    "slices.help": "슬라이스 이동: 마우스 휠, 화살표 키, Page Up, Page Down, Home, End. 마스크 표시 전환: M.",

    "resource.studies": "검사",
    "resource.series": "시리즈",
    "resource.instances": "인스턴스",
    "resource.models": "분석 가능한 모델",
    "resource.applies": "적용 가능",
    "resource.appliesNot": "적용 불가",
    "resource.images": "해당 영상 {images}장",
    "resource.parent": "검사의 일부입니다. 여러 영상이 필요한 모델은 검사 단위로 분석합니다:",
    "resource.openParent": "검사 열기",

    "patient.id": "등록번호",
    "patient.born": "생년월일",
    "patient.sex": "성별",
    "patient.date": "검사일",
    "patient.accession": "접수번호",
    "patient.description": "검사명",
    "patient.unknown": "검사 {id}",

    "seconds": "{seconds}초",
    "error.offline": "서버가 응답하지 않습니다.",
    "error.notJson": "서버 응답이 JSON 형식이 아닙니다.",
    "error.notFound": "존재하지 않거나 삭제되었습니다.",
    "error.refused": "서버가 요청을 거부했습니다.",
    "error.retryAfter": "{seconds}초 후 다시 시도하십시오.",
    "error.retrying": "{reason} 다시 시도하는 중…",
    "error.noSuchPage": "없는 페이지입니다.",
    "error.nothingStarted": "시작된 분석이 없습니다.",
  },
};

export const language = (globalThis.navigator?.language ?? "en").toLowerCase().startsWith("ko") ? "ko" : "en";

/** The text of `key` in the browser's language, with `{name}` filled in. */
export function t(key, values = {}) {
  const text = DICTIONARIES[language][key] ?? DICTIONARIES.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A state's or stage's name; one that this page does not know is shown as the server wrote it. */
export const named = (kind, value) => (`${kind}.${value}` in DICTIONARIES.en ? t(`${kind}.${value}`) : String(value));

/** A class's name: where there is a translation, with the original beside it, since reports carry that one. */
export function className(classInfo, name) {
  const translated = classInfo?.Translations?.[language];
  return translated && translated !== name ? `${translated} (${name})` : name;
}

/** A probability in percent. What is not quite certain never reads as 0 % or 100 %. */
export function percent(probability) {
  if (!Number.isFinite(probability)) return "–";
  if (probability > 0 && probability < 0.001) return "<0.1 %";
  if (probability < 1 && probability > 0.999) return ">99.9 %";
  return `${(probability * 100).toFixed(1)} %`;
}

/** A number with its unit. What is not quite nothing never reads as 0. */
export function decimals(value, digits, unit = "") {
  if (!Number.isFinite(value)) return "–";
  const least = 10 ** -digits;
  const text = value > 0 && value < least ? `<${least.toFixed(digits)}` : value.toFixed(digits);
  return unit ? `${text} ${unit}` : text;
}

export const millilitres = (value) => decimals(value, value < 10 ? 2 : 1, "ml");

export const seconds = (value) => t("seconds", { seconds: value < 10 ? value.toFixed(2) : value.toFixed(1) });

/** A moment (ISO 8601) in the reader's own time zone; "–" where there is none. */
export function moment(iso) {
  const date = new Date(iso ?? NaN);
  if (Number.isNaN(date.getTime())) return "–";
  return new Intl.DateTimeFormat(language === "ko" ? "ko-KR" : navigator.language, { dateStyle: "medium", timeStyle: "medium" }).format(date);
}

/** DICOM DA as ISO 8601; anything else as it is. */
export const dicomDate = (value) => (/^\d{8}$/.test(value ?? "") ? `${value.slice(0, 4)}-${value.slice(4, 6)}-${value.slice(6)}` : value);

/** DICOM PN for reading: component groups kept apart, components separated by spaces (PS3.5 §6.2.1). */
export const personName = (value) => (value ?? "").split("=").map((group) => group.split("^").filter(Boolean).join(" ")).filter(Boolean).join(" · ");
