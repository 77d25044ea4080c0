import { closure, text, whole } from "./check.js";
import { json } from "./data.js";
import { millis } from "./duration.js";
import { header } from "./http.js";
import { backoff, limit } from "./policy.js";
/** What adds the next operation to a node: a {@link Node} itself, and what its operations return. */
export class Operations {
    dag;
    id;
    operations;
    /** @internal */
    constructor(
    /** @internal */ dag, 
    /** @internal */ id, 
    /** @internal */ operations) {
        this.dag = dag;
        this.id = id;
        this.operations = operations;
    }
    /**
     * Adds a call of an OpenFaaS function. The name may be followed by a path: `func1` or `func1/path`.
     *
     * If the function is a flow, the call begins a run of it, and waits for the end of that run without holding anything: its
     * result is the response, and its failure that of the call. The same call, repeated, is the same run. It is stopped if this
     * run ends without it. At most 16 runs may be nested in this way.
     *
     * For a function that takes longer than a request may, see {@link Call.asynchronous}.
     */
    apply(name) {
        return this.call(text(name, "the name of a function"), "apply");
    }
    /** Adds a request to a URL, `http` or `https`. */
    request(url) {
        return this.call(text(url, "a URL"), "request");
    }
    /** Adds a call of the flow's own code. */
    modify(modifier) {
        return this.add({ modify: closure(modifier, `the modifier of node \`${this.id}\``) });
    }
    /**
     * Adds a call of the flow's own code that reads and writes JSON. Data that is not JSON is rejected, and what the closure
     * returns has the media type `application/json`. The type of its parameter is taken on trust ({@link Data.json}).
     *
     * ```ts
     * import { Dag } from "faas-flow";
     *
     * new Dag().node("sum").modifyJson((numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0));
     * ```
     */
    modifyJson(modifier) {
        const { run, stack } = closure(modifier, `the modifier of node \`${this.id}\``);
        return this.add({ modify: { run: (data) => json(run(data.json())), stack } });
    }
    /**
     * Adds a sleep: the data is passed on unchanged after this time, at most 366 days.
     *
     * A node that sleeps is stored, and nothing is held for it. Its {@link Node.timeout} does not count the sleep; the deadline
     * of the run does.
     *
     * ```ts
     * import { Dag } from "faas-flow";
     *
     * new Dag().node("reminder").sleep("2d").apply("send-mail");
     * ```
     */
    sleep(time) {
        return this.add({ sleep: millis(time, "a sleep") });
    }
    /**
     * Adds a sleep until a moment that a closure names for the data: one that it finds there, or a time from now. The flow's code
     * itself has no clock. A moment in the past does not sleep. One that is malformed, or more than 366 days away, fails the node.
     *
     * ```ts
     * import { Dag } from "faas-flow";
     *
     * const node = new Dag().node("ask-for-a-review");
     * node.sleepUntil((order) => ({ at: order.json<{ delivered: string }>().delivered })).apply("send-mail");
     * ```
     */
    sleepUntil(moment) {
        return this.add({ sleepUntil: closure(moment, `the closure of \`sleepUntil\` of node \`${this.id}\``) });
    }
    /**
     * Adds a wait for a signal: a named message that is sent to the run, with `POST /flow/ID/signal/NAME`,
     * `faas-flow signal`, or an address from {@link Context.signalUrl}. The body of the signal is the output.
     *
     * Each signal is received by one node: the one that has waited for it the longest. One that is sent before a node waits for
     * it is kept until one does. Nothing is held while the node waits. Its {@link Node.timeout} does not count the wait; the
     * deadline of the run does. If the node is tried again, it keeps the signal that it has.
     *
     * The name has 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
     */
    waitFor(signal) {
        return this.wait(text(signal, "the name of a signal"));
    }
    /**
     * Adds a wait as {@link Operations.waitFor} does, for the signal that a closure names for the data: so each item of a for-each
     * can wait for a signal of its own. A malformed name fails the node.
     *
     * ```ts
     * import { Dag } from "faas-flow";
     *
     * new Dag().node("signature").waitForNamed((person) => `signed-by-${person.text()}`);
     * ```
     */
    waitForNamed(name) {
        return this.wait(closure(name, `the closure of \`waitForNamed\` of node \`${this.id}\``));
    }
    call(target, kind) {
        const model = { target, headers: [], query: [], retryOn: [], asynchronous: false };
        this.operations.list.push(kind === "apply" ? { apply: model } : { request: model });
        return new Call(this.dag, this.id, this.operations, model);
    }
    wait(signal) {
        const model = { signal };
        this.operations.list.push({ waitFor: model });
        return new SignalWait(this.dag, this.id, this.operations, model);
    }
    add(operation) {
        this.operations.list.push(operation);
        return new Node(this.dag, this.id, this.operations);
    }
}
/**
 * A node that runs operations one after the other, each on the output of the one before. Made by {@link Dag.node}.
 *
 * ```ts
 * import { Dag } from "faas-flow";
 *
 * const node = new Dag().node("thumbnail");
 * node.apply("resize").query("width", "80").modify((image) => image);
 * node.retry({ attempts: 3 }).timeout("30s");
 * ```
 */
