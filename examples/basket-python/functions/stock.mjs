#!/usr/bin/env node
// Knows what things cost, in cents. Its input is JSON such as {"item":"hats","count":3}.
import { readFileSync } from "node:fs";

const cents = { hats: 1950, scarves: 1200 };
const { item } = JSON.parse(readFileSync(0, "utf8"));
if (item in cents) {
  process.stdout.write(`Content-Type: application/json\n\n${JSON.stringify({ item, cents: cents[item] })}`);
} else {
  process.stdout.write(`Status: 404\n\nthere are no ${item}`);
}
