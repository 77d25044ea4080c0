/* What a definition consists of: nodes, edges, dags within dags, waits, limits and what belongs to the whole flow. */
#include "parts.h"

/* A node before two others, which are before the node `last`. */
static void diamond(ff_dag *dag) {
    adds(dag, "first", "!");
    for (int i = 0; i < 2; i++) {
        const char *side = i ? "right" : "left";
        adds(dag, side, side);
        ff_dag_edge(dag, "first", side);
        ff_dag_edge(dag, side, "last");
    }
}

/* A node before two others, with which the dag ends. */
static void two_ends(ff_dag *dag, ff_workflow *) {
    ff_dag_node(dag, "first");
    for (int i = 0; i < 2; i++) {
        const char *end = i ? "a" : "b";
        adds(dag, end, end);
        ff_dag_edge(dag, "first", end);
    }
}

/* Two nodes, one after the other. */
static ff_dag *chain(const char *first, const char *last) {
    ff_dag *dag = ff_dag_new();
    adds(dag, first, first);
    adds(dag, last, last);
    ff_dag_edge(dag, first, last);
    return dag;
}

static void operations(ff_dag *dag, ff_workflow *) {
    ff_node *node = adds(dag, "n", " a");
    ff_node_apply(node, "echo");
    ff_node_modify(ff_node_modify(node, add, " b"), add, " c");
}
static void no_operations(ff_dag *dag, ff_workflow *) { ff_dag_node(dag, "n"); }
static void node_aggregator(ff_dag *dag, ff_workflow *) {
    diamond(dag);
    ff_node_modify(ff_node_aggregator(ff_dag_node(dag, "last"), join, NULL), add, " last");
}
static void input_aggregator(ff_dag *dag, ff_workflow *) {
    diamond(dag);
    ff_dag *inner = ff_dag_new();
    adds(inner, "n", " n");
    ff_dag_sub_dag(dag, "last", inner);
    ff_dag_input_aggregator(dag, "last", join, NULL);
}
static void end_aggregator(ff_dag *dag, ff_workflow *workflow) {
    two_ends(dag, workflow);
    ff_dag_end_aggregator(dag, join, NULL);
}
static void execution_edge(ff_dag *dag, ff_workflow *) {
    adds(dag, "a", " a");
    adds(dag, "b", "b");
    ff_edge_execution(ff_dag_edge(dag, "a", "b"));
}
static void forwarder(ff_dag *dag, ff_workflow *) {
    adds(dag, "a", " a");
    adds(dag, "b", " b");
    ff_edge_forwarder(ff_dag_edge(dag, "a", "b"), add, " forwarded");
}
static void sub_dag(ff_dag *dag, ff_workflow *) {
    ff_dag_sub_dag(dag, "S", chain("a", "b"));
    adds(dag, "after", " after");
    ff_dag_edge(dag, "S", "after");
}
static void nested_sub_dags(ff_dag *dag, ff_workflow *) {
    /* The same dag at two places, one of which is inside another. */
    ff_dag *same_dag = chain("a", "b"), *outer = ff_dag_new();
    ff_dag_sub_dag(outer, "inner", same_dag);
    ff_dag_sub_dag(dag, "outer", outer);
    ff_dag_sub_dag(dag, "again", same_dag);
    ff_dag_edge(dag, "outer", "again");
}
static void append(ff_dag *dag, ff_workflow *) {
    ff_dag *more = chain("b", "c");
    adds(dag, "a", " a");
    ff_dag_append(dag, more);
    ff_dag_edge(dag, "a", "b");
}
static void set_dag(ff_dag *dag, ff_workflow *workflow) {
    ff_dag_node(dag, "forgotten");
    ff_workflow_set_dag(workflow, chain("a", "b"));
}

static void condition(ff_dag *dag, ff_workflow *) {
    ff_condition *way = ff_dag_condition(dag, "C", itself, NULL);
    adds(ff_condition_branch(way, "yes"), "n", " taken");
    adds(ff_condition_branch(way, "no"), "n", " refused");
    adds(dag, "after", " after");
    ff_dag_edge(dag, "C", "after");
}
static ff_result *c_and_a(ff_bytes, void *) { return ff_keys("c", "a"); }
static void condition_of_several(ff_dag *dag, ff_workflow *) {
    ff_condition *ways = ff_dag_condition(dag, "C", c_and_a, NULL);
    ff_condition_max_parallel(ff_condition_aggregator(ways, join, NULL), 1);
    const char *const keys[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) adds(ff_condition_branch(ways, keys[i]), "n", " way");
}
static ff_result *a_and_b(ff_bytes, void *) { return ff_keys("a", "b"); }
static void condition_with_execution(ff_dag *dag, ff_workflow *) {
    ff_condition *ways = ff_condition_execution(ff_dag_condition(dag, "C", a_and_b, NULL));
    ff_node_apply(ff_dag_node(ff_condition_branch(ways, "a"), "n"), "echo");
    ff_node_apply(adds(ff_condition_branch(ways, "b"), "n", "b"), "echo");
}

