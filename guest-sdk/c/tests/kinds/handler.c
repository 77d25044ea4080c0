/* Runs every kind of handler and every function of the context: the first word of the input says which. The flow's failure
 * handler returns the text of the failure, and so the messages of mistakes. */
#include <assert.h>
#include <faas_flow.h>
#include <string.h>

static bool begins(ff_bytes data, const char *word) {
    size_t len = strlen(word);
    return data.len >= len && memcmp(data.ptr, word, len) == 0;
}

static ff_result *which(ff_bytes data, void *) {
    char *word = ff_copy(data.ptr, data.len);
    word[strcspn(word, " ")] = 0;
    return ff_keys(word);
}

/* --- calls ---------------------------------------------------------------------------------------------------------- */

static ff_result *prepare(ff_request *request, void *) {
    ff_request_add_header(request, "X-Word", "hello");
    ff_request_remove_header(request, "x-gone");
    ff_request_set_body(request, ff_bytes_of("prepared"));
    return ff_ok();
}
static ff_result *receive(const ff_response *response, void *) {
    return ff_format("%d %.*s", response->status, FF_BYTES(response->body));
}
static ff_result *recover(const char *error, void *) { return ff_text(strstr(error, "missing") ? "recovered" : error); }
static ff_result *caught(const ff_failed *failed, void *) {
    bool is_unreachable = failed->kind == FF_UNREACHABLE || failed->kind == FF_ANSWERED;
    return ff_format("%s %s %u %.*s %s", failed->path, is_unreachable ? "unreachable" : failed->code, (unsigned)failed->tries,
                     FF_BYTES(failed->input), failed->body.ptr ? "body" : "no body");
}

static void describe_calls(ff_dag *dag) {
    ff_node *node = ff_dag_node(dag, "calls");
    ff_call *call = ff_node_apply(node, "echo");
    ff_call_header(call, "X-Gone", "1");
    ff_call_receive(ff_call_prepare(call, prepare, NULL), receive, NULL);
    ff_node *other = ff_dag_node(dag, "missing");
    ff_call_recover(ff_node_apply(other, "missing"), recover, NULL);
    ff_node *third = ff_dag_node(dag, "caught");
    ff_call_recover_from(ff_node_apply(third, "missing"), caught, NULL);
    ff_dag_edge(dag, "calls", "missing");
    ff_dag_edge(dag, "missing", "caught");
}

/* --- dags that are run many times ----------------------------------------------------------------------------------- */

static ff_result *words(ff_bytes data, void *) {
    ff_items *items = ff_items_new();
    for (size_t from = 0; from < data.len;) {
        size_t len = strcspn(data.ptr + from, " ");
        char *key = ff_copy(data.ptr + from, len);
        ff_items_add(items, key, (ff_bytes){data.ptr + from, len});
        from += len + 1;
    }
    return ff_split(items);
}
static ff_result *no_b(ff_bytes data, void *) {
    return ff_bytes_equal(data, "b") ? ff_reject("no b") : ff_format("<%.*s>", FF_BYTES(data));
}
static ff_result *gather(const ff_gathered *items, size_t len, void *) {
    ff_buffer *out = ff_buffer_new();
    for (size_t i = 0; i < len; i++) {
        const ff_failed *failed = items[i].failed;
        if (failed) ff_buffer_add_format(out, "%s!%s %s;", items[i].key, failed->code, failed->message);
        else ff_buffer_add_format(out, "%s=%.*s;", items[i].key, FF_BYTES(items[i].result));
    }
    return ff_data(ff_buffer_bytes(out));
}
static ff_result *dot(ff_bytes data, void *) { return ff_format("%.*s.", FF_BYTES(data)); }
static ff_result *thrice(ff_bytes, uint32_t round, void *) { return ff_again(round < 3); }

/* --- waits and limits ----------------------------------------------------------------------------------------------- */

static ff_result *soon(ff_bytes, void *) { return ff_after(1); }
static ff_result *past(ff_bytes, void *) { return ff_at("2025-12-24T18:00:00+01:00"); }
static ff_result *signal(ff_bytes, void *name) { return ff_format("%s-7", (const char *)name); }
static ff_result *nobody(const ff_failed *failed, void *) { return ff_text(failed->kind == FF_TIMED_OUT ? "nobody came" : failed->code); }
static ff_result *tenant(ff_bytes, void *) { return ff_text("tenant-1"); }

/* --- the context ---------------------------------------------------------------------------------------------------- */

