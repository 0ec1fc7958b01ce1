# Orthanc (Debian 12's) with the plugin. The first stage runs the same set-up and build as a developer's machine.
FROM rust:1.95-bookworm AS build
ENV ORTHANC_AI_CACHE=/opt/orthanc-ai CARGO_TARGET_DIR=/tmp/target
WORKDIR /src
# Set-up first, from the few files that it reads: a change of code does not download libtorch again.
COPY Makefile Cargo.toml Cargo.lock ./
COPY scripts scripts
RUN scripts/setup.sh build
COPY . .
RUN make build

# The viewer, from the package that the tests use, behind nginx.
FROM node:22-bookworm-slim AS viewer
ENV ORTHANC_AI_CACHE=/opt/orthanc-ai
WORKDIR /src
COPY scripts scripts
RUN scripts/fetch_ohif.sh

FROM nginx:1.28 AS ohif
COPY --from=viewer /opt/orthanc-ai/ohif-3.13.2/dist /usr/share/nginx/html
COPY docs/ohif /tmp/ohif
# OHIF's configuration, and in it the extension that opens a study with its results.
RUN cat /tmp/ohif/app-config.js /tmp/ohif/orthanc-ai.js > /usr/share/nginx/html/app-config.js
COPY docker/ohif/nginx.conf /etc/nginx/conf.d/default.conf

FROM debian:12-slim AS orthanc
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends orthanc orthanc-dicomweb curl \
    && rm -rf /var/lib/apt/lists/*
# The plugin finds libtorch by its run path, which is where it was built: the same path here.
COPY --from=build /opt/orthanc-ai/libtorch-2.13.0/lib /opt/orthanc-ai/libtorch-2.13.0/lib
COPY --from=build /src/build/libOrthancAi.so /usr/share/orthanc-ai/
COPY --from=build /src/build/orthanc-ai /usr/bin/
COPY models /models
COPY docker/orthanc.json /etc/orthanc-ai/orthanc.json
RUN install -d -o orthanc -g orthanc /var/lib/orthanc/db
USER orthanc
VOLUME /var/lib/orthanc/db
EXPOSE 8042 4242
HEALTHCHECK --start-period=60s CMD curl --silent --fail --user "orthanc:$ORTHANC_PASSWORD" http://127.0.0.1:8042/ai/health || exit 1
CMD ["/usr/sbin/Orthanc", "/etc/orthanc-ai/orthanc.json"]
