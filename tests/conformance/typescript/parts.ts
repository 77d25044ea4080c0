// What several cases use.

import { concat, reject, type Context, type Dag, type Data, type Failed, type Inputs, type Output, type Workflow } from "faas-flow";

/** Cases by their names. */
export type Cases = Record<string, (dag: Dag, workflow: Workflow, context: Context) => void>;

/** Adds a text to the data. */
export const add = (text: string) => (data: Data): Output => concat([data, text]);

/** `[a=1, b=2]` */
export function join(inputs: Inputs): Output {
  return concat(["[", ...[...inputs].flatMap(([name, data], at) => [at > 0 ? ", " : "", name, "=", data]), "]"]);
}

/** An item for each word, with the word as its key. */
export const words = (data: Data): [string, string][] => data.text().split(" ").map((word) => [word, word]);

/** Rejects the data. */
export function refuse(data: Data): Output {
  throw reject(`no ${data.text()}`);
}

/** Rejects data that begins with `bad`. */
export const picky = (data: Data): Output => (data.text().startsWith("bad") ? refuse(data) : data);

/** All that is known of a failure. */
export function shown({ code, kind, path, tries, status, input, body, message }: Failed): string {
  const facts = `tries ${tries}, status ${status ?? "none"}, input ${input.text()}, body ${body?.text() ?? "none"}`;
  return `${code} ${kind} at ${path}, ${facts}: ${message}`;
}
