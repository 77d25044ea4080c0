/* The builder: keeps what `define` describes, until record.c gives every handler its id. */
#include "internal.h"
#include <string.h>

/* The name of the function that is being called, for messages. */
#define TEXT(what, text) flow_text(__func__, what, text)

static handler checked(const char *function, void (*run)(void), void *user) {
    if (!run) flow_mistake(function, "the handler is NULL");
    return (handler){run, user, flow_place()};
}
/* Any function may be kept as another type, and is called as its own. */
#define HANDLER(run, user) checked(__func__, (void (*)(void))(run), user)

/* An object that is NULL is a mistake, and then a new one takes its place. */
static bool is_there(const char *function, const void *object) {
    if (!object) flow_mistake(function, "its first argument is NULL");
    else if (flow_phase() != DEFINING) flow_mistake(function, "a flow is described in `define`, not in a handler");
    return object != NULL;
}
#define OBJECT(object) ((object) = is_there(__func__, object) ? (object) : ff_allocate(sizeof *(object)))

ff_backoff ff_attempts(uint32_t attempts) { return (ff_backoff){attempts, 100, 2, 10000}; }

ff_dag *ff_workflow_dag(ff_workflow *workflow) {
    OBJECT(workflow);
    if (!workflow->dag) workflow->dag = ff_dag_new();
    return workflow->dag;
}

void ff_workflow_set_dag(ff_workflow *workflow, ff_dag *dag) {
    OBJECT(workflow);
    if (!dag) flow_mistake(__func__, "the dag is NULL");
    workflow->dag = dag;
}

ff_node *ff_workflow_sync_node(ff_workflow *workflow) { return ff_dag_node(ff_workflow_dag(workflow), "sync"); }

void ff_workflow_on_failure(ff_workflow *workflow, ff_on_error *recover, void *user) {
    OBJECT(workflow)->on_failure = HANDLER(recover, user);
}

void ff_workflow_finally(ff_workflow *workflow, ff_on_end *finally, void *user) {
    OBJECT(workflow)->finally = HANDLER(finally, user);
}

void ff_workflow_deadline(ff_workflow *workflow, uint64_t ms) {
    OBJECT(workflow)->deadline_ms = ms;
    workflow->has_deadline = true;
}

void ff_workflow_on_exhausted(ff_workflow *workflow, ff_exhausted then) { OBJECT(workflow)->on_exhausted = then; }

ff_schedule *ff_workflow_schedule(ff_workflow *workflow, const char *name, const char *when) {
    OBJECT(workflow);
    ff_schedule *schedule = NEW(ff_schedule);
    schedule->name = TEXT("the name", name);
    schedule->when = TEXT("the expression", when);
    APPEND(workflow->schedules, schedule);
    return schedule;
}

ff_schedule *ff_schedule_time_zone(ff_schedule *schedule, const char *name) {
    OBJECT(schedule)->time_zone = TEXT("the name", name);
    return schedule;
}

ff_schedule *ff_schedule_missed(ff_schedule *schedule, ff_missed then) {
    OBJECT(schedule)->missed = then;
    return schedule;
}

ff_schedule *ff_schedule_overlap(ff_schedule *schedule, ff_overlap then) {
    OBJECT(schedule)->overlap = then;
    return schedule;
}

ff_schedule *ff_schedule_input(ff_schedule *schedule, ff_bytes body, const char *media_type) {
    OBJECT(schedule)->has_input = true;
    schedule->body = (ff_bytes){text_copy(body), body.len};
    schedule->media_type = TEXT("the media type", media_type);
    return schedule;
}

ff_dag *ff_dag_new(void) {
    ff_dag *dag = NEW(ff_dag);
    return OBJECT(dag);
}

static member *add(ff_dag *dag, const char *id, member_kind kind) {
    member *member = ff_allocate(sizeof *member);
    member->id = id;
    member->kind = kind;
    APPEND(dag->members, member);
    return member;
}

ff_node *ff_dag_node(ff_dag *dag, const char *id) {
    OBJECT(dag);
    ff_node *node = NEW(ff_node);
    node->dag = dag;
    node->id = TEXT("the id", id);
    add(dag, node->id, IS_NODE)->node = node;
    return node;
}

void ff_dag_sub_dag(ff_dag *dag, const char *id, ff_dag *inner) {
    OBJECT(dag);
    if (!inner) flow_mistake(__func__, "the inner dag is NULL");
    add(dag, TEXT("the id", id), IS_SUB_DAG)->dag = inner;
}

