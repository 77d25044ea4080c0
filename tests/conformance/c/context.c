/* Each function of the context. */
#include "parts.h"

static ff_node *does(ff_dag *dag, const char *id, ff_on_data *modifier) {
    return ff_node_modify(ff_dag_node(dag, id), modifier, NULL);
}

/* Texts with something between them. */
static const char *with(ff_strings texts, const char *separator) {
    ff_buffer *all = ff_buffer_new();
    for (size_t i = 0; i < texts.len; i++) ff_buffer_add_format(all, "%s%s", i ? separator : "", texts.items[i]);
    return ff_buffer_bytes(all).ptr;
}

static ff_result *facts_of_run(ff_bytes, void *) {
    const char *const states[] = {"running", "paused", "stopped", "succeeded", "failed"};
    return ff_format("%s %s %s %s query %s %zu header %s %zu", ff_context_request_id(), ff_context_flow_name(), ff_context_node(),
                     states[ff_context_state()], with(ff_context_queries("a b"), ","), ff_context_queries("none").len,
                     with(ff_context_headers("x-team"), ","), ff_context_headers("authorization").len);
}
static void facts(ff_dag *dag, ff_workflow *) { does(dag, "n", facts_of_run); }
static void facts_in_define(ff_dag *dag, ff_workflow *) {
    /* The definition itself depends on the request. */
    const char *id = ff_context_query("id"), *times = ff_context_header("x-times");
    ff_node_sleep(ff_dag_node(dag, id ? id : ""), FF_SECONDS(times ? atoi(times) : 0));
}

static ff_result *set(ff_bytes data, void *) {
    FF_TRY(ff_context_set("kept", data));
    FF_TRY(ff_context_set("empty", ff_bytes_of("")));
    FF_TRY(ff_context_set("dropped", data));
    ff_bytes own;
    FF_TRY(ff_context_get("kept", &own));
    return ff_data(own);
}
static ff_result *drop(ff_bytes data, void *) {
    FF_TRY(ff_context_delete("dropped"));
    FF_TRY(ff_context_delete("never"));
    return ff_data(data);
}
static ff_result *get(ff_bytes, void *) {
    const char *const keys[] = {"kept", "empty", "dropped", "never"};
    ff_buffer *all = ff_buffer_new();
    for (int i = 0; i < 4; i++) {
        ff_bytes value;
        FF_TRY(ff_context_get(keys[i], &value));
        ff_buffer_add_text(all, i ? " " : "");
        if (value.ptr) ff_buffer_add_format(all, "<%.*s>", FF_BYTES(value));
        else ff_buffer_add_text(all, "none");
    }
    return ff_data(ff_buffer_bytes(all));
}
static void values(ff_dag *dag, ff_workflow *) {
    does(dag, "set", set);
    does(dag, "drop", drop);
    does(dag, "get", get);
    ff_dag_edge(dag, "set", "drop");
    ff_dag_edge(dag, "drop", "get");
}

/* The SDK for C reads no JSON: an author's own library does. */
static ff_result *sum(ff_bytes data, void *) {
    if (data.len == 0 || *data.ptr != '[') return ff_reject("this is not a list of numbers");
    long total = 0;
    char *number = (char *)data.ptr;
    while (*number == '[' || *number == ',') total += strtol(number + 1, &number, 10);
    ff_buffer *json = ff_buffer_new();
    ff_buffer_add_format(json, "%ld", total);
    return ff_json(ff_buffer_bytes(json));
}
static ff_result *as(ff_bytes data, void *) { return ff_format("%.*s as %s", FF_BYTES(data), ff_context_content_type()); }
static void json(ff_dag *dag, ff_workflow *) {
    does(dag, "n", sum);
    does(dag, "m", as);
    ff_dag_edge(dag, "n", "m");
}

static ff_result *typed(ff_bytes data, void *side) {
    ff_buffer *type = ff_buffer_new();
    ff_buffer_add_format(type, "text/%s", (const char *)side);
    FF_TRY(ff_context_set_content_type(ff_buffer_bytes(type).ptr));
    return add(data, side);
}
static ff_result *last_of_three(ff_bytes data, void *) {
    ff_bytes inputs = joined(ff_context_inputs());
    return ff_format("%zu bytes, %.*s, %s", data.len, FF_BYTES(inputs), with(ff_context_content_types(), ", "));
}
static void inputs(ff_dag *dag, ff_workflow *) {
    ff_dag_node(dag, "first");
    for (int i = 0; i < 2; i++) {
        const char *side = i ? "right" : "left";
        ff_node_modify(ff_dag_node(dag, side), typed, (void *)side);
        ff_dag_edge(dag, "first", side);
        ff_dag_edge(dag, side, "last");
    }
    ff_dag_edge(dag, "first", "last");
    does(dag, "last", last_of_three);
}

