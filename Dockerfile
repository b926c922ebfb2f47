# syntax=docker/dockerfile:1
# A static binary, alone in its image, without root. docs/deploy.md says how to run it.
#
#   docker build -t palisade:0.1.0 .

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/* \
 && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
# What was downloaded and compiled before is kept in the builder's cache, not in a layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    install -D "$(packaging/build)" /image/bin/palisade \
 && install -d -m 0700 /image/var/lib/palisade /image/tmp

FROM scratch
LABEL org.opencontainers.image.title="Palisade" \
      org.opencontainers.image.description="A proxy that refuses the writes of stale leaders" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/bin /bin
# Owned by the user below, so that a new volume is too.
COPY --from=build --chown=65532:65532 /image/var /var
# For `palisade demo`.
COPY --from=build --chown=65532:65532 /image/tmp /tmp
USER 65532:65532
WORKDIR /var/lib/palisade
# The ledger: without it on a volume, marks end with the container.
VOLUME /var/lib/palisade
EXPOSE 9443
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["/bin/palisade", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/palisade"]
CMD ["run", "--config", "/etc/palisade/palisade.toml"]
