/* Calls of functions and URLs: their options, what goes out and comes back, retries, and failures that are caught. */
#include "parts.h"

static ff_backoff thrice(void) {
    ff_backoff policy = ff_attempts(3);
    policy.first_delay_ms = FF_SECONDS(10);
    policy.factor = 1.5f;
    policy.max_delay_ms = FF_SECONDS(12);
    return policy;
}

static ff_call *step(ff_dag *dag) { return ff_node_apply(ff_dag_node(dag, "n"), "step"); }

static ff_dag *failing(void) {
    ff_dag *inner = ff_dag_new();
    adds(inner, "a", " a");
    ff_node_modify(ff_dag_node(inner, "b"), refuse, NULL);
    ff_dag_edge(inner, "a", "b");
    return inner;
}

static void call(ff_dag *dag, ff_workflow *) { step(dag); }
static void call_options(ff_dag *dag, ff_workflow *) {
    ff_call *call = ff_call_method(ff_node_apply(ff_dag_node(dag, "n"), "env/deeper/path"), "PUT");
    ff_call_query(ff_call_query(call, "q", "a b&c"), "q", "2");
    ff_call_header(ff_call_header(call, "X-One", "1"), "X-Two", "caf\u00e9");
}
static void request(ff_dag *dag, ff_workflow *) {
    ff_call *call = ff_node_request(ff_dag_node(dag, "n"), "https://rates.example.com/today");
    ff_call_timeout(ff_call_method(call, "PATCH"), FF_SECONDS(30));
}

static ff_result *prepared(ff_request *request, void *) {
    const char *kept = ff_request_header(request, "x-kept");
    ff_buffer *url = ff_buffer_new(), *body = ff_buffer_new();
    ff_buffer_add_format(url, "%s/further?q=1", request->url);
    ff_buffer_add(body, request->body);
    ff_buffer_add_format(body, "%s prepared", kept ? kept : "");
    ff_request_set_method(request, strcmp(request->method, "POST") ? "POST" : "PUT");
    ff_request_set_url(request, ff_buffer_bytes(url).ptr);
    ff_request_set_body(request, ff_buffer_bytes(body));
    ff_request_add_header(request, "X-Added", "3");
    ff_request_remove_header(request, "x-gone");
    return ff_ok();
}
static void prepare(ff_dag *dag, ff_workflow *) {
    ff_call *call = ff_node_apply(ff_dag_node(dag, "n"), "env");
    ff_call_prepare(ff_call_header(ff_call_header(call, "X-Gone", "1"), "X-Kept", "2"), prepared, NULL);
}
/* A response with the status 202 is not the last one, and every other one is. */
static ff_result *received(const ff_response *response, void *) {
    if (response->status == 202) return ff_retry("not yet");
    const char *answer = ff_response_header(response, "X-Answer");
    return ff_format("%d %s: %.*s", response->status, answer ? answer : "none", FF_BYTES(response->body));
}
static void receive(ff_dag *dag, ff_workflow *) { ff_call_retry(ff_call_receive(step(dag), received, NULL), thrice()); }
static void retry(ff_dag *dag, ff_workflow *) { ff_call_retry(step(dag), thrice()); }
static void retry_on(ff_dag *dag, ff_workflow *) {
    ff_call_retry_on(ff_call_retry(step(dag), thrice()), (uint16_t[]){404, 409}, 2);
}
static void timeout(ff_dag *dag, ff_workflow *) { ff_call_timeout(step(dag), FF_SECONDS(2)); }
static void asynchronous(ff_dag *dag, ff_workflow *) {
    ff_node *node = ff_dag_node(dag, "n");
    ff_call_timeout(ff_call_asynchronous(ff_node_apply(node, "train")), FF_HOURS(2));
    ff_node_modify(node, add, "!");
}

static ff_result *instead(const char *error, void *) { return ff_format("instead of: %s", error); }
static void recover(ff_dag *dag, ff_workflow *) { ff_call_recover(step(dag), instead, NULL); }
static void recover_from(ff_dag *dag, ff_workflow *) {
    ff_call_recover_from(ff_call_retry(step(dag), thrice()), shown, NULL);
}
static void recover_from_unreachable(ff_dag *dag, ff_workflow *) { ff_call_recover_from(step(dag), shown, NULL); }
static ff_result *worse(const ff_failed *, void *) { return ff_reject("even worse"); }
static void recover_otherwise(ff_dag *dag, ff_workflow *) { ff_call_recover_from(step(dag), worse, NULL); }

