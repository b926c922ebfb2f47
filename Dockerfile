# syntax=docker/dockerfile:1
# A static binary, alone in its image, without root.
#
#   docker build -t palisade .
#   docker run -v ledger:/var/lib/palisade -v ./config:/etc/palisade:ro -p 9443:9443 palisade

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends musl-tools \
 && rm -rf /var/lib/apt/lists/*
RUN rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin palisade --target "$(uname -m)-unknown-linux-musl" \
 && install -D "target/$(uname -m)-unknown-linux-musl/release/palisade" /image/bin/palisade \
 && install -d -m 0700 -o 65532 -g 65532 /image/var/lib/palisade /image/tmp

FROM scratch
COPY --from=build /image/bin /bin
# Owned by the user below, so that a new volume is too.
COPY --from=build --chown=65532:65532 /image/var /var
COPY --from=build --chown=65532:65532 /image/tmp /tmp
USER 65532:65532
WORKDIR /var/lib/palisade
# The ledger: without it on a volume, marks end with the container.
VOLUME /var/lib/palisade
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bin/palisade", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/palisade"]
CMD ["run", "--config", "/etc/palisade/palisade.toml"]