ff_condition *ff_dag_condition(ff_dag *dag, const char *id, ff_on_data *choose, void *user) {
    OBJECT(dag);
    ff_condition *condition = NEW(ff_condition);
    condition->of.select = HANDLER(choose, user);
    add(dag, TEXT("the id", id), IS_CONDITION)->branches = &condition->of;
    return condition;
}

static ff_dag *branch_of(branches *branches, const char *key) {
    for (branch *known = branches->branches; known; known = known->next)
        if (text_same(known->key, key)) return known->dag;
    branch *new = NEW(branch);
    new->key = key;
    new->dag = ff_dag_new();
    APPEND(branches->branches, new);
    return new->dag;
}

ff_for_each *ff_dag_for_each(ff_dag *dag, const char *id, ff_on_data *split, void *user) {
    OBJECT(dag);
    ff_for_each *for_each = NEW(ff_for_each);
    for_each->of.select = HANDLER(split, user);
    add(dag, TEXT("the id", id), IS_FOR_EACH)->branches = &for_each->of;
    branch_of(&for_each->of, "");
    return for_each;
}

ff_repeat *ff_dag_repeat(ff_dag *dag, const char *id, ff_on_round *again, void *user) {
    OBJECT(dag);
    ff_repeat *repeat = NEW(ff_repeat);
    *repeat = (ff_repeat){HANDLER(again, user), ff_dag_new(), 100, 0};
    add(dag, TEXT("the id", id), IS_REPEAT)->repeat = repeat;
    return repeat;
}

ff_edge *ff_dag_edge(ff_dag *dag, const char *from, const char *to) {
    OBJECT(dag);
    ff_edge *edge = NEW(ff_edge);
    edge->from = TEXT("`from`", from);
    edge->to = TEXT("`to`", to);
    edges *last = NEW(edges);
    last->edge = edge;
    APPEND(dag->edges, last);
    return edge;
}

static named_handler *named(const char *node, handler handler) {
    named_handler *named = ff_allocate(sizeof *named);
    named->name = node;
    named->handler = handler;
    return named;
}

void ff_dag_input_aggregator(ff_dag *dag, const char *node, ff_on_inputs *aggregator, void *user) {
    OBJECT(dag);
    APPEND(dag->input_aggregators, named(TEXT("the id of the node", node), HANDLER(aggregator, user)));
}

void ff_dag_end_aggregator(ff_dag *dag, ff_on_inputs *aggregator, void *user) {
    OBJECT(dag)->end_aggregator = HANDLER(aggregator, user);
}

void ff_dag_recover_node(ff_dag *dag, const char *node, ff_on_failed *recover, void *user) {
    OBJECT(dag);
    APPEND(dag->recover_nodes, named(TEXT("the id of the node", node), HANDLER(recover, user)));
}

void ff_dag_recover_from(ff_dag *dag, ff_on_failed *recover, void *user) {
    OBJECT(dag)->recover = HANDLER(recover, user);
}

/* Appends copies of the items of a list. The copied ones are counted first, since a dag may be appended to itself. */
#define APPEND_ALL(list, other)                                                                                         \
    do {                                                                                                                \
        size_t len_ = 0;                                                                                                \
        for (__typeof__(list) item_ = (other); item_; item_ = item_->next) len_++;                                      \
        for (__typeof__(list) item_ = (other); len_; item_ = item_->next, len_--) {                                     \
            __typeof__(list) copy_ = ff_copy(item_, sizeof *item_);                                                     \
            copy_->next = NULL;                                                                                         \
            APPEND(list, copy_);                                                                                        \
        }                                                                                                               \
    } while (0)

void ff_dag_append(ff_dag *dag, const ff_dag *other) {
    OBJECT(dag);
    if (!other) {
        flow_mistake(__func__, "the other dag is NULL");
        return;
    }
    APPEND_ALL(dag->members, other->members);
    APPEND_ALL(dag->edges, other->edges);
    APPEND_ALL(dag->input_aggregators, other->input_aggregators);
    APPEND_ALL(dag->recover_nodes, other->recover_nodes);
}

ff_edge *ff_edge_execution(ff_edge *edge) {
    OBJECT(edge)->nothing = true;
    edge->forward = (handler){0};
    return edge;
}

ff_edge *ff_edge_forwarder(ff_edge *edge, ff_on_data *forward, void *user) {
    OBJECT(edge)->forward = HANDLER(forward, user);
    edge->nothing = false;
    return edge;
}

