/* What becomes of a failure of the flow's own code. */
#include <assert.h>

#include "parts.h"

static void reject(ff_dag *dag, ff_workflow *) { ff_node_modify(ff_dag_node(dag, "n"), refuse, NULL); }
static ff_result *no_such_order(ff_bytes, void *) { return ff_reject_with_status(404, "there is no such order"); }
static void reject_with_status(ff_dag *dag, ff_workflow *) { ff_node_modify(ff_dag_node(dag, "n"), no_such_order, NULL); }
static ff_result *not_now(ff_bytes data, void *) { return ff_retry("not now: %.*s", FF_BYTES(data)); }
static void retry_of_the_node(ff_dag *dag, ff_workflow *) {
    ff_backoff policy = ff_attempts(3);
    policy.first_delay_ms = FF_SECONDS(10);
    ff_node_retry(ff_node_modify(ff_dag_node(dag, "n"), not_now, NULL), policy);
}
static void retry_without_a_policy(ff_dag *dag, ff_workflow *) { ff_node_modify(ff_dag_node(dag, "n"), not_now, NULL); }

static ff_result *crash(ff_bytes, void *) {
    assert(!"on purpose");
    return NULL;
}
static void crash_(ff_dag *dag, ff_workflow *) { ff_node_modify(ff_dag_node(dag, "n"), crash, NULL); }
static ff_result *input_at(const ff_failed *failed, void *) {
    return ff_format("%.*s at %s", FF_BYTES(failed->input), failed->path);
}
static void crash_that_is_caught(ff_dag *dag, ff_workflow *) {
    ff_node_modify(ff_dag_node(dag, "n"), crash, NULL);
    ff_dag_recover_node(dag, "n", input_at, NULL);
    adds(dag, "after", " after");
    ff_dag_edge(dag, "n", "after");
}

static ff_result *too_late(ff_bytes, void *) {
    FF_TRY(ff_context_set("set", ff_bytes_of("by a node that fails")));
    FF_TRY(ff_context_label("set", "by a node that fails"));
    return ff_reject("too late");
}
static ff_result *is_set(ff_bytes data, void *) {
    ff_bytes value;
    FF_TRY(ff_context_get("set", &value));
    return ff_format("%.*s; %s", FF_BYTES(data), value.ptr ? "set" : "not set");
}
static void dropped_values(ff_dag *dag, ff_workflow *) {
    ff_node_modify(ff_dag_node(dag, "n"), too_late, NULL);
    ff_dag_recover_node(dag, "n", shown, NULL);
    ff_node_modify(ff_dag_node(dag, "get"), is_set, NULL);
    ff_dag_edge(dag, "n", "get");
}

/* Handlers that fail; the argument is their kind. */
static ff_result *no(const char *kind) { return ff_reject("%s fails", kind); }
static ff_result *no_data(ff_bytes, void *kind) { return no(kind); }
static ff_result *no_inputs(ff_inputs, void *kind) { return no(kind); }
static ff_result *no_request(ff_request *, void *kind) { return no(kind); }
static ff_result *no_response(const ff_response *, void *kind) { return no(kind); }
static ff_result *no_error(const char *, void *kind) { return no(kind); }
static ff_result *no_failed(const ff_failed *, void *kind) { return no(kind); }
static ff_result *no_gathered(const ff_gathered *, size_t, void *kind) { return no(kind); }
static ff_result *no_round(ff_bytes, uint32_t, void *kind) { return no(kind); }
static ff_result *one_item(ff_bytes data, void *) {
    ff_items *items = ff_items_new();
    ff_items_add(items, "x", data);
    return ff_split(items);
}



static void each_kind(ff_dag *dag, ff_workflow *) {
    ff_condition *kinds = ff_dag_condition(dag, "kind", itself, NULL);
    ff_node_modify(ff_dag_node(ff_condition_branch(kinds, "modify"), "n"), no_data, "modify");
    ff_node_aggregator(ff_dag_node(ff_condition_branch(kinds, "aggregate"), "n"), no_inputs, "aggregate");
    ff_dag_node(ff_condition_branch(ff_dag_condition(ff_condition_branch(kinds, "condition"), "n", no_data, "condition"), "a"), "n");
    ff_dag_node(ff_for_each_dag(ff_dag_for_each(ff_condition_branch(kinds, "for-each"), "n", no_data, "for-each")), "n");
    ff_dag *forward = ff_condition_branch(kinds, "forward");
    ff_dag_node(forward, "first");
    ff_dag_node(forward, "n");
    ff_edge_forwarder(ff_dag_edge(forward, "first", "n"), no_data, "forward");
    ff_call_prepare(ff_node_apply(ff_dag_node(ff_condition_branch(kinds, "prepare"), "n"), "echo"), no_request, "prepare");
    ff_call_receive(ff_node_apply(ff_dag_node(ff_condition_branch(kinds, "receive"), "n"), "echo"), no_response, "receive");
    ff_call_recover(ff_node_apply(ff_dag_node(ff_condition_branch(kinds, "recover"), "n"), "gone"), no_error, "recover");
    ff_call_recover_from(ff_node_apply(ff_dag_node(ff_condition_branch(kinds, "recover-from"), "n"), "gone"), no_failed, "recover-from");
    ff_for_each *items = ff_for_each_tolerate(ff_dag_for_each(ff_condition_branch(kinds, "gather"), "n", one_item, NULL), 1);
    ff_node_modify(ff_dag_node(ff_for_each_dag(ff_for_each_gather(items, no_gathered, "gather")), "n"), refuse, NULL);
    ff_dag_node(ff_repeat_dag(ff_dag_repeat(ff_condition_branch(kinds, "again"), "n", no_round, "again")), "n");
    ff_node_sleep_until(ff_dag_node(ff_condition_branch(kinds, "moment"), "n"), no_data, "moment");
    ff_node_wait_for_named(ff_dag_node(ff_condition_branch(kinds, "signal-name"), "n"), no_data, "signal-name");
    ff_limit *limit = ff_node_limit(ff_dag_node(ff_condition_branch(kinds, "key"), "n"), "l");
    ff_limit_key(ff_limit_concurrent(limit, 1), no_data, "key");
}

const flow_case failures[] = {
    {"reject", reject},
    {"reject-with-status", reject_with_status},
    {"retry-of-the-node", retry_of_the_node},
    {"retry-without-a-policy", retry_without_a_policy},
    {"crash", crash_},
    {"crash-that-is-caught", crash_that_is_caught},
    {"dropped-values", dropped_values},
    {"each-kind", each_kind},
    {NULL, NULL},
};
