// Bundles a flow into one file of JavaScript, with a table from places in that file to places in the author's files.

import { build, formatMessages } from "esbuild";
import { resolve } from "node:path";
import { fileOf, ownPackage, PACKAGE } from "./package.mjs";

const ENTRY = "faas-flow:entry";
const INTERFACES = ["definition", "handlers", "recovery", "gathering", "timing", "repeating", "signalling", "limiting"];

/** The bundle of the flow that this file exports, and a function that finds the place in the author's files of one in the bundle. */
export async function bundle(file) {
  const entry = `import { exportsOf } from "faas-flow/component";
import * as flow from ${JSON.stringify(`./${file}`)};
export const { ${INTERFACES.join(", ")} } = exportsOf(flow["default"]);
`;
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: process.cwd(), sourcefile: ENTRY, loader: "js" },
    outfile: "flow.js",
    write: false,
    bundle: true,
    sourcemap: "external",
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    charset: "utf8",
    legalComments: "none",
    logLevel: "silent",
    logOverride: { "import-is-undefined": "silent" },
    external: ["faas-flow:*"],
    plugins: [ownPackage(({ path }) => (path === "faas-flow/testing" ? undefined : { path: fileOf(path) }))],
  }).catch(async (error) => {
    throw new Error((await formatMessages(error.errors, { kind: "error", color: process.stderr.isTTY })).join("\n").trim());
  });
  const [map, code] = ["flow.js.map", "flow.js"].map((name) => outputFiles.find(({ path }) => path.endsWith(name)).text);
  const table = places(JSON.parse(map));
  const source = `globalThis.__faasFlowPlaces = ${JSON.stringify(JSON.stringify(table))};\n${code}`;
  return { source, placeOf: (row, column) => placeIn(table, row, column) };
}

/** As `inModule` in src/place.ts. */
function placeIn({ sources, lines }, row, column) {
  const line = lines[row] ?? [];
  let at = -4;
  while (at + 4 < line.length && line[at + 4] < column) at += 4;
  return at < 0 || line[at + 1] < 0 ? undefined : `${sources[line[at + 1]]}:${line[at + 2]}:${line[at + 3]}`;
}

/** The table of src/place.ts: only the author's own files are in it, not those of packages. */
function places({ sources, mappings }) {
  const own = sources.map((source) => !source.endsWith(ENTRY) && !/(^|\/)node_modules\//.test(source) && !resolve(source).startsWith(PACKAGE));
  const kept = sources.filter((_, index) => own[index]);
  const lines = {};
  let state = [0, 0, 0];
  // The bundle begins in the line after that of the table.
  mappings.split(";").forEach((text, index) => {
    const line = [];
    for (const [column, source, row, place] of decoded(text)) {
      if (own[source]) line.push(column, kept.indexOf(sources[source]), row + 1, place + 1);
      else line.push(column, -1, 0, 0);
    }
    if (line.some((value, at) => at % 4 === 1 && value >= 0)) lines[index + 2] = line;
  });
  return { sources: kept, lines };

  // The numbers of a line are relative to those before, and all but the column go on over lines.
  function* decoded(text) {
    let column = 0;
    for (const segment of text.split(",")) {
      const [columns, ...rest] = vlq(segment);
      if (columns === undefined) continue;
      column += columns;
      if (rest.length < 3) continue;
      state = state.map((value, at) => value + rest[at]);
      yield [column, ...state];
    }
  }
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Decodes the numbers of a segment of a source map. */
function vlq(segment) {
  const numbers = [];
  let [number, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    number += (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    numbers.push(number & 1 ? -(number >> 1) : number >> 1);
    [number, shift] = [0, 0];
  }
  return numbers;
}
