import type * as plain from "./definition.js";
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
    repeat(id: string, again: string, most: number): {
        dag(): HostDag;
        wait(ms: number): void;
    };
    edge(from: string, to: string, carries: {
        tag: string;
        val?: string;
    }): void;
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
export declare function replay(definition: plain.Definition, host: HostWorkflow): void;
export {};
