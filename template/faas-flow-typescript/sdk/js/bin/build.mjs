import { componentize } from "componentize-qjs";
import { spawnSync } from "node:child_process";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundle } from "./bundle.mjs";

const WIT = fileURLToPath(new URL("../wit", import.meta.url));

/** Makes a module of a flow. */
export async function build(path, { output, check }) {
  const file = path ?? ["flow.ts", "flow.js"].find((name) => existsSync(name));
  if (file === undefined || !existsSync(file)) {
    throw new Error(`there is no ${file ?? "flow.ts or flow.js here"}: name the file that exports the flow`);
  }
  if (check) checkTypes();
  const { source, placeOf } = await bundle(relative(process.cwd(), file).replaceAll("\\", "/"));
  let component;
  try {
    ({ component } = await componentize({ witPath: WIT, world: "full-flow", jsSource: source, sync: true }));
  } catch (error) {
    throw new Error(reason(error.message, placeOf));
  }
  // Whoever watches the module sees all of it or nothing.
  writeFileSync(`${output}.partial`, component);
  renameSync(`${output}.partial`, output);
  console.error(`built ${output}: ${(component.length / 1e6).toFixed(1)} MB`);
}

/** Checks the types with the project's own TypeScript. */
function checkTypes() {
  if (!existsSync("tsconfig.json")) return;
  let compiler;
  try {
    const require = createRequire(pathToFileURL(join(process.cwd(), "flow.ts")));
    const manifest = require.resolve("typescript/package.json");
    compiler = join(dirname(manifest), require(manifest).bin.tsc);
  } catch {
    throw new Error("TypeScript is missing, which checks the types: run `npm install --save-dev typescript`, or build with --no-check");
  }
  const { status } = spawnSync(process.execPath, [compiler, "--noEmit", "--project", "."], { stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("the types do not fit");
}

/** What the author's code threw while it was loaded, without what the compiler puts around it. */
function reason(message, placeOf) {
  const [, thrown] = /module evaluation: (?:Error: )?([^]*)$/.exec(message) ?? [];
  if (thrown === undefined) return message;
  const lines = thrown.trimEnd().split("\n").map((line) => {
    const [frame, row, column] = / *at .*user\.js:(\d+):(\d+)\)?$/.exec(line) ?? [];
    if (frame === undefined) return line;
    const place = placeOf(Number(row), Number(column));
    return place === undefined ? undefined : `    at ${place}`;
  });
  return lines.filter((line) => line !== undefined).join("\n");
}