export class Node extends Operations {
    /** Merges the node's inputs, named by predecessor, before its first operation. The same as {@link Dag.inputAggregator}. */
    aggregator(aggregator) {
        this.dag.inputAggregator(this.id, aggregator);
        return this;
    }
    /**
     * Catches the failure of the node when its retries are exhausted. What the closure returns is the node's output. If it fails,
     * so does the node. The same as {@link Dag.recoverNode}.
     */
    recoverFrom(recover) {
        this.dag.recoverNode(this.id, recover);
        return this;
    }
    /**
     * Sets the retry policy of the node. When an operation has failed and its own retries are exhausted, the node is tried again
     * from its first operation. By default it is tried once.
     */
    retry(policy) {
        this.operations.retry = backoff(policy);
        return this;
    }
    /** Limits the time that one try of the whole node may take, at least 1 ms. */
    timeout(time) {
        this.operations.timeoutMs = millis(time, "a timeout");
        return this;
    }
    /**
     * Lets the node begin only with a permit of a limit over all runs. Each attempt holds one permit, from its first operation to
     * its end, with all sleeps and answers that come later.
     */
    limit(over) {
        this.operations.limit = limit(over);
        return this;
    }
}
/**
 * A call of a function or URL, made by {@link Operations.apply} or {@link Operations.request}: its options, and the node's next
 * operations.
 *
 * The body of the request is the data that reached the operation. The method is `POST` unless {@link Call.method} says otherwise.
 * The output is the body of the response, provided that its status is from 200 to 299.
 *
 * ```ts
 * import { Dag } from "faas-flow";
 *
 * new Dag()
 *   .node("quote")
 *   .apply("exchange-rates")
 *   .header("accept", "application/json")
 *   .retry({ attempts: 3 })
 *   .timeout("2s")
 *   .recover(() => "{}")
 *   .modify((rates) => rates);
 * ```
 */
