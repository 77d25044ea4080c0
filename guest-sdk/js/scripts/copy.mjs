// Copies into the package what the repository has once: the contract and the licence.
import { copyFileSync, mkdirSync } from "node:fs";

const here = (path) => new URL(`../${path}`, import.meta.url);
mkdirSync(here("wit"), { recursive: true });
copyFileSync(here("../../wit/flow.wit"), here("wit/flow.wit"));
copyFileSync(here("../../LICENSE"), here("LICENSE"));
