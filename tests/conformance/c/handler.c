/* The conformance flow in C: the query parameter `case` selects a case. The flows in the other languages have the same cases, in
 * files of the same names. */
#include "parts.h"

ff_result *add(ff_bytes data, void *text) {
    ff_buffer *sum = ff_buffer_new();
    ff_buffer_add(sum, data);
    ff_buffer_add_text(sum, text);
    return ff_data(ff_buffer_bytes(sum));
}

ff_result *same(ff_bytes data, void *) { return ff_data(data); }

ff_bytes joined(ff_inputs inputs) {
    ff_buffer *all = ff_buffer_new();
    ff_buffer_add_text(all, "[");
    for (size_t i = 0; i < inputs.len; i++) {
        ff_buffer_add_format(all, "%s%s=", i ? ", " : "", inputs.items[i].name);
        ff_buffer_add(all, inputs.items[i].data);
    }
    ff_buffer_add_text(all, "]");
    return ff_buffer_bytes(all);
}

ff_result *join(ff_inputs inputs, void *) { return ff_data(joined(inputs)); }

ff_result *concat(ff_inputs inputs, void *) {
    ff_buffer *all = ff_buffer_new();
    for (size_t i = 0; i < inputs.len; i++) ff_buffer_add(all, inputs.items[i].data);
    return ff_data(ff_buffer_bytes(all));
}

ff_result *words(ff_bytes data, void *) {
    ff_items *items = ff_items_new();
    for (size_t from = 0; from < data.len;) {
        size_t len = strcspn(data.ptr + from, " ");
        char *key = memcpy(ff_allocate(len + 1), data.ptr + from, len);
        key[len] = 0;
        ff_items_add(items, key, (ff_bytes){data.ptr + from, len});
        from += len + 1;
    }
    return ff_split(items);
}

ff_result *itself(ff_bytes data, void *) { return ff_keys(data.ptr); }

ff_result *refuse(ff_bytes data, void *) { return ff_reject("no %.*s", FF_BYTES(data)); }

ff_result *picky(ff_bytes data, void *) { return strncmp(data.ptr, "bad", 3) == 0 ? refuse(data, NULL) : ff_data(data); }

const char *kind_of(const ff_failed *failed) {
    static const char *const names[] = {"rejected", "answered", "unreachable", "timed-out", "crashed", "child", "other"};
    return names[failed->kind];
}

ff_result *shown(const ff_failed *failed, void *) {
    ff_buffer *text = ff_buffer_new();
    ff_buffer_add_format(text, "%s %s at %s, tries %u", failed->code, kind_of(failed), failed->path, (unsigned)failed->tries);
    if (failed->status) ff_buffer_add_format(text, ", status %d", failed->status);
    else ff_buffer_add_text(text, ", status none");
    ff_bytes seen = failed->body.ptr ? failed->body : ff_bytes_of("none");
    ff_buffer_add_format(text, ", input %.*s, body %.*s: %s", FF_BYTES(failed->input), FF_BYTES(seen), failed->message);
    return ff_data(ff_buffer_bytes(text));
}

ff_result *body(const ff_response *response, void *) { return ff_data(response->body); }

ff_node *adds(ff_dag *dag, const char *id, const char *text) { return ff_node_modify(ff_dag_node(dag, id), add, (void *)text); }

static ff_result *define(ff_workflow *workflow) {
    const char *name = ff_context_query("case");
    if (!name) {
        /* The host asks for a definition without a request when it loads the module. */
        ff_dag_node(ff_workflow_dag(workflow), "n");
        return ff_ok();
    }
    const flow_case *const all[] = {constructs, calls, contexts, failures, data_cases};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (const flow_case *one = all[i]; one->name; one++) {
            if (strcmp(one->name, name)) continue;
            one->define(ff_workflow_dag(workflow), workflow);
            return ff_ok();
        }
    }
    return ff_reject("there is no case `%s`", name);
}

FF_FLOW(define)