static ff_result *facts(ff_bytes, void *) {
    ff_strings queries = ff_context_queries("q");
    return ff_format("%s|%s|%d|%s|%zu|%s|%s|%s", ff_context_flow_name(), ff_context_node(), ff_context_state(),
                     ff_context_query("q"), queries.len, ff_context_header("X-Team"), ff_context_query("none"),
                     ff_context_content_type());
}
static ff_result *values(ff_bytes data, void *) {
    ff_bytes value;
    FF_TRY(ff_context_get("key", &value));
    if (value.ptr) return ff_reject("there is a value already");
    FF_TRY(ff_context_set("key", data));
    FF_TRY(ff_context_get("key", &value));
    FF_TRY(ff_context_set("other", value));
    FF_TRY(ff_context_delete("other"));
    FF_TRY(ff_context_label("word", "blue"));
    ff_header location = {"Location", "/orders/7"};
    FF_TRY(ff_context_respond(201, &location, 1));
    const char *url;
    FF_TRY(ff_context_signal_url("paid", FF_HOURS(1), &url));
    ff_context_log(FF_INFO, "signals go to %s", url);
    ff_inputs inputs = ff_context_inputs();
    ff_buffer *json = ff_buffer_new();
    ff_buffer_add_text(json, "{\"value\":");
    ff_buffer_add_json(json, value);
    ff_buffer_add_format(json, ",\"url\":%d,\"inputs\":%zu,\"types\":%zu}", strstr(url, "/signal/paid") != NULL, inputs.len,
                         ff_context_content_types().len);
    return ff_json(ff_buffer_bytes(json));
}

/* --- mistakes ------------------------------------------------------------------------------------------------------- */

static ff_result *mistake(ff_bytes data, void *) {
    if (begins(data, "mistake null")) return NULL;
    if (begins(data, "mistake keys")) return ff_keys("a");
    if (begins(data, "mistake assert")) assert(data.len == 0);
    if (begins(data, "mistake abort")) abort();
    if (begins(data, "mistake exit")) exit(3);
    if (begins(data, "mistake builder")) ff_dag_node(NULL, "late");
    if (begins(data, "mistake key")) return ff_context_set("", data);
    if (begins(data, "mistake status")) return ff_reject_with_status(404, "there is no %.*s", FF_BYTES(data));
    if (begins(data, "mistake utf8")) return ff_reject("bad \xff byte");
    if (begins(data, "mistake type")) FF_TRY(ff_context_set_content_type("nonsense"));
    return ff_data(data);
}

/* --- the flow ------------------------------------------------------------------------------------------------------- */

static ff_result *failure(const char *error, void *) { return ff_format("the failure handler got: %s", error); }
static ff_result *ended(ff_outcome outcome, void *) {
    ff_context_log(FF_INFO, "the run ended with %s", outcome == FF_SUCCESS ? "success" : "failure");
    return ff_ok();
}

static ff_result *define(ff_workflow *workflow) {
    ff_condition *branches = ff_dag_condition(ff_workflow_dag(workflow), "which", which, NULL);
    describe_calls(ff_condition_branch(branches, "calls"));

    ff_for_each *items = ff_dag_for_each(ff_condition_branch(branches, "gather"), "words", words, NULL);
    ff_for_each_gather(ff_for_each_tolerate(items, 1), gather, NULL);
    ff_node_modify(ff_dag_node(ff_for_each_dag(items), "word"), no_b, NULL);

    ff_repeat *rounds = ff_dag_repeat(ff_condition_branch(branches, "repeat"), "rounds", thrice, NULL);
    ff_node_modify(ff_dag_node(ff_repeat_dag(rounds), "dot"), dot, NULL);

    ff_node *waits = ff_dag_node(ff_condition_branch(branches, "waits"), "waits");
    ff_node_sleep_until(ff_node_sleep_until(waits, soon, NULL), past, NULL);
    ff_wait_recover_from(ff_wait_timeout(ff_node_wait_for_named(waits, signal, "paid"), 1), nobody, NULL);

    ff_node *limited = ff_dag_node(ff_condition_branch(branches, "limited"), "limited");
    ff_limit_key(ff_limit_concurrent(ff_node_limit(limited, "jobs"), 1), tenant, NULL);
    ff_node_modify(limited, dot, NULL);

    ff_node_modify(ff_dag_node(ff_condition_branch(branches, "facts"), "facts"), facts, NULL);
    ff_node_modify(ff_dag_node(ff_condition_branch(branches, "values"), "values"), values, NULL);
    ff_node_modify(ff_dag_node(ff_condition_branch(branches, "mistake"), "mistake"), mistake, NULL);
    ff_workflow_on_failure(workflow, failure, NULL);
    ff_workflow_finally(workflow, ended, NULL);
    return ff_ok();
}

FF_FLOW(define)
