/* Branches that are chosen at run time: a condition, with a for-each in one of its branches. */
#include <faas_flow.h>

static ff_result *append(ff_bytes data, void *suffix) {
    ff_buffer *out = ff_buffer_new();
    ff_buffer_add(out, data);
    ff_buffer_add_text(out, suffix);
    return ff_data(ff_buffer_bytes(out));
}

static ff_result *both(ff_bytes, void *) { return ff_keys("c1", "c2"); }

static ff_result *twice(ff_bytes data, void *) {
    ff_items *items = ff_items_new();
    ff_items_add(items, "f1", data);
    ff_items_add(items, "f2", data);
    return ff_split(items);
}

static ff_result *join(ff_inputs results, void *) {
    ff_buffer *out = ff_buffer_new();
    for (size_t i = 0; i < results.len; i++) {
        ff_buffer_add_format(out, "%s%s=", i ? ", " : "", results.items[i].name);
        ff_buffer_add(out, results.items[i].data);
    }
    return ff_data(ff_buffer_bytes(out));
}

static ff_result *define(ff_workflow *workflow) {
    ff_dag *dag = ff_workflow_dag(workflow);
    ff_node_modify(ff_dag_node(dag, "n1"), append, " n1");

    ff_condition *branches = ff_dag_condition(dag, "C", both, NULL);
    ff_condition_aggregator(branches, join, NULL);

    ff_for_each *items = ff_dag_for_each(ff_condition_branch(branches, "c1"), "F", twice, NULL);
    ff_for_each_aggregator(items, join, NULL);
    ff_node_modify(ff_dag_node(ff_for_each_dag(items), "n1"), append, " F/n1");

    ff_node *other = ff_dag_node(ff_condition_branch(branches, "c2"), "n1");
    ff_node_apply(other, "func1");
    ff_node_modify(other, append, " c2/n1");

    ff_node_apply(ff_dag_node(dag, "n2"), "fake-storage");
    ff_dag_edge(dag, "n1", "C");
    ff_dag_edge(dag, "C", "n2");
    return ff_ok();
}

FF_FLOW(define)
