/* A flow with one node, whose code is here. Add nodes, edges and handlers: docs/languages/c.md says how. */
#include <faas_flow.h>

static ff_result *greet(ff_bytes name, void *) {
    name = ff_bytes_trim(name);
    if (name.len == 0) return ff_reject("there is no name to greet: send one as the body");
    return ff_format("Hello, %.*s!", FF_BYTES(name));
}

static ff_result *define(ff_workflow *workflow) {
    ff_node_modify(ff_dag_node(ff_workflow_dag(workflow), "greet"), greet, NULL);
    return ff_ok();
}

FF_FLOW(define)