export class Call extends Operations {
    model;
    /** @internal */
    constructor(dag, id, operations, model) {
        super(dag, id, operations);
        this.model = model;
    }
    /** Sets the HTTP method. */
    method(name) {
        this.model.method = text(name, "a method");
        return this;
    }
    /** Adds a header. The same name may be added several times. */
    header(name, value) {
        this.model.headers.push(header(name, value));
        return this;
    }
    /** Adds a query parameter. The host percent-encodes name and value. */
    query(name, value) {
        this.model.query.push([text(name, "the name of a parameter"), text(value, `the value of parameter \`${name}\``)]);
        return this;
    }
    /** Sets a closure that sees each request before it is sent, and may change it. It runs before every try. */
    prepare(prepare) {
        this.model.prepare = closure(prepare, `the closure of \`prepare\` of node \`${this.id}\``);
        return this;
    }
    /**
     * Sets a closure that turns the response, whatever its status, into data.
     *
     * With it no status is a failure by itself, so none is retried. To retry, the closure throws what {@link retry} returns, and
     * the policy of {@link Call.retry} applies. {@link Call.retryOn} has no effect.
     */
    receive(receive) {
        this.model.receive = closure(receive, `the closure of \`receive\` of node \`${this.id}\``);
        return this;
    }
    /**
     * Sets a closure that gets the message of the call's failure when its retries are exhausted, and turns it into data to
     * continue with, or into another failure.
     */
    recover(recover) {
        this.model.recover = closure(recover, `the closure of \`recover\` of node \`${this.id}\``);
        return this;
    }
    /**
     * Sets a closure that gets the call's failure when its retries are exhausted, with the data of the operation and the body of
     * the response, and turns it into data to continue with, or into another failure. It has no effect beside {@link Call.recover}.
     */
    recoverFrom(recover) {
        this.model.recoverFrom = closure(recover, `the closure of \`recoverFrom\` of node \`${this.id}\``);
        return this;
    }
    /**
     * Sets the retry policy of this call. By default it is tried once.
     *
     * The call is tried again after connection errors, timeouts, and a closure's {@link retry}. Unless {@link Call.receive}
     * handles the responses, it is also tried again after the statuses 408, 429 and 5xx, or after those of {@link Call.retryOn}
     * instead.
     */
    retry(policy) {
        this.model.retry = backoff(policy);
        return this;
    }
    /**
     * Sets the response statuses, from 100 to 599, after which {@link Call.retry} tries again. They replace the default of 408,
     * 429 and 5xx. Without any, the default stays.
     */
    retryOn(...statuses) {
        this.model.retryOn = statuses.map((status) => whole(status, "a status", 0xffff));
        return this;
    }
    /** Limits the time that one try of this call may take, at least 1 ms. */
    timeout(time) {
        this.model.timeoutMs = millis(time, "a timeout");
        return this;
    }
    /**
     * Calls the function through the queue of OpenFaaS, and waits for its answer without holding anything: the function may take
     * hours, and the node continues when the answer comes. Only for functions, and for `POST`.
     *
     * All other settings of this call keep their meaning: the answer, whatever its status, is the response, and
     * {@link Call.timeout} limits the time from the call to the answer.
     *
     * ```ts
     * import { Dag } from "faas-flow";
     *
     * new Dag().node("train").apply("train-model").asynchronous().timeout("6h");
     * ```
     */
    asynchronous() {
        this.model.asynchronous = true;
        return this;
    }
    /**
     * Lets each try of this call begin only with a permit of a limit over all runs. A call of a flow and an asynchronous call hold
     * their permit until the answer comes.
     */
    limit(over) {
        this.model.limit = limit(over);
        return this;
    }
    /** Merges the inputs of the node: see {@link Node.aggregator}. */
    aggregator(aggregator) {
        return new Node(this.dag, this.id, this.operations).aggregator(aggregator);
    }
}
/**
 * A wait for a signal, made by {@link Operations.waitFor}: its options, and the node's next operations. The output is the body of
 * the signal.
 *
 * ```ts
 * import { Dag, json } from "faas-flow";
 *
 * new Dag()
 *   .node("approval")
 *   .waitFor("approval")
 *   .timeout("2d")
 *   .recoverFrom(() => json({ decision: "reject", comment: "nobody has answered" }))
 *   .apply("store-decision");
 * ```
 */
export class SignalWait extends Operations {
    model;
    /** @internal */
    constructor(dag, id, operations, model) {
        super(dag, id, operations);
        this.model = model;
    }
    /**
     * Limits how long the node waits, from 1 ms to 366 days. By default it waits as long as the run may take. If no signal comes in
     * time, the operation fails.
     */
    timeout(time) {
        this.model.timeoutMs = millis(time, "a timeout");
        return this;
    }
    /**
     * Sets a closure that gets the failure if no signal comes in time, with the data of the operation, and turns it into data to
     * continue with, or into another failure.
     */
    recoverFrom(recover) {
        this.model.recoverFrom = closure(recover, `the closure of \`recoverFrom\` of node \`${this.id}\``);
        return this;
    }
}
