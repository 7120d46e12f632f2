import { chmod, cp, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { locatePostgres } from "../../../src/postgres/locate.ts";
import { buildImage, IMAGES, podmanEnvironment } from "./containers.ts";
import { CACHE, debianRootfs } from "./rootfs.ts";

/**
 * Stand-ins for the images that Docker's registry has, made of Debian's packages, our own Node.js and npm, for machines that
 * cannot reach it. They are made once.
 */
export const DEBIAN_IMAGE = `${IMAGES}/debian`;
const NODE_IMAGE = `${IMAGES}/node`;
/** With the paths, the user and the entry point of a Neon compute image, and a stock PostgreSQL (contract: lifecycle.md 20.1). */
export const COMPUTE_IMAGE = `${IMAGES}/compute-node`;

export async function debianImage(): Promise<string> {
  if (await exists(DEBIAN_IMAGE)) return DEBIAN_IMAGE;
  const rootfs = await debianRootfs(["ca-certificates"]);
  const tar = execa("tar", ["-C", rootfs, "-c", "."], { encoding: "buffer", stdout: "pipe", buffer: false });
  await tar.pipe("podman", ["import", "-", DEBIAN_IMAGE], { env: await podmanEnvironment() });
  return DEBIAN_IMAGE;
}

export async function nodeImage(): Promise<string> {
  if (await exists(NODE_IMAGE)) return NODE_IMAGE;
  const context = await freshContext("node");
  const root = join(context, "root/usr/local");
  await mkdir(join(root, "bin"), { recursive: true });
  await cp(process.execPath, join(root, "bin/node"));
  await writeFile(join(root, "LICENSE"), "the licence of Node.js lies here in the image that this stands for\n");
  // The registry's certificate may be one that only this machine knows.
  const certificates = join(context, "root/etc/ssl/certs");
  await mkdir(certificates, { recursive: true });
  await cp("/etc/ssl/certs/ca-certificates.crt", join(certificates, "ca-certificates.crt"), { dereference: true });
  const npm = await execa("npm", ["root", "--global"], {
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    extendEnv: false,
  });
  await cp(join(npm.stdout.trim(), "npm"), join(root, "lib/node_modules/npm"), { recursive: true });
  await writeFile(
    join(context, "Dockerfile"),
    `FROM ${await debianImage()}
COPY root/ /
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
`,
  );
  await buildImage({ tag: NODE_IMAGE, context });
  return NODE_IMAGE;
}

export async function computeImage(): Promise<string> {
  if (await exists(COMPUTE_IMAGE)) return COMPUTE_IMAGE;
  const context = await freshContext("compute");
  // Not this machine's own, whose libraries the image has not got.
  const { binDir } = await locatePostgres({ major: 17, env: {}, systemRoot: "/nonexistent" });
  await cp(dirname(binDir), join(context, "local"), { recursive: true, verbatimSymlinks: true });
  const original = join(context, "compute_ctl");
  await writeFile(original, "#!/bin/sh\necho this is the original compute_ctl\nexit 101\n");
  await chmod(original, 0o755);
  await writeFile(
    join(context, "Dockerfile"),
    `FROM ${await debianImage()}
RUN apt-get update && apt-get install -y --no-install-recommends curl jq netcat-openbsd
RUN useradd --uid 1000 --home-dir /var/db/postgres --create-home postgres \\
 && install -d -o postgres -g postgres -m 0750 /var/db/postgres/compute /var/db/postgres/pgbouncer \\
 && install -d -o postgres -g postgres /var/db/postgres/specs /var/db/postgres/configs /etc/local_proxy \\
 && echo /usr/local/lib > /etc/ld.so.conf.d/00-neon.conf
COPY local/ /usr/local/
COPY compute_ctl /usr/local/bin/compute_ctl
RUN ldconfig
ENV LANG=C.UTF-8
USER postgres
ENTRYPOINT ["/usr/local/bin/compute_ctl"]
`,
  );
  await buildImage({ tag: COMPUTE_IMAGE, context });
  return COMPUTE_IMAGE;
}

async function exists(image: string): Promise<boolean> {
  const { exitCode } = await execa("podman", ["image", "exists", image], {
    reject: false,
    env: await podmanEnvironment(),
  });
  return exitCode === 0;
}

async function freshContext(name: string): Promise<string> {
  const context = join(CACHE, `context-${name}`);
  await rm(context, { recursive: true, force: true });
  await mkdir(context, { recursive: true });
  return context;
}
