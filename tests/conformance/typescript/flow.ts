// The conformance flow in TypeScript: the query parameter `case` selects a case. The flows in the other languages have the same
// cases, in files of the same names.

import { flow } from "faas-flow";
import { calls } from "./calls.ts";
import { constructs } from "./constructs.ts";
import { contexts } from "./context.ts";
import { data } from "./data.ts";
import { failures } from "./failures.ts";

export default flow((workflow, context) => {
  const name = context.query("case");
  // The host asks for a definition without a request when it loads the module.
  if (name === undefined) return void workflow.dag.node("n");
  const define = { ...constructs, ...calls, ...contexts, ...failures, ...data }[name];
  if (define === undefined) throw new Error(`there is no case \`${name}\``);
  define(workflow.dag, workflow, context);
});
