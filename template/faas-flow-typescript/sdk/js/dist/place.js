// Where something happened in the author's code, found in the stack of an error.
//
// In a module all code is in one file, so what builds the module puts a table in front of it, from places there to places in the
// author's files. Natively the stack has the files themselves.
let table;
/** The place of the author's innermost call in a stack: `flow.ts:12:9`. */
export function placeIn(stack) {
    return frames(stack).find((frame) => frame.place !== undefined)?.place;
}
/** The author's part of a stack, one call per line, for the log. */
export function authorsStack(stack) {
    const known = frames(stack).filter((frame) => frame.place !== undefined);
    return known.map(({ name, place }) => `\n    at ${name === "" ? place : `${name} (${place})`}`).join("");
}
function frames(stack) {
    const found = [];
    for (const line of (stack ?? "").split("\n")) {
        const [, name, file, row, column] = /^\s*at (?:(.*?) \()?([^()]+?):(\d+):(\d+)\)?$/.exec(line) ?? [];
        if (file === undefined)
            continue;
        const place = globalThis.__faasFlowPlaces === undefined ? native(file, row, column) : inModule(Number(row), Number(column));
        found.push({ name: name === undefined || name === "<anonymous>" ? "" : name, place });
    }
    return found;
}
function inModule(row, column) {
    table ??= JSON.parse(globalThis.__faasFlowPlaces);
    const line = table.lines[row] ?? [];
    let at = -4;
    while (at + 4 < line.length && line[at + 4] < column)
        at += 4;
    if (at < 0 || line[at + 1] < 0)
        return undefined;
    return `${table.sources[line[at + 1]]}:${line[at + 2]}:${line[at + 3]}`;
}
const SDK = withoutScheme(import.meta.url ?? "").replace(/[^/]*$/, "");
function native(file, row, column) {
    const path = withoutScheme(file);
    if (path.startsWith("node:") || path.startsWith(SDK) || path === "native")
        return undefined;
    const folder = globalThis.process?.cwd();
    const short = folder !== undefined && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path;
    return `${short}:${row}:${column}`;
}
function withoutScheme(file) {
    return file.replace(/^file:\/\//, "");
}
