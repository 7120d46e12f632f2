# A first, plain image: the three programs on Debian with Node 24 and PostgreSQL binaries from npm.
#   docker build -t neon-local .
#   docker run --rm -p 55432:55432 -v neon-local:/var/lib/neon-local neon-local
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
RUN groupadd --system postgres && useradd --system --gid postgres --home-dir /var/lib/neon-local postgres \
 && install -d -o postgres -g postgres -m 0700 /var/lib/neon-local /var/db/postgres \
 && install -d -o postgres -g postgres -m 0750 /var/db/postgres/compute
COPY --from=build /build/node_modules /opt/neon-local/node_modules
COPY --from=build /build/dist /opt/neon-local/dist
COPY --from=build /build/specs /opt/neon-local/specs
COPY --from=build /build/package.json /opt/neon-local/package.json
COPY entrypoint.sh /usr/local/bin/entrypoint.sh
RUN ln -s /opt/neon-local/dist/compute_ctl.js /usr/local/bin/compute_ctl \
 && ln -s /opt/neon-local/dist/neon_store.js /usr/local/bin/neon-store \
 && ln -s /opt/neon-local/dist/neon_local.js /usr/local/bin/neon-local
USER postgres
ENV NEON_LOCAL_DIR=/var/lib/neon-local
VOLUME /var/lib/neon-local
EXPOSE 55432 3080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]
