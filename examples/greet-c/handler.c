/* Greets by name. The smallest possible flow: one node with one modifier. */
#include <faas_flow.h>

static ff_result *greet(ff_bytes name, void *) {
    if (!ff_bytes_are_utf8(name)) return ff_reject("the name is not valid UTF-8");
    name = ff_bytes_trim(name);
    if (name.len == 0) return ff_reject("there is no name to greet: send one as the body");
    return ff_format("Hello, %.*s!", FF_BYTES(name));
}

static ff_result *define(ff_workflow *workflow) {
    ff_dag *dag = ff_workflow_dag(workflow);
    ff_node_modify(ff_dag_node(dag, "greet"), greet, NULL);
    return ff_ok();
}

FF_FLOW(define)
