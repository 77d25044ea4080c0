#!/usr/bin/env node
// Builds flows in TypeScript and JavaScript, and runs their tests.

import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { test } from "./test.mjs";

const USAGE = `Usage:
  faas-flow-typescript build [FILE] [--output MODULE] [--no-check]
  faas-flow-typescript test [FOLDER]

build  checks the types, if the folder has a tsconfig.json, and makes a module of the flow that FILE exports.
       FILE is flow.ts or flow.js unless given, and MODULE is flow.wasm.
test   runs *.test.ts and *.test.js in FOLDER with the test runner of Node.`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o", default: "flow.wasm" },
      "no-check": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [command, path, ...more] = positionals;
  if (values.help) console.log(USAGE);
  else if (command === "build" && more.length === 0) await build(path, { output: values.output, check: !values["no-check"] });
  else if (command === "test" && more.length === 0) process.exitCode = await test(path ?? ".");
  else throw new Error(`${command === undefined ? "a command is missing" : `no such command: ${positionals.join(" ")}`}\n\n${USAGE}`);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