static void node_retry(ff_dag *dag, ff_workflow *) {
    ff_node *node = adds(dag, "n", " once");
    ff_node_apply(node, "step");
    ff_node_timeout(ff_node_retry(node, thrice()), FF_SECONDS(60));
}
static void node_timeout(ff_dag *dag, ff_workflow *) {
    ff_node *node = ff_dag_node(dag, "n");
    ff_node_apply(node, "step");
    ff_node_timeout(node, FF_SECONDS(5));
}
static void node_recover(ff_dag *dag, ff_workflow *) {
    ff_node_recover_from(ff_node_modify(ff_dag_node(dag, "n"), refuse, NULL), shown, NULL);
}
static void recover_node(ff_dag *dag, ff_workflow *) {
    ff_dag_sub_dag(dag, "S", failing());
    ff_dag_recover_node(dag, "S", shown, NULL);
    adds(dag, "after", " after");
    ff_dag_edge(dag, "S", "after");
}
static void recover_dag(ff_dag *dag, ff_workflow *) {
    ff_dag *inner = failing();
    ff_dag_recover_from(inner, shown, NULL);
    ff_dag_sub_dag(dag, "S", inner);
}
static void recover_flow(ff_dag *dag, ff_workflow *) {
    ff_node_modify(ff_dag_node(dag, "n"), refuse, NULL);
    ff_dag_recover_from(dag, shown, NULL);
}

static ff_result *both(ff_bytes, void *) { return ff_keys("a", "b"); }
static ff_result *caught_at(const ff_failed *failed, void *) { return ff_format("caught at %s", failed->path); }
static ff_result *instead_of(const ff_failed *failed, void *) {
    return ff_format("instead of %.*s", FF_BYTES(failed->input));
}
static void recover_branch_and_items(ff_dag *dag, ff_workflow *) {
    ff_condition *way = ff_condition_aggregator(ff_dag_condition(dag, "C", both, NULL), join, NULL);
    ff_dag *a = ff_condition_branch(way, "a"), *b = ff_condition_branch(way, "b");
    ff_node_modify(ff_dag_node(a, "n"), refuse, NULL);
    ff_dag_recover_from(a, caught_at, NULL);
    ff_dag *item = ff_for_each_dag(ff_for_each_aggregator(ff_dag_for_each(b, "F", words, NULL), join, NULL));
    ff_node_modify(ff_dag_node(item, "n"), picky, NULL);
    ff_dag_recover_from(item, instead_of, NULL);
}

static void picky_items(ff_for_each *items) { ff_node_modify(ff_dag_node(ff_for_each_dag(items), "n"), picky, NULL); }
static ff_result *gathered(const ff_gathered *items, size_t len, void *) {
    ff_buffer *lines = ff_buffer_new();
    for (size_t i = 0; i < len; i++) {
        const ff_failed *failed = items[i].failed;
        ff_buffer_add_format(lines, "%s%s", i ? "; " : "", items[i].key);
        if (failed) ff_buffer_add_format(lines, ": %s %s", failed->code, failed->message);
        else ff_buffer_add_format(lines, "=%.*s", FF_BYTES(items[i].result));
    }
    return ff_data(ff_buffer_bytes(lines));
}
static void tolerate(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_aggregator(ff_dag_for_each(dag, "F", words, NULL), join, NULL);
    picky_items(ff_for_each_tolerate(items, 1));
}
static void tolerate_share(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_tolerate_share(ff_dag_for_each(dag, "F", words, NULL), 0.5f);
    picky_items(ff_for_each_gather(items, gathered, NULL));
}
static ff_result *kind_at(const ff_failed *failed, void *) { return ff_format("%s at %s", kind_of(failed), failed->path); }
static void tolerate_too_many(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_tolerate(ff_dag_for_each(dag, "F", words, NULL), 1);
    picky_items(ff_for_each_gather(items, gathered, NULL));
    ff_dag_recover_node(dag, "F", kind_at, NULL);
}

const flow_case calls[] = {
    {"call", call},
    {"call-options", call_options},
    {"request", request},
    {"prepare", prepare},
    {"receive", receive},
    {"retry", retry},
    {"retry-on", retry_on},
    {"timeout", timeout},
    {"asynchronous", asynchronous},
    {"recover", recover},
    {"recover-from", recover_from},
    {"recover-from-unreachable", recover_from_unreachable},
    {"recover-otherwise", recover_otherwise},
    {"node-retry", node_retry},
    {"node-timeout", node_timeout},
    {"node-recover", node_recover},
    {"recover-node", recover_node},
    {"recover-dag", recover_dag},
    {"recover-flow", recover_flow},
    {"recover-branch-and-items", recover_branch_and_items},
    {"tolerate", tolerate},
    {"tolerate-share", tolerate_share},
    {"tolerate-too-many", tolerate_too_many},
    {NULL, NULL},
};
