/* Every construct of the builder. */
#include <faas_flow.h>

static ff_result *same(ff_bytes data, void *) { return ff_data(data); }
static ff_result *concat(ff_inputs inputs, void *) {
    ff_buffer *all = ff_buffer_new();
    for (size_t i = 0; i < inputs.len; i++) ff_buffer_add(all, inputs.items[i].data);
    return ff_data(ff_buffer_bytes(all));
}
static ff_result *prefixed(ff_bytes data, void *prefix) { return ff_format("%s%.*s", (const char *)prefix, FF_BYTES(data)); }
static ff_result *patch(ff_request *request, void *) {
    ff_request_set_method(request, "PATCH");
    return ff_ok();
}
static ff_result *body(const ff_response *response, void *) { return ff_data(response->body); }
static ff_result *recovered(const char *error, void *prefix) { return ff_format("%s%s", (const char *)prefix, error); }
static ff_result *first(ff_bytes, void *) { return ff_keys("c1"); }
static ff_result *one_item(ff_bytes data, void *) {
    ff_items *items = ff_items_new();
    ff_items_add(items, "f1", data);
    return ff_split(items);
}
static ff_result *count(const ff_gathered *, size_t len, void *) { return ff_format("%zu", len); }
static ff_result *code(const ff_failed *failed, void *) { return ff_text(failed->code); }
static ff_result *shown(const ff_failed *failed, void *) {
    return ff_format("%s at %s: %s", failed->code, failed->path, failed->message);
}
static ff_result *input(const ff_failed *failed, void *) { return ff_data(failed->input); }
static ff_result *tries(const ff_failed *failed, void *) { return ff_format("%u", (unsigned)failed->tries); }
static ff_result *twice(ff_bytes data, uint32_t round, void *) { return ff_again(data.len == 0 && round < 2); }
static ff_result *soon(ff_bytes data, void *) { return data.len ? ff_at(data.ptr) : ff_after(5); }
static ff_result *nothing(ff_outcome, void *) { return ff_ok(); }

static void describe_calls(ff_dag *dag) {
    ff_node *n1 = ff_dag_node(dag, "n1");
    ff_node_timeout(ff_node_retry(n1, ff_attempts(3)), FF_SECONDS(9));
    ff_node_apply(n1, "func1");
    ff_node_modify(n1, same, NULL);

    ff_node *n2 = ff_dag_node(dag, "n2");
    ff_call *call = ff_node_apply(n2, "func2/path");
    ff_call_method(call, "PUT");
    ff_call_header(call, "x-a", "1");
    ff_call_header(call, "x-a", "2");
    const char *token = ff_context_query("token");
    ff_call_query(call, "token", token ? token : "");
    ff_call_timeout(call, 50);
    ff_backoff policy = ff_attempts(2);
    policy.first_delay_ms = 5;
    policy.factor = 1.5f;
    policy.max_delay_ms = 1000;
    ff_call_retry(call, policy);
    ff_call_retry_on(call, (uint16_t[]){404, 503}, 2);
    ff_call_prepare(call, patch, NULL);
    ff_call_receive(call, body, NULL);
    ff_call_recover(call, recovered, "recovered: ");
    ff_node_request(n2, "http://example.test/x");
    ff_node_modify(n2, same, NULL);

    ff_edge_forwarder(ff_dag_edge(dag, "n1", "n2"), prefixed, "f:");
    ff_edge_execution(ff_dag_edge(dag, "n1", "S"));
}

static void describe_dags(ff_dag *dag) {
    ff_dag *sub = ff_dag_new();
    ff_node_modify(ff_dag_node(sub, "n1"), same, NULL);
    ff_dag_node(sub, "n2");
    ff_dag_node(sub, "n3");
    ff_dag_edge(sub, "n1", "n2");
    ff_dag_edge(sub, "n1", "n3");
    ff_dag_end_aggregator(sub, concat, NULL);
    ff_dag_sub_dag(dag, "S", sub);
    ff_dag_sub_dag(dag, "S2", sub);

    ff_condition *branches = ff_condition_aggregator(ff_dag_condition(dag, "C", first, NULL), concat, NULL);
    ff_dag *c1 = ff_condition_branch(branches, "c1");
    ff_node_recover_from(ff_node_modify(ff_dag_node(c1, "n1"), same, NULL), input, NULL);
    ff_dag_recover_from(c1, shown, NULL);
    ff_node_modify(ff_dag_node(ff_condition_branch(branches, "a/b"), "n1"), same, NULL);
    ff_dag_input_aggregator(dag, "C", concat, NULL);

    ff_for_each *items = ff_dag_for_each(dag, "F", one_item, NULL);
    ff_for_each_max_parallel(ff_for_each_execution(items), 4);
    ff_for_each_gather(ff_for_each_tolerate_share(ff_for_each_tolerate(items, 3), 0.25f), count, NULL);
    ff_dag *item = ff_for_each_dag(items);
    ff_node_modify(ff_dag_node(item, "n1"), same, NULL);
    ff_call_recover_from(ff_node_apply(ff_dag_node(item, "n2"), "func3"), code, NULL);
    ff_dag_edge(item, "n1", "n2");
    ff_dag_recover_node(dag, "F", tries, NULL);

    ff_repeat *rounds = ff_dag_repeat(dag, "R", twice, NULL);
    ff_repeat_wait(ff_repeat_most(rounds, 3), FF_SECONDS(1));
    ff_node_modify(ff_dag_node(ff_repeat_dag(rounds), "n1"), same, NULL);
}

static void limit(ff_limit *limit) { ff_limit_key(ff_limit_per_second(ff_limit_concurrent(limit, 2), 1.5), same, NULL); }

static ff_result *define(ff_workflow *workflow) {
    ff_dag *dag = ff_workflow_dag(workflow);
    describe_calls(dag);
    describe_dags(dag);

    limit(ff_call_limit(ff_node_apply(ff_dag_node(dag, "L"), "f"), "jobs"));
    limit(ff_node_limit(ff_dag_node(dag, "M"), "jobs"));

    ff_node *waits = ff_dag_node(dag, "W");
    ff_node_sleep_until(ff_node_sleep(waits, 2000), soon, NULL);
    ff_wait_timeout(ff_node_wait_for(waits, "paid"), FF_DAYS(2));
    ff_wait_recover_from(ff_node_wait_for_named(waits, same, NULL), code, NULL);
    ff_call_asynchronous(ff_node_apply(waits, "train"));

    const char *const others[] = {"S2", "C", "F", "R", "L", "M", "W"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) ff_dag_edge(dag, "n1", others[i]);

    ff_dag *more = ff_dag_new();
    ff_node_aggregator(ff_dag_node(more, "n4"), concat, NULL);
    ff_dag_edge(more, "n2", "n4");
    ff_dag_append(dag, more);

    ff_workflow_on_failure(workflow, recovered, "");
    ff_workflow_finally(workflow, nothing, NULL);
    ff_workflow_deadline(workflow, FF_SECONDS(60));
    ff_workflow_on_exhausted(workflow, FF_PAUSE);
    ff_schedule *nightly = ff_workflow_schedule(workflow, "nightly", "0 30 2 * * *");
    ff_schedule_time_zone(nightly, "Europe/Berlin");
    ff_schedule_overlap(ff_schedule_missed(nightly, FF_MISSED_ONE), FF_OVERLAP_REPLACE);
    ff_schedule_input(nightly, ff_bytes_of("{}"), "application/json");
    ff_schedule_input(ff_workflow_schedule(workflow, "poll", "every 10m"), (ff_bytes){"\xff", 1}, "");
    return ff_ok();
}

FF_FLOW(define)