static void for_each(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_aggregator(ff_dag_for_each(dag, "F", words, NULL), join, NULL);
    adds(ff_for_each_dag(ff_for_each_max_parallel(items, 2)), "n", "!");
}
static void for_each_with_execution(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_execution(ff_dag_for_each(dag, "F", words, NULL));
    ff_node_apply(adds(ff_for_each_dag(items), "n", "item"), "echo");
    adds(dag, "after", "after");
    ff_dag_edge(dag, "F", "after");
}
static ff_result *nothing(ff_bytes, void *) { return ff_split(ff_items_new()); }
static void for_each_of_nothing(ff_dag *dag, ff_workflow *) {
    ff_dag_node(ff_for_each_dag(ff_for_each_aggregator(ff_dag_for_each(dag, "F", nothing, NULL), join, NULL)), "n");
    adds(dag, "after", "after");
    ff_dag_edge(dag, "F", "after");
}
static ff_result *only(ff_bytes, void *) { return ff_keys("only"); }
static ff_result *x_and_y(ff_bytes data, void *) {
    ff_items *items = ff_items_new();
    ff_items_add(items, "x", data);
    ff_items_add(items, "y", data);
    return ff_split(items);
}
static void for_each_in_a_branch(ff_dag *dag, ff_workflow *) {
    ff_dag *way = ff_condition_branch(ff_dag_condition(dag, "C", only, NULL), "only");
    ff_dag *items = ff_for_each_dag(ff_for_each_aggregator(ff_dag_for_each(way, "F", words, NULL), join, NULL));
    ff_dag *inner = ff_for_each_dag(ff_for_each_aggregator(ff_dag_for_each(items, "G", x_and_y, NULL), join, NULL));
    adds(inner, "n", ".");
}

static ff_result *thrice(ff_bytes, uint32_t round, void *) { return ff_again(round < 3); }
static void repeat(ff_dag *dag, ff_workflow *) {
    ff_repeat *rounds = ff_repeat_most(ff_dag_repeat(dag, "R", thrice, NULL), 5);
    adds(ff_repeat_dag(ff_repeat_wait(rounds, FF_MINUTES(1))), "n", "+");
}
static ff_result *for_ever(ff_bytes, uint32_t, void *) { return ff_again(true); }
static void repeat_too_often(ff_dag *dag, ff_workflow *) {
    ff_dag *round = ff_repeat_dag(ff_repeat_most(ff_dag_repeat(dag, "R", for_ever, NULL), 2));
    ff_node_apply(ff_dag_node(round, "n"), "echo");
}

static void sleep_(ff_dag *dag, ff_workflow *) {
    ff_node_modify(ff_node_sleep(adds(dag, "n", " before"), FF_HOURS(1)), add, " after");
}
static ff_result *at(ff_bytes data, void *) { return ff_at(data.ptr); }
static ff_result *after(ff_bytes, void *) { return ff_after(1500); }
static void sleep_until(ff_dag *dag, ff_workflow *) {
    ff_node_modify(ff_node_sleep_until(ff_dag_node(dag, "n"), at, NULL), add, " at");
    ff_node_modify(ff_node_sleep_until(ff_dag_node(dag, "m"), after, NULL), add, " after");
    ff_dag_edge(dag, "n", "m");
}
static void wait_for(ff_dag *dag, ff_workflow *) {
    ff_node *node = adds(dag, "n", " before");
    ff_node_wait_for(node, "approval");
    ff_node_modify(node, add, " after");
}
static ff_result *signed_by(ff_bytes item, void *) { return ff_format("signed-by-%.*s", FF_BYTES(item)); }
static void wait_for_named(ff_dag *dag, ff_workflow *) {
    ff_for_each *items = ff_for_each_aggregator(ff_dag_for_each(dag, "F", words, NULL), join, NULL);
    ff_node_wait_for_named(ff_dag_node(ff_for_each_dag(items), "n"), signed_by, NULL);
}
static ff_result *late(const ff_failed *failed, void *) {
    return ff_format("%s of %.*s", kind_of(failed), FF_BYTES(failed->input));
}
static void wait_timeout(ff_dag *dag, ff_workflow *) {
    ff_wait_recover_from(ff_wait_timeout(ff_node_wait_for(ff_dag_node(dag, "n"), "never"), FF_DAYS(2)), late, NULL);
}

