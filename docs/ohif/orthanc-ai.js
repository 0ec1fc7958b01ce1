// OHIF extension "orthanc-ai": a study that holds results of the plugin opens with them. The newest segmentation lies over the series that it was made of,
// the newest structured report stands beside it. Written for OHIF 3.13; how it is used: docs/ohif.md.
//
// It is appended to OHIF's app-config.js (`cat orthanc-ai.js >> app-config.js`): OHIF takes an extension as an object there, so nothing has to be built anew.
(() => {
  /** What the plugin writes as Manufacturer (0008,0070) of its objects. */
  const MANUFACTURER = "orthanc-ai";

  const written = ({ instance }) => `${instance.ContentDate ?? ""}${instance.ContentTime ?? ""}`;

  /** The newest of the plugin's results of a modality, undefined where there is none. */
  const newest = (displaySets, modality) => displaySets
    .filter((one) => one.Modality === modality && one.instance?.Manufacturer === MANUFACTURER)
    .sort((a, b) => written(b).localeCompare(written(a)))[0];

  /** Shows the display sets side by side, one a viewport; the first one's viewport is the active one. */
  async function show({ viewportGridService }, shown) {
    const state = viewportGridService.getState();
    const ids = [...state.viewports.keys()];
    if (ids.length === 1 && shown.length === 2) {
      const viewports = [ids[0], `${ids[0]}-orthanc-ai`];
      await viewportGridService.setLayout({
        numRows: 1,
        numCols: 2,
        activeViewportId: ids[0],
        findOrCreateViewport: (position) => ({
          displaySetInstanceUIDs: [shown[position].displaySetInstanceUID],
          displaySetOptions: [{}],
          viewportOptions: { viewportId: viewports[position], viewportType: "stack", toolGroupId: "default", allowUnmatchedView: true },
        }),
      });
      return;
    }
    const at = Math.max(ids.indexOf(viewportGridService.getActiveViewportId()), 0);
    const order = [...ids.slice(at), ...ids.slice(0, at)];
    await viewportGridService.setDisplaySetsForViewports(shown.slice(0, order.length)
      .map((one, index) => ({ viewportId: order[index], displaySetInstanceUIDs: [one.displaySetInstanceUID] })));
  }

  /** Once a study: what a reader opens afterwards is the reader's. */
  function watch({ servicesManager }) {
    const { displaySetService, viewportGridService, hangingProtocolService } = servicesManager.services;
    const subscriptions = [];
    let ready = false, timer;
    const look = () => {
      // OHIF makes display sets series by series as their metadata arrive: it is looked when none has come for a moment.
      clearTimeout(timer);
      timer = setTimeout(() => {
        const displaySets = displaySetService.getActiveDisplaySets();
        const shown = ["SEG", "SR"].map((modality) => newest(displaySets, modality)).filter(Boolean);
        if (!ready || shown.length === 0) return;
        stop();
        show({ viewportGridService }, shown);
      }, 500);
    };
    const stop = () => {
      clearTimeout(timer);
      subscriptions.splice(0).forEach(({ unsubscribe }) => unsubscribe());
    };
    subscriptions.push(
      displaySetService.subscribe(displaySetService.EVENTS.DISPLAY_SETS_ADDED, look),
      hangingProtocolService.subscribe(hangingProtocolService.EVENTS.PROTOCOL_CHANGED, look),
      viewportGridService.subscribe(viewportGridService.EVENTS.VIEWPORTS_READY, () => { ready = true; look(); }),
    );
    return stop;
  }

  let stop = () => {};
  window.config.extensions = [...window.config.extensions ?? [], {
    id: "orthanc-ai",
    onModeEnter: (context) => { stop(); stop = watch(context); },
    onModeExit: () => stop(),
  }];
})();
