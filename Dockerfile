# Two images:
#   docker build --target stock -t neon-local .          Node.js, the programs and a stock PostgreSQL
#   docker build --target neon --build-arg COMPUTE_IMAGE=neondatabase/compute-node-v17 -t neon-local-compute .
#                                                         a Neon compute image with this compute_ctl in place of its own
# Build arguments are listed in docs/operating.md.
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim
ARG DEBIAN_IMAGE=docker.io/library/debian:bookworm-slim
ARG COMPUTE_IMAGE=docker.io/neondatabase/compute-node-v17:latest
# Where the PostgreSQL of the stock image comes from: npm (14 to 18) or debian (15).
ARG POSTGRES_FROM=npm

FROM ${NODE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY test/servers/package.json test/servers/
# Install scripts are not needed: esbuild's program and PostgreSQL's libraries come as packages, we link the latter ourselves.
RUN npm ci --ignore-scripts
COPY . .
ARG BUILD_TAG=latest
RUN npm run build \
 && sed -i '1s|^#!.*|#!/opt/neon-local/bin/node|' dist/compute_ctl.js dist/neon_store.js dist/neon_local.js \
 && install -D /usr/local/bin/node /out/bin/node \
 && install -D /usr/bin/tini-static /out/bin/tini \
 && cp -R dist specs package.json LICENSE README.md CHANGELOG.md /out/ \
 && mkdir /out/licenses \
 && node -p 'process.version' > /out/licenses/node.txt \
 && cat /usr/local/LICENSE >> /out/licenses/node.txt \
 && cp /usr/share/doc/tini/copyright /out/licenses/tini.txt

FROM build AS postgres-files
ARG POSTGRES_FROM
ARG PG_MAJOR=17
RUN mkdir -p /postgresql \
 && if [ "$POSTGRES_FROM" = npm ]; then \
      postgres=$(node dist/compute_ctl.js postgres-path "$PG_MAJOR") \
      && cp -R "${postgres%/bin/postgres}" "/postgresql/$PG_MAJOR"; \
    fi

FROM ${DEBIAN_IMAGE} AS stock
ARG POSTGRES_FROM
# Any uid may run the image: what is written at run time is writable to all, as /tmp is.
RUN groupadd --gid 999 postgres \
 && useradd --uid 999 --gid postgres --home-dir /var/db/postgres --shell /usr/sbin/nologin postgres \
 && if [ "$POSTGRES_FROM" = debian ]; then \
      apt-get update \
      && apt-get install -y --no-install-recommends postgresql-common \
      && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
      && apt-get install -y --no-install-recommends postgresql-15 \
      && rm -rf /var/lib/apt/lists/*; \
    fi \
 && install -d -m 1777 /var/lib/neon-local /var/db/postgres /var/run/postgresql
COPY --from=postgres-files /postgresql/ /usr/lib/postgresql/
COPY --from=build /out /opt/neon-local
COPY deploy/image/entrypoint.sh /usr/local/bin/entrypoint.sh
# initdb wants a user with a name: its result comes along, so that a nameless uid needs no initdb.
RUN ln -s /opt/neon-local/dist/compute_ctl.js /usr/local/bin/compute_ctl \
 && ln -s /opt/neon-local/dist/neon_store.js /usr/local/bin/neon-store \
 && ln -s /opt/neon-local/dist/neon_local.js /usr/local/bin/neon-local \
 && for program in postgres initdb pg_ctl; do ln -s /usr/lib/postgresql/*/bin/$program /usr/local/bin/$program; done \
 && neon-store --dir /opt/neon-local template \
 && chmod -R a+rX /opt/neon-local/templates \
 && rm -rf /tmp/*
ENV LANG=C.UTF-8 \
    NEON_LOCAL_DIR=/var/lib/neon-local \
    NEON_LOCAL_PG_HOST=* \
    NEON_STORE_SHIPPED_TEMPLATE_DIR=/opt/neon-local/templates
USER postgres
VOLUME /var/lib/neon-local
# 55432 Postgres of neon-local serve, 55433 its compute's HTTP API; 3080 compute_ctl's own.
EXPOSE 55432 55433 3080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["neon-local", "healthcheck"]
ENTRYPOINT ["/opt/neon-local/bin/tini", "--", "/usr/local/bin/entrypoint.sh"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="neon-local" \
      org.opencontainers.image.description="compute_ctl, neon-store and neon-local with a stock PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0 AND MIT AND PostgreSQL" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM ${COMPUTE_IMAGE} AS neon
USER root
COPY --from=build /out /opt/neon-local
RUN ln -sf /opt/neon-local/dist/compute_ctl.js /usr/local/bin/compute_ctl
USER postgres
STOPSIGNAL SIGTERM
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Neon compute node with neon-local's compute_ctl" \
      org.opencontainers.image.licenses="Apache-2.0 AND MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