static op *operation(ff_node *node, op_kind kind) {
    op *operation = NEW(op);
    operation->kind = kind;
    APPEND(node->ops, operation);
    return operation;
}

static ff_call *call_of(ff_node *node, op_kind kind, const char *target) {
    ff_call *call = NEW(ff_call);
    call->node = node;
    call->target = target;
    operation(node, kind)->call = call;
    return call;
}

ff_call *ff_node_apply(ff_node *node, const char *function) {
    return call_of(OBJECT(node), OP_APPLY, TEXT("the function", function));
}

ff_call *ff_node_request(ff_node *node, const char *url) { return call_of(OBJECT(node), OP_REQUEST, TEXT("the URL", url)); }

ff_node *ff_node_modify(ff_node *node, ff_on_data *modifier, void *user) {
    operation(OBJECT(node), OP_MODIFY)->handler = HANDLER(modifier, user);
    return node;
}

ff_node *ff_node_sleep(ff_node *node, uint64_t ms) {
    operation(OBJECT(node), OP_SLEEP)->ms = ms;
    return node;
}

ff_node *ff_node_sleep_until(ff_node *node, ff_on_data *moment, void *user) {
    operation(OBJECT(node), OP_SLEEP_UNTIL)->handler = HANDLER(moment, user);
    return node;
}

static ff_wait *wait_of(ff_node *node) { return operation(node, OP_WAIT)->wait = NEW(ff_wait); }

ff_wait *ff_node_wait_for(ff_node *node, const char *signal) {
    ff_wait *wait = wait_of(OBJECT(node));
    wait->signal = TEXT("the signal", signal);
    return wait;
}

ff_wait *ff_node_wait_for_named(ff_node *node, ff_on_data *name, void *user) {
    ff_wait *wait = wait_of(OBJECT(node));
    wait->name = HANDLER(name, user);
    return wait;
}

ff_node *ff_node_aggregator(ff_node *node, ff_on_inputs *aggregator, void *user) {
    OBJECT(node);
    if (node->dag) ff_dag_input_aggregator(node->dag, node->id, aggregator, user);
    return node;
}

ff_node *ff_node_recover_from(ff_node *node, ff_on_failed *recover, void *user) {
    OBJECT(node);
    if (node->dag) ff_dag_recover_node(node->dag, node->id, recover, user);
    return node;
}

ff_node *ff_node_retry(ff_node *node, ff_backoff policy) {
    OBJECT(node)->retry = policy;
    node->has_retry = true;
    return node;
}

ff_node *ff_node_timeout(ff_node *node, uint64_t ms) {
    OBJECT(node)->timeout_ms = ms;
    node->has_timeout = true;
    return node;
}

static ff_limit *limit_of(const char *name) {
    ff_limit *limit = NEW(ff_limit);
    limit->name = name;
    return limit;
}

ff_limit *ff_node_limit(ff_node *node, const char *name) { return OBJECT(node)->limit = limit_of(TEXT("the name", name)); }

ff_call *ff_call_method(ff_call *call, const char *method) {
    OBJECT(call)->method = TEXT("the method", method);
    return call;
}

static pair *pair_of(const char *name, const char *value) {
    pair *new = NEW(pair);
    *new = (pair){NULL, name, value};
    return new;
}

ff_call *ff_call_header(ff_call *call, const char *name, const char *value) {
    OBJECT(call);
    APPEND(call->headers, pair_of(TEXT("the name", name), TEXT("the value", value)));
    return call;
}

ff_call *ff_call_query(ff_call *call, const char *name, const char *value) {
    OBJECT(call);
    APPEND(call->queries, pair_of(TEXT("the name", name), TEXT("the value", value)));
    return call;
}

ff_call *ff_call_prepare(ff_call *call, ff_on_request *prepare, void *user) {
    OBJECT(call)->prepare = HANDLER(prepare, user);
    return call;
}

ff_call *ff_call_receive(ff_call *call, ff_on_response *receive, void *user) {
    OBJECT(call)->receive = HANDLER(receive, user);
    return call;
}

ff_call *ff_call_recover(ff_call *call, ff_on_error *recover, void *user) {
    OBJECT(call)->recover = HANDLER(recover, user);
    return call;
}

ff_call *ff_call_recover_from(ff_call *call, ff_on_failed *recover, void *user) {
    OBJECT(call)->recover_from = HANDLER(recover, user);
    return call;
}

