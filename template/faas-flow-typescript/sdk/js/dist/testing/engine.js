import { Data } from "../data.js";
import { encode } from "../record.js";
import { NOTHING } from "./attempt.js";
import { Failing, Mistake } from "./failing.js";
import { OperationsOfNodes } from "./operations.js";
/** The rules by which a flow runs, as docs/concepts.md states them, for one node after the other. @internal */
export class Engine extends OperationsOfNodes {
    ran = [];
    dag(dag, scope, input) {
        const { response } = this.fake;
        try {
            return this.nodes(dag, scope, input);
        }
        catch (failing) {
            if (!(failing instanceof Failing) || failing.level === "run" || dag.recover === undefined)
                throw failing;
            this.withdraw(response);
            return this.caught(dag.recover, `${scope}(recover)`, failing);
        }
    }
    /** Drops the status and headers that what does not go on has set. */
    withdraw(before) {
        if (this.fake.response !== before)
            this.fake.response = undefined;
    }
    nodes(dag, scope, input) {
        const incoming = edgesTo(dag, scope);
        const begun = this.now;
        const outputs = new Map();
        const ended = new Map();
        const begins = ({ id }) => {
            const ends = incoming.get(id).map(({ from }) => ended.get(from));
            return ended.has(id) || ends.includes(undefined) ? undefined : Math.max(begun, ...ends);
        };
        while (ended.size < dag.nodes.length) {
            let next;
            let at = Infinity;
            for (const node of dag.nodes) {
                const begin = begins(node);
                if (begin !== undefined && begin < at)
                    [next, at] = [node, begin];
            }
            if (!next)
                throw new Mistake(`nodes of ${dagOf(scope)} wait for each other; ${ALL}`);
            this.now = at;
            outputs.set(next.id, this.node(dag, scope, next, incoming.get(next.id), outputs, input));
            ended.set(next.id, this.now);
        }
        this.now = Math.max(...ended.values());
        const ends = dag.nodes.filter(({ id }) => !dag.edges?.some(({ from }) => from === id)).map(({ id }) => id);
        const merger = dag["aggregate-ends"];
        if (merger !== undefined) {
            return this.attempt(`${scope}(end)`, () => this.aggregate(merger, ends.map((id) => [id, outputs.get(id)])));
        }
        return ends.length === 1 ? outputs.get(ends[0]) : NOTHING;
    }
    node(dag, scope, node, incoming, outputs, input) {
        const path = scope + node.id;
        const { response } = this.fake;
        this.ran.push(path);
        const aggregator = dag["aggregate-inputs"]?.find((entry) => entry.node === node.id)?.aggregator;
        try {
            const value = this.kind(path, node, () => this.gather(incoming, outputs, aggregator, input));
            const passesOn = node.operations?.list.length === 0;
            return passesOn ? value : { ...value, isRequest: false };
        }
        catch (failing) {
            const recover = dag["recover-nodes"]?.find((entry) => entry.node === node.id)?.recover;
            if (!(failing instanceof Failing) || failing.level === "run" || recover === undefined)
                throw failing;
            if (!node.operations)
                this.withdraw(response);
            return this.caught(recover, path, failing);
        }
    }
    kind(path, node, gather) {
        if (node.operations)
            return this.operations(path, node.operations, gather);
        if (node["sub-dag"])
            return this.dag(node["sub-dag"], `${path}/`, this.attempt(path, gather));
        if (node.condition)
            return this.condition(path, node.condition, gather);
        if (node["for-each"])
            return this.forEach(path, node["for-each"], gather);
        return this.repeat(path, node.repeat, gather);
    }
    /** What a node gets: the outputs of those before it, as forwarders rewrite them and an aggregator merges them. */
    gather(incoming, outputs, aggregator, input) {
        const inputs = incoming.length === 0 ? [["", input]] : [];
        for (const { from, carries } of incoming) {
            const output = outputs.get(from);
            if (carries === undefined)
                inputs.push([from, output]);
            else if (carries !== "nothing") {
                inputs.push([from, this.data(output, (data) => this.flow.forward(carries.forwarded, data))]);
            }
        }
        this.fake.current = {
            ...this.fake.current,
            inputs: inputs.map(([name, { bytes }]) => [name, bytes]),
            contentTypes: inputs.map(([, { mediaType }]) => mediaType),
        };
        if (aggregator !== undefined)
            return this.aggregate(aggregator, inputs);
        if (inputs.length !== 1)
            return NOTHING;
        const [[, value]] = inputs;
        this.own.ofRequest = value.isRequest ?? false;
        return value;
    }
    caught(id, path, failing) {
        return this.attempt(path, () => this.recoverFrom(id, failing));
    }
    condition(path, condition, gather) {
        const branches = this.attempt(path, () => {
            const value = gather();
            const keys = this.plain(value, (data) => this.flow.condition(condition.handler, data));
            return chosen(path, condition, keys, value);
        });
        const ended = this.branches(path, condition, branches, 0);
        const [only] = ended;
        if (condition.aggregator === undefined && ended.length === 1 && only)
            return only.value;
        return this.merge(path, condition, ended);
    }
    forEach(path, forEach, gather) {
        const branches = this.attempt(path, () => {
            const value = gather();
            const items = this.plain(value, (data) => this.flow.forEach(forEach.handler, data));
            const mediaType = this.fake.returnedContentType;
            const known = new Set();
            const wrong = (code, message) => new Failing(code, "other", path, `handler \`${forEach.handler}\` ${message}`).with({ input: value.bytes });
            return items.map(([key, { bytes }]) => {
                const { length } = new TextEncoder().encode(key);
                if (length < 1 || length > 128)
                    throw wrong("FF0118", `yielded an item whose key has ${length} bytes, not 1 to 128`);
                if (known.has(key))
                    throw wrong("FF0203", `yielded two items with the key \`${key}\`: make keys unique`);
                known.add(key);
                return { key, dag: forEach.dags[0].dag, input: { bytes, mediaType } };
            });
        });
        if (branches.length === 0)
            return NOTHING;
        const tolerate = forEach.tolerate ?? { items: 0 };
        const tolerated = "items" in tolerate ? tolerate.items : Math.floor(tolerate.share * branches.length + 1e-6);
        return this.merge(path, forEach, this.branches(path, forEach, branches, tolerated));
    }
    /**
     * Executes branches one after the other. Their times are those at which they would run at the same time, as many as may.
     */
    branches(path, model, branches, tolerated) {
        const begun = this.now;
        const most = model["max-parallel"] ?? Infinity;
        const busy = [];
        const ends = [];
        const all = branches.map(({ key, dag, input }) => {
            this.now = busy.length < most ? begun : Math.min(...busy);
            if (busy.length >= most)
                busy.splice(busy.indexOf(this.now), 1);
            const { response } = this.fake;
            const ended = { key, value: NOTHING, failed: undefined };
            try {
                const value = this.dag(dag, `${path}[${encode(key)}]/`, model["carries-nothing"] ? NOTHING : input);
                if (!model["carries-nothing"])
                    ended.value = value;
            }
            catch (failing) {
                if (!(failing instanceof Failing) || failing.level === "run" || tolerated === 0)
                    throw failing;
                tolerated--;
                this.withdraw(response);
                ended.failed = failing.ofItem;
            }
            busy.push(this.now);
            ends.push(this.now);
            return ended;
        });
        this.now = ends.reduce((latest, end) => Math.max(latest, end), begun);
        return all;
    }
    /** Merges the results of branches. */
    merge(path, { gather, aggregator }, ended) {
        if (gather !== undefined) {
            const items = ended.map(({ key, value, failed }) => failed ? { key, failed } : { key, result: new Data(value.bytes) });
            return this.attempt(path, () => this.data(NOTHING, () => this.flow.gather(gather, items)));
        }
        if (aggregator === undefined)
            return NOTHING;
        const results = ended.filter(({ failed }) => !failed).map(({ key, value }) => [key, value]);
        return this.attempt(path, () => this.aggregate(aggregator, results));
    }
    repeat(path, repeat, gather) {
        let value = this.attempt(path, gather);
        for (let round = 1;; round++) {
            value = this.dag(repeat.dag, `${path}[${round}]/`, value);
            const goesOn = this.attempt(path, () => {
                const again = this.plain(value, (data) => this.flow.again(repeat.handler, data, round));
                if (again && round >= repeat.most) {
                    const advice = "but there may be no more: raise the limit, or end the repeat earlier";
                    throw new Failing("FF0262", "other", path, `\`${repeat.handler}\` wants another round after ${repeat.most}, ${advice}`);
                }
                if (again)
                    this.pass(repeat["wait-ms"] ?? 0);
                return again;
            });
            if (!goesOn)
                return value;
        }
    }
}
/** The branches that a condition has chosen. */
function chosen(path, condition, keys, input) {
    const wrong = (code, message) => new Failing(code, "other", path, `handler \`${condition.handler}\` ${message}`).with({ input: input.bytes });
    if (keys.length === 0)
        throw wrong("FF0202", "chose no branch: choose at least one; it may be an empty one");
    return keys.map((key, index) => {
        const branch = condition.dags.find((one) => one.key === key);
        if (!branch) {
            throw wrong("FF0201", `chose \`${key}\`, but the branches are ${condition.dags.map((one) => one.key).join(", ")}`);
        }
        if (keys.indexOf(key) < index)
            throw wrong("FF0203", `chose the branch \`${key}\` twice`);
        return { key, dag: branch.dag, input };
    });
}
const ALL = "`faas-flow check` reports all problems of the flow";
function dagOf(scope) {
    return scope === "" ? "the flow" : `the dag of \`${scope.replace(/\/$/, "")}\``;
}
/** The edges that lead to each node. A dag that the host would not accept has no run. */
function edgesTo(dag, scope) {
    const incoming = new Map();
    for (const { id } of dag.nodes) {
        if (incoming.has(id))
            throw new Mistake(`${dagOf(scope)} has two nodes \`${id}\`; ${ALL}`);
        incoming.set(id, []);
    }
    for (const edge of dag.edges ?? []) {
        for (const id of [edge.from, edge.to]) {
            if (incoming.has(id))
                continue;
            throw new Mistake(`${dagOf(scope)} has an edge from \`${edge.from}\` to \`${edge.to}\`, but no node \`${id}\`; ${ALL}`);
        }
        incoming.get(edge.to).push(edge);
    }
    const starts = [...incoming].filter(([, edges]) => edges.length === 0).map(([id]) => id);
    if (incoming.size === 0)
        throw new Mistake(`${dagOf(scope)} has no nodes; ${ALL}`);
    if (starts.length === 0)
        throw new Mistake(`the nodes of ${dagOf(scope)} wait for each other; ${ALL}`);
    if (starts.length > 1) {
        throw new Mistake(`${dagOf(scope)} has several starts, \`${starts.join("`, `")}\`: add edges, so that there is one; ${ALL}`);
    }
    return incoming;
}
/** The names of the signals for which a dag waits. A closure that chooses names is `undefined`. @internal */
export function awaited(dag) {
    return dag.nodes.flatMap((node) => {
        if (node.operations) {
            return node.operations.list.flatMap((operation) => {
                if (!("wait-for" in operation))
                    return [];
                const { signal } = operation["wait-for"];
                return ["named" in signal ? signal.named : undefined];
            });
        }
        const branches = (node.condition ?? node["for-each"])?.dags.map((branch) => branch.dag) ?? [];
        const inner = [node["sub-dag"], node.repeat?.dag, ...branches];
        return inner.flatMap((one) => (one ? awaited(one) : []));
    });
}
