# The image of the gateway. `docker build -t trunkline:local .` needs BuildKit, which Docker has by default.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches survive the build, so that a change of one crate compiles only that crate. A cache is not part of the image, so the same step
# copies the binary out of it. The image has no simulator and no `trunkline demo`.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    scripts/release-build --no-default-features \
    && install -D target/release/trunkline /out/trunkline

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/trunkline --create-home --shell /usr/sbin/nologin trunkline
COPY --from=build /out/trunkline /usr/local/bin/trunkline
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/trunkline/

USER trunkline
# Without PostgreSQL, the database is ./trunkline.db with its key file beside it. Both must survive the container.
WORKDIR /var/lib/trunkline
VOLUME /var/lib/trunkline
# Loopback is not reachable from outside a container. `docker run -p` selects the address of the host.
ENV TRUNKLINE_LISTEN=0.0.0.0:3003
EXPOSE 3003
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 CMD ["trunkline", "health"]
ENTRYPOINT ["trunkline"]
CMD ["serve"]
