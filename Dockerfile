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

FROM debian:12-slim
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