static ff_result *begin(ff_bytes, void *) {
    FF_TRY(ff_context_set_content_type("text/html; charset=utf-8"));
    return ff_text(ff_context_content_type());
}
static ff_result *merge(ff_inputs inputs, void *) {
    FF_TRY(ff_context_set_content_type("text/csv"));
    ff_buffer *all = ff_buffer_new();
    for (size_t i = 0; i < inputs.len; i++) ff_buffer_add(all, inputs.items[i].data);
    ff_buffer_add_format(all, "|%s|%s", ff_context_content_type(), with(ff_context_content_types(), ", "));
    return ff_data(ff_buffer_bytes(all));
}
static ff_result *end(ff_bytes data, void *) { return ff_format("%.*s|%s", FF_BYTES(data), ff_context_content_type()); }
static void content_types(ff_dag *dag, ff_workflow *) {
    does(dag, "n", begin);
    ff_node_aggregator(ff_dag_node(dag, "m"), merge, NULL);
    does(dag, "last", end);
    ff_dag_edge(dag, "n", "m");
    ff_dag_edge(dag, "m", "last");
}

static ff_result *answer(ff_bytes data, void *) {
    const ff_header headers[] = {{"Location", "/orders/7"}, {"X-Order", "7"}};
    FF_TRY(ff_context_respond(201, headers, 2));
    return ff_data(data);
}
static void respond(ff_dag *dag, ff_workflow *) { does(dag, "n", answer); }
static ff_result *label(ff_bytes data, void *) {
    FF_TRY(ff_context_label("order", "41"));
    FF_TRY(ff_context_label("order", data.ptr));
    FF_TRY(ff_context_label("by/n", "\u00fc"));
    return ff_data(data);
}
static void labels(ff_dag *dag, ff_workflow *) { does(dag, "n", label); }
/* Addresses without what is signed in them. */
static ff_result *urls(ff_bytes, void *) {
    const char *week, *hour;
    FF_TRY(ff_context_signal_url("approval", 0, &week));
    FF_TRY(ff_context_signal_url("paid", FF_HOURS(1), &hour));
    return ff_format("%.*s %.*s", (int)strcspn(week, "?"), week, (int)strcspn(hour, "?"), hour);
}
static void signal_url(ff_dag *dag, ff_workflow *) { does(dag, "n", urls); }
static ff_result *logged(ff_bytes data, void *) {
    const char *const names[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++) ff_context_log((ff_level)(FF_DEBUG + i), "%s %.*s", names[i], FF_BYTES(data));
    return ff_data(data);
}
static void log_(ff_dag *dag, ff_workflow *) { does(dag, "n", logged); }

static ff_result *bad_type(ff_bytes data, void *) {
    FF_TRY(ff_context_set_content_type("text"));
    return ff_data(data);
}
static void refused_content_type(ff_dag *dag, ff_workflow *) { does(dag, "n", bad_type); }
static ff_result *bad_answer(ff_bytes data, void *) {
    FF_TRY(ff_context_respond(99, NULL, 0));
    return ff_data(data);
}
static void refused_answer(ff_dag *dag, ff_workflow *) { does(dag, "n", bad_answer); }
static ff_result *bad_label(ff_bytes data, void *) {
    FF_TRY(ff_context_label("no key", ""));
    return ff_data(data);
}
static void refused_label(ff_dag *dag, ff_workflow *) { does(dag, "n", bad_label); }
static ff_result *bad_value(ff_bytes data, void *) {
    FF_TRY(ff_context_set("", ff_bytes_of("")));
    return ff_data(data);
}
static void refused_value(ff_dag *dag, ff_workflow *) { does(dag, "n", bad_value); }
static ff_result *bad_signal(ff_bytes, void *) {
    const char *url;
    FF_TRY(ff_context_signal_url("no name", 0, &url));
    return ff_text(url);
}
static void refused_signal(ff_dag *dag, ff_workflow *) { does(dag, "n", bad_signal); }

const flow_case contexts[] = {
    {"facts", facts},
    {"facts-in-define", facts_in_define},
    {"values", values},
    {"json", json},
    {"inputs", inputs},
    {"content-types", content_types},
    {"respond", respond},
    {"labels", labels},
    {"signal-url", signal_url},
    {"log", log_},
    {"refused-content-type", refused_content_type},
    {"refused-answer", refused_answer},
    {"refused-label", refused_label},
    {"refused-value", refused_value},
    {"refused-signal", refused_signal},
    {NULL, NULL},
};
