// Whatever a flow or a test imports as `faas-flow` is this package, so that the SDK and its compiler belong together.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The folder of this package. */
export const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

const { exports } = JSON.parse(readFileSync(`${PACKAGE}package.json`, "utf8"));

/** The file of one of this package's modules. */
export function fileOf(module) {
  const entry = exports[module.replace("faas-flow", ".")];
  return entry && PACKAGE + (entry.default ?? entry).slice(2);
}

/** A plugin of esbuild that resolves the imports of this package. */
export function ownPackage(resolve) {
  return {
    name: "faas-flow",
    setup({ onResolve }) {
      onResolve({ filter: /^faas-flow(\/|$)/ }, (imported) => {
        const resolved = fileOf(imported.path) && resolve(imported);
        return resolved ?? { errors: [{ text: `"${imported.path}" cannot be imported here` }] };
      });
    },
  };
}
