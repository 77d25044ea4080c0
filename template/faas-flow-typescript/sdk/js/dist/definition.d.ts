export interface Definition {
    dag: Dag;
    handlers?: string[];
    "on-failure"?: string;
    finally?: string;
    "deadline-ms"?: number;
    "on-exhausted"?: "pause";
    schedules?: Schedule[];
}
export interface Schedule {
    name: string;
    when: string;
    "time-zone"?: string;
    missed: "skip" | "one" | "all";
    overlap: "skip" | "allow" | "queue" | "replace";
    input?: {
        body: string | number[];
        "media-type"?: string;
    };
}
export interface Dag {
    nodes: Node[];
    edges?: Edge[];
    "aggregate-inputs"?: {
        node: string;
        aggregator: string;
    }[];
    "aggregate-ends"?: string;
    "recover-nodes"?: {
        node: string;
        recover: string;
    }[];
    recover?: string;
}
export interface Edge {
    from: string;
    to: string;
    carries?: "nothing" | {
        forwarded: string;
    };
}
export interface Node {
    id: string;
    operations?: Operations;
    "sub-dag"?: Dag;
    condition?: Branches;
    "for-each"?: Branches;
    repeat?: Repeat;
}
export interface Operations {
    list: Operation[];
    retry?: Backoff;
    "timeout-ms"?: number;
    limit?: Limit;
}
export type Operation = {
    apply: Call;
} | {
    request: Call;
} | {
    modify: string;
} | {
    sleep: number;
} | {
    "sleep-until": string;
} | {
    "wait-for": WaitFor;
};
export interface Call {
    target: string;
    method?: string;
    headers?: (readonly [string, string])[];
    query?: [string, string][];
    prepare?: string;
    receive?: string;
    recover?: string;
    "recover-from"?: string;
    retry?: Backoff;
    "retry-on"?: number[];
    "timeout-ms"?: number;
    asynchronous?: true;
    limit?: Limit;
}
export interface WaitFor {
    signal: {
        named: string;
    } | {
        handler: string;
    };
    "timeout-ms"?: number;
    "recover-from"?: string;
}
export interface Backoff {
    attempts: number;
    "first-delay-ms": number;
    factor: number;
    "max-delay-ms": number;
}
export interface Limit {
    name: string;
    concurrent?: number;
    "per-second"?: number;
    key?: string;
}
export interface Branches {
    handler: string;
    dags: {
        key: string;
        dag: Dag;
    }[];
    aggregator?: string;
    "carries-nothing"?: true;
    "max-parallel"?: number;
    tolerate?: {
        items: number;
    } | {
        share: number;
    };
    gather?: string;
}
export interface Repeat {
    handler: string;
    dag: Dag;
    most: number;
    "wait-ms"?: number;
}
