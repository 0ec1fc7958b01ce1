// Before the page's other files have come: asks for the run that its address names, and what is shown of it.
import { getRunEarly } from "./api.js";

const [, run] = /^#\/runs\/([^/]+)$/.exec(location.hash) ?? [];
if (run) getRunEarly(decodeURIComponent(run));
