// Replays a recorded definition into the host's builder, in the order in which the SDK for Rust does.

import type * as plain from "./definition.js";
import { bytesOf } from "./data.js";

/** The workflow of the contract's interface `builder`. What its methods return is typed where it is used. */
export interface HostWorkflow {
  dag(): HostDag;
  handlers(ids: string[]): void;
  onFailure(recover: string): void;
  finally(handler: string): void;
  deadline(ms: number): void;
  onExhausted(then: string): void;
  schedule(name: string, when: string): {
    timeZone(name: string): void;
    missed(then: string): void;
    overlap(then: string): void;
    input(body: Uint8Array, mediaType: string): void;
  };
}

interface HostDag {
  node(id: string): HostNode;
  subDag(id: string): HostDag;
  condition(id: string, choose: string): HostBranches;
  forEach(id: string, split: string): HostBranches;
  repeat(id: string, again: string, most: number): { dag(): HostDag; wait(ms: number): void };
  edge(from: string, to: string, carries: { tag: string; val?: string }): void;
  aggregateInputs(node: string, aggregator: string): void;
  aggregateEnds(aggregator: string): void;
  recoverNode(node: string, recover: string): void;
  recover(recover: string): void;
}

interface HostNode {
  apply(name: string): HostCall;
  request(url: string): HostCall;
  modify(modifier: string): void;
  sleep(ms: number): void;
  sleepUntil(moment: string): void;
  waitFor(signal: string): HostWait;
  waitForNamed(name: string): HostWait;
  retry(policy: object): void;
  timeout(ms: number): void;
  limit(name: string): HostLimit;
}

interface HostWait {
  timeout(ms: number): void;
  recoverFrom(recover: string): void;
}

interface HostLimit {
  concurrent(count: number): void;
  perSecond(rate: number): void;
  key(key: string): void;
}

interface HostCall {
  method(name: string): void;
  header(name: string, value: string): void;
  query(name: string, value: string): void;
  prepare(prepare: string): void;
  receive(receive: string): void;
  recover(recover: string): void;
  recoverFrom(recover: string): void;
  retry(policy: object): void;
  retryOn(statuses: number[]): void;
  timeout(ms: number): void;
  asynchronous(): void;
  limit(name: string): HostLimit;
}

interface HostBranches {
  branch(key: string): HostDag;
  each(): HostDag;
  aggregate(aggregator: string): void;
  carriesNothing(): void;
  maxParallel(count: number): void;
  tolerate(items: number): void;
  tolerateShare(share: number): void;
  gather(gather: string): void;
}

/** Describes the flow to the host. */
export function replay(definition: plain.Definition, host: HostWorkflow): void {
  host.handlers(definition.handlers ?? []);
  if (definition["on-failure"] !== undefined) host.onFailure(definition["on-failure"]);
  if (definition.finally !== undefined) host.finally(definition.finally);
  if (definition["deadline-ms"] !== undefined) host.deadline(definition["deadline-ms"]);
  if (definition["on-exhausted"] !== undefined) host.onExhausted(definition["on-exhausted"]);
  for (const schedule of definition.schedules ?? []) {
    const to = host.schedule(schedule.name, schedule.when);
    if (schedule["time-zone"] !== undefined) to.timeZone(schedule["time-zone"]);
    to.missed(schedule.missed);
    to.overlap(schedule.overlap);
    if (schedule.input) {
      const { body } = schedule.input;
      to.input(typeof body === "string" ? bytesOf(body) : Uint8Array.from(body), schedule.input["media-type"] ?? "");
    }
  }
  replayDag(definition.dag, host.dag());
}

function replayDag(dag: plain.Dag, host: HostDag): void {
  for (const node of dag.nodes) replayNode(node, host);
  for (const { from, to, carries } of dag.edges ?? []) {
    if (typeof carries === "object") host.edge(from, to, { tag: "forwarded", val: carries.forwarded });
    else host.edge(from, to, { tag: carries ?? "output" });
  }
  for (const { node, aggregator } of dag["aggregate-inputs"] ?? []) host.aggregateInputs(node, aggregator);
  if (dag["aggregate-ends"] !== undefined) host.aggregateEnds(dag["aggregate-ends"]);
  for (const { node, recover } of dag["recover-nodes"] ?? []) host.recoverNode(node, recover);
  if (dag.recover !== undefined) host.recover(dag.recover);
}

