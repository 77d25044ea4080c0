/* What data may be: unicode, all bytes, nothing, much, and many. */
#include "parts.h"

/* How many bytes there are, and the FNV-1a hash of about a thousand of them. */
static ff_result *digest(ff_bytes data, void *) {
    uint32_t hash = 0x811c9dc5;
    for (size_t at = 0; at < data.len; at += data.len / 1000 + 1) hash = (hash ^ (uint8_t)data.ptr[at]) * 0x01000193;
    return ff_format("%zu %08x", data.len, (unsigned)hash);
}

static ff_result *set(ff_bytes data, void *) {
    FF_TRY(ff_context_set("value", data));
    return ff_text("none");
}
static ff_result *get(ff_bytes, void *) {
    ff_bytes value;
    FF_TRY(ff_context_get("value", &value));
    ff_items *items = ff_items_new();
    ff_items_add(items, "only", value);
    return ff_split(items);
}
static ff_result *reversed(ff_bytes data, void *) {
    char *bytes = ff_copy(data.ptr, data.len);
    for (size_t at = 0; at < data.len; at++) bytes[at] = data.ptr[data.len - 1 - at];
    return ff_data((ff_bytes){bytes, data.len});
}
/* Data goes through a call, a value, an item, an edge and an aggregator. */
static void through_all(ff_dag *dag, ff_workflow *) {
    ff_call_receive(ff_node_apply(ff_dag_node(dag, "call"), "echo"), body, NULL);
    ff_node_modify(ff_dag_node(dag, "set"), set, NULL);
    ff_for_each *items = ff_for_each_aggregator(ff_dag_for_each(dag, "F", get, NULL), concat, NULL);
    ff_node_modify(ff_dag_node(ff_for_each_dag(items), "n"), same, NULL);
    ff_node_modify(ff_dag_node(dag, "forwarded"), digest, NULL);
    ff_dag_edge(dag, "call", "set");
    ff_dag_edge(dag, "set", "F");
    ff_edge_forwarder(ff_dag_edge(dag, "F", "forwarded"), reversed, NULL);
}

static ff_result *set_text(ff_bytes data, void *) {
    FF_TRY(ff_context_set("\u00fc \U0001f600", data));
    ff_context_log(FF_INFO, "logged: \u00fc \U0001f600");
    return ff_text("");
}
static ff_result *get_text(ff_bytes, void *) {
    ff_bytes value;
    FF_TRY(ff_context_get("\u00fc \U0001f600", &value));
    return ff_data(value);
}
static void unicode(ff_dag *dag, ff_workflow *) {
    ff_node *node = adds(dag, "n", " \u00fc \U0001f600 e\u0301 \ufffd");
    ff_node_apply(node, "echo");
    ff_node_modify(node, set_text, NULL);
    ff_node_modify(ff_dag_node(dag, "m"), get_text, NULL);
    ff_dag_edge(dag, "n", "m");
}
static ff_result *data_and_node(ff_bytes data, void *) { return ff_format("%.*s %s", FF_BYTES(data), ff_context_node()); }
static void unicode_keys(ff_dag *dag, ff_workflow *) {
    const char *const keys[] = {"\u00fc", "\U0001f600", "a/b %[]", "plain"};
    ff_condition *ways = ff_dag_condition(dag, "C", itself, NULL);
    for (int i = 0; i < 4; i++) ff_node_modify(ff_dag_node(ff_condition_branch(ways, keys[i]), "n"), data_and_node, NULL);
}
static ff_result *node(ff_bytes, void *) { return ff_text(ff_context_node()); }
static void unicode_items(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_aggregator(ff_dag_for_each(dag, "F", words, NULL), join, NULL);
    ff_node_modify(ff_dag_node(ff_for_each_dag(items), "n"), node, NULL);
}
static ff_result *chosen(ff_bytes, void *key) { return ff_keys((const char *)key); }
static void long_ids(ff_dag *dag, ff_workflow *) {
    /* The ids of functions would be longer than they may be. */
    ff_buffer *id = ff_buffer_new(), *key = ff_buffer_new();
    for (int i = 0; i < 64; i++) {
        ff_buffer_add_text(id, "n");
        ff_buffer_add_text(key, "\u00fc");
    }
    const char *name = ff_buffer_bytes(id).ptr, *branch = ff_buffer_bytes(key).ptr;
    ff_condition *ways = ff_condition_aggregator(ff_dag_condition(dag, name, chosen, (void *)branch), join, NULL);
    ff_node *inner = ff_dag_node(ff_condition_branch(ways, branch), name);
    ff_call_receive(ff_node_apply(inner, "echo"), body, NULL);
    ff_node_modify(inner, add, " n");
}

static ff_result *many(ff_bytes data, void *) {
    ff_buffer *all = ff_buffer_new();
    for (size_t n = 16 * 1024 * 1024 / (data.len ? data.len : 1); n > 0; n--) ff_buffer_add(all, data);
    return ff_data(ff_buffer_bytes(all));
}
static void large(ff_dag *dag, ff_workflow *) {
    ff_node_modify(ff_dag_node(dag, "make"), many, NULL);
    ff_node *call = ff_dag_node(dag, "call");
    ff_node_apply(call, "echo");
    ff_node_modify(call, add, "!");
    ff_node_modify(ff_dag_node(dag, "sum"), digest, NULL);
    ff_dag_edge(dag, "make", "call");
    ff_dag_edge(dag, "call", "sum");
}
static ff_result *thousand(ff_bytes, void *) {
    ff_items *items = ff_items_new();
    for (int n = 0; n < 1000; n++) {
        ff_buffer *key = ff_buffer_new();
        ff_buffer_add_format(key, "k%d", n);
        const char *text = ff_buffer_bytes(key).ptr;
        ff_items_add(items, text, ff_bytes_of(text + 1));
    }
    return ff_split(items);
}
static ff_result *digest_of_all(ff_inputs inputs, void *) { return digest(joined(inputs), NULL); }
static void thousand_items(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_aggregator(ff_dag_for_each(dag, "F", thousand, NULL), digest_of_all, NULL);
    adds(ff_for_each_dag(items), "n", "!");
}
static ff_result *data_and_length(ff_bytes data, void *) {
    return ff_format("%.*s %zu", FF_BYTES(data), strlen(ff_context_node()));
}
static void deep(ff_dag *dag, ff_workflow *) {
    for (int depth = 0; depth < 28; depth++) {
        ff_dag *inner = ff_dag_new();
        ff_dag_sub_dag(dag, "S", inner);
        dag = inner;
    }
    ff_node_modify(ff_dag_node(dag, "n"), data_and_length, NULL);
}
static void long_chain(ff_dag *dag, ff_workflow *) {
    const char *before = NULL;
    for (int n = 0; n < 100; n++) {
        ff_buffer *id = ff_buffer_new();
        ff_buffer_add_format(id, "n%d", n);
        const char *here = ff_buffer_bytes(id).ptr;
        adds(dag, here, ".");
        if (before) ff_dag_edge(dag, before, here);
        before = here;
    }
}

const flow_case data_cases[] = {
    {"unicode", unicode},
    {"unicode-keys", unicode_keys},
    {"unicode-items", unicode_items},
    {"long-ids", long_ids},
    {"binary", through_all},
    {"empty", through_all},
    {"large", large},
    {"thousand-items", thousand_items},
    {"deep", deep},
    {"long-chain", long_chain},
    {NULL, NULL},
};
