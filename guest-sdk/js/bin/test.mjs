import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { fileOf, ownPackage } from "./package.mjs";

const TEST = /\.test\.[cm]?[jt]s$/;

/** Runs the tests in a folder, and returns the exit status. Node runs JavaScript, so each test is bundled with what it imports. */
export async function test(folder) {
  const files = statSync(folder).isFile() ? [folder] : found(folder);
  if (files.length === 0) throw new Error(`there are no tests in ${resolve(folder)}: their names end with .test.ts or .test.js`);
  // Below `node_modules`, where Node finds the packages that tests import.
  const outdir = join("node_modules", ".cache", "faas-flow");
  rmSync(outdir, { recursive: true, force: true });
  await build({
    entryPoints: files,
    outdir,
    outbase: ".",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    packages: "external",
    plugins: [ownPackage(({ path }) => ({ path: pathToFileURL(fileOf(path)).href, external: true }))],
    sourcemap: "inline",
    format: "esm",
    platform: "node",
    target: "es2023",
  });
  const bundles = files.map((file) => join(outdir, file.replace(/\.[cm]?[jt]s$/, ".mjs")));
  return spawnSync(process.execPath, ["--enable-source-maps", "--test", ...bundles], { stdio: "inherit" }).status ?? 1;
}

function found(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : found(path);
    return TEST.test(entry.name) ? [path] : [];
  });
}
