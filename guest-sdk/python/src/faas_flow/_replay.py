"""Replays a recorded definition into the builder that the host offers to a component."""

from __future__ import annotations

from wit_world.imports import builder, types

from ._record import Json


def workflow(host: builder.Workflow, definition: Json) -> None:
    host.handlers(definition.get("handlers", []))
    if "on-failure" in definition:
        host.on_failure(definition["on-failure"])
    if "finally" in definition:
        host.finally_(definition["finally"])
    if "deadline-ms" in definition:
        host.deadline(definition["deadline-ms"])
    if "on-exhausted" in definition:
        host.on_exhausted(types.Exhausted.PAUSE)
    for schedule in definition.get("schedules", []):
        _schedule(host, schedule)
    _dag(host.dag(), definition["dag"])


def _schedule(workflow: builder.Workflow, schedule: Json) -> None:
    host = workflow.schedule(schedule["name"], schedule["when"])
    if "time-zone" in schedule:
        host.time_zone(schedule["time-zone"])
    host.missed(types.Missed[schedule["missed"].upper()])
    host.overlap(types.Overlap[schedule["overlap"].upper()])
    if "input" in schedule:
        body = schedule["input"]["body"]
        host.input(body.encode() if isinstance(body, str) else bytes(body), schedule["input"].get("media-type", ""))


def _dag(host: builder.Dag, dag: Json) -> None:
    for node in dag["nodes"]:
        _node(host, node)
    for edge in dag.get("edges", []):
        match edge.get("carries"):
            case None:
                carries: types.Carries = types.Carries_Output()
            case "nothing":
                carries = types.Carries_Nothing()
            case forwarded:
                carries = types.Carries_Forwarded(forwarded["forwarded"])
        host.edge(edge["from"], edge["to"], carries)
    for inputs in dag.get("aggregate-inputs", []):
        host.aggregate_inputs(inputs["node"], inputs["aggregator"])
    if "aggregate-ends" in dag:
        host.aggregate_ends(dag["aggregate-ends"])
    for node in dag.get("recover-nodes", []):
        host.recover_node(node["node"], node["recover"])
    if "recover" in dag:
        host.recover(dag["recover"])


def _node(dag: builder.Dag, node: Json) -> None:
    id = node["id"]
    if "operations" in node:
        _operations(dag.node(id), node["operations"])
    elif "sub-dag" in node:
        _dag(dag.sub_dag(id), node["sub-dag"])
    elif "condition" in node:
        branches = dag.condition(id, node["condition"]["handler"])
        for branch in node["condition"]["dags"]:
            _dag(branches.branch(branch["key"]), branch["dag"])
        _branches(branches, node["condition"])
    elif "for-each" in node:
        branches = dag.for_each(id, node["for-each"]["handler"])
        _dag(branches.each(), node["for-each"]["dags"][0]["dag"])
        _branches(branches, node["for-each"])
    else:
        repeat = node["repeat"]
        repeated = dag.repeat(id, repeat["handler"], repeat["most"])
        _dag(repeated.dag(), repeat["dag"])
        if "wait-ms" in repeat:
            repeated.wait(repeat["wait-ms"])


def _branches(host: builder.Branches, branches: Json) -> None:
    if "aggregator" in branches:
        host.aggregate(branches["aggregator"])
    if "carries-nothing" in branches:
        host.carries_nothing()
    if "max-parallel" in branches:
        host.max_parallel(branches["max-parallel"])
    match branches.get("tolerate"):
        case {"items": items}:
            host.tolerate(items)
        case {"share": share}:
            host.tolerate_share(share)
    if "gather" in branches:
        host.gather(branches["gather"])


def _operations(host: builder.Node, operations: Json) -> None:
    for operation in operations["list"]:
        match operation:
            case {"apply": call}:
                _call(host.apply(call["target"]), call)
            case {"request": call}:
                _call(host.request(call["target"]), call)
            case {"modify": id}:
                host.modify(id)
            case {"sleep": ms}:
                host.sleep(ms)
            case {"sleep-until": id}:
                host.sleep_until(id)
            case {"wait-for": wait}:
                _wait_for(host, wait)
    if "retry" in operations:
        host.retry(_backoff(operations["retry"]))
    if "timeout-ms" in operations:
        host.timeout(operations["timeout-ms"])
    if "limit" in operations:
        _limit(host.limit(operations["limit"]["name"]), operations["limit"])


def _wait_for(node: builder.Node, wait: Json) -> None:
    signal = wait["signal"]
    host = node.wait_for(signal["named"]) if "named" in signal else node.wait_for_named(signal["handler"])
    if "timeout-ms" in wait:
        host.timeout(wait["timeout-ms"])
    if "recover-from" in wait:
        host.recover_from(wait["recover-from"])


def _call(host: builder.Call, call: Json) -> None:
    if "method" in call:
        host.method(call["method"])
    for name, value in call.get("headers", []):
        host.header(name, value)
    for name, value in call.get("query", []):
        host.query(name, value)
    if "prepare" in call:
        host.prepare(call["prepare"])
    if "receive" in call:
        host.receive(call["receive"])
    if "recover" in call:
        host.recover(call["recover"])
    if "recover-from" in call:
        host.recover_from(call["recover-from"])
    if "retry" in call:
        host.retry(_backoff(call["retry"]))
    if "retry-on" in call:
        host.retry_on(call["retry-on"])
    if "timeout-ms" in call:
        host.timeout(call["timeout-ms"])
    if "asynchronous" in call:
        host.asynchronous()
    if "limit" in call:
        _limit(host.limit(call["limit"]["name"]), call["limit"])


def _limit(host: builder.Limit, limit: Json) -> None:
    if "concurrent" in limit:
        host.concurrent(limit["concurrent"])
    if "per-second" in limit:
        host.per_second(limit["per-second"])
    if "key" in limit:
        host.key(limit["key"])


def _backoff(policy: Json) -> types.Backoff:
    return types.Backoff(policy["attempts"], policy["first-delay-ms"], policy["factor"], policy["max-delay-ms"])