function replayNode(node: plain.Node, host: HostDag): void {
  if (node.operations) replayOperations(node.operations, host.node(node.id));
  if (node["sub-dag"]) replayDag(node["sub-dag"], host.subDag(node.id));
  if (node.condition) {
    const to = host.condition(node.id, node.condition.handler);
    for (const { key, dag } of node.condition.dags) replayDag(dag, to.branch(key));
    replayBranches(node.condition, to);
  }
  if (node["for-each"]) {
    const to = host.forEach(node.id, node["for-each"].handler);
    for (const { dag } of node["for-each"].dags) replayDag(dag, to.each());
    replayBranches(node["for-each"], to);
  }
  if (node.repeat) {
    const to = host.repeat(node.id, node.repeat.handler, node.repeat.most);
    replayDag(node.repeat.dag, to.dag());
    if (node.repeat["wait-ms"] !== undefined) to.wait(node.repeat["wait-ms"]);
  }
}

function replayOperations(operations: plain.Operations, host: HostNode): void {
  for (const operation of operations.list) {
    if ("apply" in operation) replayCall(operation.apply, host.apply(operation.apply.target));
    else if ("request" in operation) replayCall(operation.request, host.request(operation.request.target));
    else if ("modify" in operation) host.modify(operation.modify);
    else if ("sleep" in operation) host.sleep(operation.sleep);
    else if ("sleep-until" in operation) host.sleepUntil(operation["sleep-until"]);
    else {
      const wait = operation["wait-for"];
      const to = "named" in wait.signal ? host.waitFor(wait.signal.named) : host.waitForNamed(wait.signal.handler);
      if (wait["timeout-ms"] !== undefined) to.timeout(wait["timeout-ms"]);
      if (wait["recover-from"] !== undefined) to.recoverFrom(wait["recover-from"]);
    }
  }
  if (operations.retry) host.retry(backoff(operations.retry));
  if (operations["timeout-ms"] !== undefined) host.timeout(operations["timeout-ms"]);
  if (operations.limit) replayLimit(operations.limit, host.limit(operations.limit.name));
}

function replayCall(call: plain.Call, host: HostCall): void {
  if (call.method !== undefined) host.method(call.method);
  for (const [name, value] of call.headers ?? []) host.header(name, value);
  for (const [name, value] of call.query ?? []) host.query(name, value);
  if (call.prepare !== undefined) host.prepare(call.prepare);
  if (call.receive !== undefined) host.receive(call.receive);
  if (call.recover !== undefined) host.recover(call.recover);
  if (call["recover-from"] !== undefined) host.recoverFrom(call["recover-from"]);
  if (call.retry) host.retry(backoff(call.retry));
  if (call["retry-on"]) host.retryOn(call["retry-on"]);
  if (call["timeout-ms"] !== undefined) host.timeout(call["timeout-ms"]);
  if (call.asynchronous) host.asynchronous();
  if (call.limit) replayLimit(call.limit, host.limit(call.limit.name));
}

function replayLimit(limit: plain.Limit, host: HostLimit): void {
  if (limit.concurrent !== undefined) host.concurrent(limit.concurrent);
  if (limit["per-second"] !== undefined) host.perSecond(limit["per-second"]);
  if (limit.key !== undefined) host.key(limit.key);
}

function replayBranches(branches: plain.Branches, host: HostBranches): void {
  if (branches.aggregator !== undefined) host.aggregate(branches.aggregator);
  if (branches["carries-nothing"]) host.carriesNothing();
  if (branches["max-parallel"] !== undefined) host.maxParallel(branches["max-parallel"]);
  const { tolerate } = branches;
  if (tolerate && "items" in tolerate) host.tolerate(tolerate.items);
  if (tolerate && "share" in tolerate) host.tolerateShare(tolerate.share);
  if (branches.gather !== undefined) host.gather(branches.gather);
}

function backoff(policy: plain.Backoff): object {
  return {
    attempts: policy.attempts,
    firstDelayMs: policy["first-delay-ms"],
    factor: policy.factor,
    maxDelayMs: policy["max-delay-ms"],
  };
}