static void by_data(ff_limit *limit) { ff_limit_key(ff_limit_per_second(ff_limit_concurrent(limit, 2), 2.5), same, NULL); }
static void limits(ff_dag *dag, ff_workflow *) {
    ff_node *n = adds(dag, "n", "n"), *m = adds(dag, "m", " m");
    ff_limit_concurrent(ff_node_limit(n, "nodes"), 1);
    by_data(ff_call_limit(ff_node_apply(n, "echo"), "calls"));
    by_data(ff_node_limit(m, "calls"));
    ff_dag_edge(dag, "n", "m");
}
static void schedules(ff_dag *dag, ff_workflow *workflow) {
    ff_dag_node(dag, "n");
    ff_schedule *nightly = ff_schedule_time_zone(ff_workflow_schedule(workflow, "nightly", "0 30 2 * * *"), "Europe/Berlin");
    ff_schedule_overlap(ff_schedule_missed(nightly, FF_MISSED_ONE), FF_OVERLAP_QUEUE);
    ff_schedule_input(nightly, ff_bytes_of("{}"), "application/json");
    ff_schedule *poll = ff_schedule_missed(ff_workflow_schedule(workflow, "poll", "every 10m"), FF_MISSED_ALL);
    ff_schedule_input(ff_schedule_overlap(poll, FF_OVERLAP_REPLACE), (ff_bytes){"\xff", 1}, "");
    ff_schedule *daily = ff_schedule_missed(ff_workflow_schedule(workflow, "daily", "@daily"), FF_MISSED_SKIP);
    ff_schedule_overlap(daily, FF_OVERLAP_ALLOW);
}
static void deadline(ff_dag *dag, ff_workflow *workflow) {
    ff_node_sleep(ff_dag_node(dag, "n"), FF_HOURS(1));
    ff_workflow_deadline(workflow, FF_SECONDS(90));
}
static void on_exhausted(ff_dag *dag, ff_workflow *workflow) {
    ff_node_apply(ff_dag_node(dag, "n"), "step");
    ff_workflow_on_exhausted(workflow, FF_PAUSE);
}

static const char *state(void) {
    static const char *const names[] = {"running", "paused", "stopped", "succeeded", "failed"};
    return names[ff_context_state()];
}
static ff_result *failed(const char *error, void *) {
    ff_context_log(FF_INFO, "%s with %s", state(), error);
    return ff_text("sorry");
}
static ff_result *told(ff_outcome outcome, void *) {
    ff_context_log(FF_INFO, "%s, %s", outcome == FF_SUCCESS ? "success" : "failure", state());
    return ff_ok();
}
static void on_failure(ff_dag *dag, ff_workflow *workflow) {
    ff_node_modify(ff_dag_node(dag, "n"), refuse, NULL);
    ff_workflow_on_failure(workflow, failed, NULL);
    ff_workflow_finally(workflow, told, NULL);
}
static ff_result *ended(ff_outcome outcome, void *) {
    ff_context_log(FF_INFO, "ended %s, %s", outcome == FF_SUCCESS ? "well" : "badly", state());
    return ff_ok();
}
static void finally(ff_dag *dag, ff_workflow *workflow) {
    adds(dag, "n", "!");
    ff_workflow_finally(workflow, ended, NULL);
}

const flow_case constructs[] = {
    {"operations", operations},
    {"no-operations", no_operations},
    {"node-aggregator", node_aggregator},
    {"input-aggregator", input_aggregator},
    {"end-aggregator", end_aggregator},
    {"two-ends", two_ends},
    {"execution-edge", execution_edge},
    {"forwarder", forwarder},
    {"sub-dag", sub_dag},
    {"nested-sub-dags", nested_sub_dags},
    {"append", append},
    {"set-dag", set_dag},
    {"condition", condition},
    {"condition-of-several", condition_of_several},
    {"condition-with-execution", condition_with_execution},
    {"for-each", for_each},
    {"for-each-with-execution", for_each_with_execution},
    {"for-each-of-nothing", for_each_of_nothing},
    {"for-each-in-a-branch", for_each_in_a_branch},
    {"repeat", repeat},
    {"repeat-too-often", repeat_too_often},
    {"sleep", sleep_},
    {"sleep-until", sleep_until},
    {"wait-for", wait_for},
    {"wait-for-named", wait_for_named},
    {"wait-timeout", wait_timeout},
    {"limits", limits},
    {"schedules", schedules},
    {"deadline", deadline},
    {"on-exhausted", on_exhausted},
    {"on-failure", on_failure},
    {"finally", finally},
    {NULL, NULL},
};
