# The gateway as one image. `docker build -t trunkline:local .` needs BuildKit, which Docker has by default.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the build, so that a change of one crate compiles that crate alone. A cache is no part of the image: what is
# wanted from it is copied out in the same step.
# The simulator of `trunkline demo` stays out.
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
# Without a PostgreSQL the database is ./trunkline.db and its key lies beside it: both must outlive the container.
WORKDIR /var/lib/trunkline
VOLUME /var/lib/trunkline
# Inside a container loopback reaches nobody. Which address of the host it becomes is for `docker run -p` to say.
ENV TRUNKLINE_LISTEN=0.0.0.0:3003
EXPOSE 3003
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 CMD ["trunkline", "health"]
ENTRYPOINT ["trunkline"]
CMD ["serve"]
