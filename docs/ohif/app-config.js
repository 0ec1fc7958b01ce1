// OHIF's configuration, in docker-compose.yml and in the tests (tests/ohif): one data source, the Orthanc behind the page's own origin.
window.config = {
  routerBasename: null,
  showStudyList: true,
  extensions: [],
  modes: [],
  customizationService: {},
  maxNumberOfWebWorkers: 2,
  showErrorDetails: "always",
  disableConfirmationPrompts: true, // a SEG or SR that is opened is loaded without being asked for once more
  investigationalUseDialog: { option: "never" },
  defaultDataSourceName: "orthanc",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "orthanc",
      configuration: {
        friendlyName: "Orthanc",
        name: "orthanc",
        qidoRoot: "/dicom-web",
        wadoRoot: "/dicom-web",
        wadoUriRoot: "/wado",
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        thumbnailRequestStrategy: "fetch",
        enableStudyLazyLoad: true,
        qidoSupportsIncludeField: true, // without it, Orthanc's DICOMweb plugin 1.7 (Debian 12) leaves out what the study browser needs
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        supportsReject: false,
        supportsStow: false,
        dicomUploadEnabled: false,
        omitQuotationForMultipartRequest: true,
        bulkDataURI: { enabled: true, relativeResolution: "studies" },
      },
    },
  ],
};