ff_call *ff_call_retry(ff_call *call, ff_backoff policy) {
    OBJECT(call)->retry = policy;
    call->has_retry = true;
    return call;
}

ff_call *ff_call_retry_on(ff_call *call, const uint16_t *statuses, size_t len) {
    OBJECT(call)->retry_on = ff_copy(statuses, len * sizeof *statuses);
    call->retry_on_len = len;
    return call;
}

ff_call *ff_call_timeout(ff_call *call, uint64_t ms) {
    OBJECT(call)->timeout_ms = ms;
    call->has_timeout = true;
    return call;
}

ff_call *ff_call_asynchronous(ff_call *call) {
    OBJECT(call)->asynchronous = true;
    return call;
}

ff_limit *ff_call_limit(ff_call *call, const char *name) { return OBJECT(call)->limit = limit_of(TEXT("the name", name)); }

ff_limit *ff_limit_concurrent(ff_limit *limit, uint32_t count) {
    OBJECT(limit)->concurrent = count;
    limit->has_concurrent = true;
    return limit;
}

ff_limit *ff_limit_per_second(ff_limit *limit, double rate) {
    OBJECT(limit)->rate = rate;
    limit->has_rate = true;
    return limit;
}

ff_limit *ff_limit_key(ff_limit *limit, ff_on_data *key, void *user) {
    OBJECT(limit)->key = HANDLER(key, user);
    return limit;
}

ff_wait *ff_wait_timeout(ff_wait *wait, uint64_t ms) {
    OBJECT(wait)->timeout_ms = ms;
    wait->has_timeout = true;
    return wait;
}

ff_wait *ff_wait_recover_from(ff_wait *wait, ff_on_failed *recover, void *user) {
    OBJECT(wait)->recover_from = HANDLER(recover, user);
    return wait;
}

ff_dag *ff_condition_branch(ff_condition *condition, const char *key) {
    return branch_of(&OBJECT(condition)->of, TEXT("the key", key));
}

ff_condition *ff_condition_aggregator(ff_condition *condition, ff_on_inputs *aggregator, void *user) {
    OBJECT(condition)->of.aggregator = HANDLER(aggregator, user);
    return condition;
}

ff_condition *ff_condition_execution(ff_condition *condition) {
    OBJECT(condition)->of.carries_nothing = true;
    return condition;
}

static void set_max(branches *branches, uint32_t count) {
    branches->has_max = true;
    branches->max_parallel = count;
}

ff_condition *ff_condition_max_parallel(ff_condition *condition, uint32_t count) {
    set_max(&OBJECT(condition)->of, count);
    return condition;
}

ff_dag *ff_for_each_dag(ff_for_each *for_each) { return branch_of(&OBJECT(for_each)->of, ""); }

ff_for_each *ff_for_each_aggregator(ff_for_each *for_each, ff_on_inputs *aggregator, void *user) {
    OBJECT(for_each)->of.aggregator = HANDLER(aggregator, user);
    return for_each;
}

ff_for_each *ff_for_each_execution(ff_for_each *for_each) {
    OBJECT(for_each)->of.carries_nothing = true;
    return for_each;
}

ff_for_each *ff_for_each_max_parallel(ff_for_each *for_each, uint32_t count) {
    set_max(&OBJECT(for_each)->of, count);
    return for_each;
}

ff_for_each *ff_for_each_tolerate(ff_for_each *for_each, uint32_t items) {
    OBJECT(for_each)->of.tolerates = TOLERATES_ITEMS;
    for_each->of.items = items;
    return for_each;
}

ff_for_each *ff_for_each_tolerate_share(ff_for_each *for_each, float share) {
    OBJECT(for_each)->of.tolerates = TOLERATES_SHARE;
    for_each->of.share = share;
    return for_each;
}

ff_for_each *ff_for_each_gather(ff_for_each *for_each, ff_on_gathered *gather, void *user) {
    OBJECT(for_each)->of.gather = HANDLER(gather, user);
    return for_each;
}

ff_dag *ff_repeat_dag(ff_repeat *repeat) {
    if (!OBJECT(repeat)->dag) repeat->dag = ff_dag_new();
    return repeat->dag;
}

ff_repeat *ff_repeat_most(ff_repeat *repeat, uint32_t rounds) {
    OBJECT(repeat)->most = rounds;
    return repeat;
}

ff_repeat *ff_repeat_wait(ff_repeat *repeat, uint64_t ms) {
    OBJECT(repeat)->wait_ms = ms;
    return repeat;
}
