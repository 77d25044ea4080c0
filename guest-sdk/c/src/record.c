/* Walks over what `define` has built: gives every handler its id, as the other SDKs do, and tells the host. */
#include "internal.h"
#include "host.h"
#include <string.h>

/* The texts of the contract are passed as pointer and length. */
#define TEXT(text) wit_pointer(text), (int32_t)strlen(text)
#define BYTES(bytes) wit_pointer((bytes).ptr), (int32_t)(bytes).len

typedef struct { known *items; size_t len, room; const char *nested; } recorder;

/* The most bytes that the contract allows in a handler's id. */
#define LONGEST_ID 256

/* The id, if it is not too long; otherwise its beginning, a `~`, which no path has, and a hash of all of it (FNV-1a). */
static const char *within_limit(const char *id) {
    static const char digits[] = "0123456789abcdef";
    if (strlen(id) <= LONGEST_ID) return id;
    uint64_t hash = 0xcbf29ce484222325;
    for (const char *c = id; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    size_t end = LONGEST_ID - 17;
    while (end && ((unsigned char)id[end] & 0xC0) == 0x80) end--;
    char ending[18] = "~";
    for (int i = 0; i < 16; i++) ending[1 + i] = digits[(hash >> (60 - 4 * i)) & 15];
    return text_join(text_copy((ff_bytes){id, end}), ending, NULL);
}

/* Names a handler, and returns its id. */
static const char *name(recorder *recorder, const char *path, const char *ending, kind kind, handler handler) {
    if (recorder->len == recorder->room) {
        size_t room = recorder->room ? recorder->room * 2 : 32;
        known *items = ff_allocate(room * sizeof *items);
        if (recorder->len) memcpy(items, recorder->items, recorder->len * sizeof *items);
        recorder->items = items, recorder->room = room;
    }
    const char *id = within_limit(text_join(path, ending, NULL));
    recorder->items[recorder->len] = (known){id, recorder->len, kind, handler};
    recorder->len++;
    return id;
}

/* A branch key as paths have it: percent-encoded except for `A-Z a-z 0-9 _ . -`. */
static const char *encoded(const char *key) {
    static const char digits[] = "0123456789ABCDEF";
    char *text = ff_allocate(strlen(key) * 3 + 1), *end = text;
    for (; *key; key++) {
        unsigned char c = (unsigned char)*key;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_.-", c);
        if (is_plain) *end++ = (char)c;
        else *end++ = '%', *end++ = digits[c >> 4], *end++ = digits[c & 15];
    }
    return text;
}

static void record_dag(recorder *recorder, const char *prefix, ff_dag *dag, int32_t host);

static void record_limit(recorder *recorder, const char *path, const ff_limit *limit, int32_t host) {
    if (host && limit->has_concurrent) wit_limit_concurrent(host, (int32_t)limit->concurrent);
    if (host && limit->has_rate) wit_limit_per_second(host, limit->rate);
    if (limit->key.run) {
        const char *id = name(recorder, path, "/limit-key", KEY, limit->key);
        if (host) wit_limit_key(host, TEXT(id));
    }
    if (host) wit_drop_limit(host);
}

static void record_call(recorder *recorder, const char *path, const ff_call *call, int32_t host) {
    if (host) {
        if (call->method) wit_call_method(host, TEXT(call->method));
        for (pair *header = call->headers; header; header = header->next)
            wit_call_header(host, TEXT(header->name), TEXT(header->value));
        for (pair *query = call->queries; query; query = query->next)
            wit_call_query(host, TEXT(query->name), TEXT(query->value));
    }
    if (call->prepare.run) {
        const char *id = name(recorder, path, "/prepare", PREPARE, call->prepare);
        if (host) wit_call_prepare(host, TEXT(id));
    }
    if (call->receive.run) {
        const char *id = name(recorder, path, "/receive", RECEIVE, call->receive);
        if (host) wit_call_receive(host, TEXT(id));
    }
    if (call->recover.run) {
        const char *id = name(recorder, path, "/recover", RECOVER, call->recover);
        if (host) wit_call_recover(host, TEXT(id));
    }
    if (call->recover_from.run) {
        const char *id = name(recorder, path, "/recover-from", RECOVER_FROM, call->recover_from);
        if (host) wit_call_recover_from(host, TEXT(id));
    }
    if (host) {
        const ff_backoff *retry = &call->retry;
        if (call->has_retry)
            wit_call_retry(host, (int32_t)retry->attempts, (int32_t)retry->first_delay_ms, retry->factor,
                           (int32_t)retry->max_delay_ms);
        if (call->retry_on_len) wit_call_retry_on(host, wit_pointer(call->retry_on), (int32_t)call->retry_on_len);
        if (call->has_timeout) wit_call_timeout(host, (int64_t)call->timeout_ms);
        if (call->asynchronous) wit_call_asynchronous(host);
    }
    if (call->limit)
        record_limit(recorder, path, call->limit, host ? wit_call_limit(host, TEXT(call->limit->name)) : NO_HOST);
    if (host) wit_drop_call(host);
}

static void record_wait(recorder *recorder, const char *path, const ff_wait *wait, int32_t node) {
    int32_t host = NO_HOST;
    if (wait->signal) {
        if (node) host = wit_node_wait_for(node, TEXT(wait->signal));
    } else {
        const char *id = name(recorder, path, "", SIGNAL_NAME, wait->name);
        if (node) host = wit_node_wait_for_named(node, TEXT(id));
    }
    if (host && wait->has_timeout) wit_signal_wait_timeout(host, (int64_t)wait->timeout_ms);
    if (wait->recover_from.run) {
        const char *id = name(recorder, path, "/recover-from", RECOVER_FROM, wait->recover_from);
        if (host) wit_signal_wait_recover_from(host, TEXT(id));
    }
    if (host) wit_drop_signal_wait(host);
}

static void record_node(recorder *recorder, const char *path, const ff_node *node, int32_t host) {
    size_t index = 0;
    for (op *op = node->ops; op; op = op->next, index++) {
        const char *place = text_join(path, "/", text_number(index), NULL);
        switch (op->kind) {
        case OP_APPLY:
            record_call(recorder, place, op->call, host ? wit_node_apply(host, TEXT(op->call->target)) : NO_HOST);
            break;
        case OP_REQUEST:
            record_call(recorder, place, op->call, host ? wit_node_request(host, TEXT(op->call->target)) : NO_HOST);
            break;
        case OP_MODIFY: {
            const char *id = name(recorder, place, "", MODIFY, op->handler);
            if (host) wit_node_modify(host, TEXT(id));
            break;
        }
        case OP_SLEEP:
            if (host) wit_node_sleep(host, (int64_t)op->ms);
            break;
        case OP_SLEEP_UNTIL: {
            const char *id = name(recorder, place, "", MOMENT, op->handler);
            if (host) wit_node_sleep_until(host, TEXT(id));
            break;
        }
        case OP_WAIT: record_wait(recorder, place, op->wait, host); break;
        }
    }
    if (host) {
        const ff_backoff *retry = &node->retry;
        if (node->has_retry)
            wit_node_retry(host, (int32_t)retry->attempts, (int32_t)retry->first_delay_ms, retry->factor,
                           (int32_t)retry->max_delay_ms);
        if (node->has_timeout) wit_node_timeout(host, (int64_t)node->timeout_ms);
    }
    if (node->limit)
        record_limit(recorder, path, node->limit, host ? wit_node_limit(host, TEXT(node->limit->name)) : NO_HOST);
    if (host) wit_drop_node(host);
}

static void record_branches(recorder *recorder, const char *path, const member *member, int32_t dag) {
    const branches *branches = member->branches;
    bool chooses = member->kind == IS_CONDITION;
    const char *id = chooses ? name(recorder, path, "/condition", CONDITION, branches->select)
                             : name(recorder, path, "/for-each", FOR_EACH, branches->select);
    int32_t host = NO_HOST;
    if (dag) host = chooses ? wit_dag_condition(dag, TEXT(member->id), TEXT(id)) : wit_dag_for_each(dag, TEXT(member->id), TEXT(id));
    for (branch *branch = branches->branches; branch; branch = branch->next) {
        const char *prefix = text_join(path, "[", encoded(branch->key), "]/", NULL);
        int32_t inner = NO_HOST;
        if (host) inner = chooses ? wit_branches_branch(host, TEXT(branch->key)) : wit_branches_each(host);
        record_dag(recorder, prefix, branch->dag, inner);
    }
    if (branches->aggregator.run) {
        id = name(recorder, path, "/aggregate-branches", AGGREGATE, branches->aggregator);
        if (host) wit_branches_aggregate(host, TEXT(id));
    }
    if (host && branches->carries_nothing) wit_branches_carries_nothing(host);
    if (host && branches->has_max) wit_branches_max_parallel(host, (int32_t)branches->max_parallel);
    if (host && branches->tolerates == TOLERATES_ITEMS) wit_branches_tolerate(host, (int32_t)branches->items);
    if (host && branches->tolerates == TOLERATES_SHARE) wit_branches_tolerate_share(host, branches->share);
    if (branches->gather.run) {
        id = name(recorder, path, "/gather", GATHER, branches->gather);
        if (host) wit_branches_gather(host, TEXT(id));
    }
    if (host) wit_drop_branches(host);
}

static void record_repeat(recorder *recorder, const char *path, const member *member, int32_t dag) {
    const ff_repeat *repeat = member->repeat;
    const char *id = name(recorder, path, "/again", AGAIN, repeat->again);
    int32_t host = dag ? wit_dag_repeat(dag, TEXT(member->id), TEXT(id), (int32_t)repeat->most) : NO_HOST;
    record_dag(recorder, text_join(path, "[]/", NULL), repeat->dag, host ? wit_repeated_dag(host) : NO_HOST);
    if (host && repeat->wait_ms) wit_repeated_wait(host, (int64_t)repeat->wait_ms);
    if (host) wit_drop_repeated(host);
}

static void record_member(recorder *recorder, const char *prefix, const member *member, int32_t host) {
    const char *path = text_join(prefix, member->id, NULL);
    switch (member->kind) {
    case IS_NODE: record_node(recorder, path, member->node, host ? wit_dag_node(host, TEXT(member->id)) : NO_HOST); break;
    case IS_SUB_DAG:
        record_dag(recorder, text_join(path, "/", NULL), member->dag, host ? wit_dag_sub_dag(host, TEXT(member->id)) : NO_HOST);
        break;
    case IS_CONDITION: case IS_FOR_EACH: record_branches(recorder, path, member, host); break;
    case IS_REPEAT: record_repeat(recorder, path, member, host); break;
    }
}

/* What an edge carries, in the order of the contract's variant. */
enum { OUTPUT, NOTHING, FORWARDED };

static void record_edge(recorder *recorder, const char *prefix, const ff_edge *edge, int32_t host) {
    if (edge->forward.run) {
        const char *path = text_join(prefix, edge->from, "->", edge->to, NULL);
        const char *id = name(recorder, path, "/forward", FORWARD, edge->forward);
        if (host) wit_dag_edge(host, TEXT(edge->from), TEXT(edge->to), FORWARDED, TEXT(id));
    } else if (host) {
        wit_dag_edge(host, TEXT(edge->from), TEXT(edge->to), edge->nothing ? NOTHING : OUTPUT, 0, 0);
    }
}

static void record_dag(recorder *recorder, const char *prefix, ff_dag *dag, int32_t host) {
    if (dag->open) {
        if (!recorder->nested) recorder->nested = prefix;
        return;
    }
    dag->open = true;
    for (member *member = dag->members; member; member = member->next) record_member(recorder, prefix, member, host);
    for (edges *edges = dag->edges; edges; edges = edges->next) record_edge(recorder, prefix, edges->edge, host);
    for (named_handler *node = dag->input_aggregators; node; node = node->next) {
        const char *id = name(recorder, text_join(prefix, node->name, NULL), "/aggregate", AGGREGATE, node->handler);
        if (host) wit_dag_aggregate_inputs(host, TEXT(node->name), TEXT(id));
    }
    if (dag->end_aggregator.run) {
        const char *id = name(recorder, prefix, "(end)/aggregate", AGGREGATE, dag->end_aggregator);
        if (host) wit_dag_aggregate_ends(host, TEXT(id));
    }
    for (named_handler *node = dag->recover_nodes; node; node = node->next) {
        const char *id = name(recorder, text_join(prefix, node->name, NULL), "/recover", RECOVER_FROM, node->handler);
        if (host) wit_dag_recover_node(host, TEXT(node->name), TEXT(id));
    }
    if (dag->recover.run) {
        const char *id = name(recorder, prefix, "(recover)", RECOVER_FROM, dag->recover);
        if (host) wit_dag_recover(host, TEXT(id));
    }
    dag->open = false;
    if (host) wit_drop_dag(host);
}

static void record_schedule(const ff_schedule *schedule, int32_t host) {
    if (schedule->time_zone) wit_schedule_time_zone(host, TEXT(schedule->time_zone));
    wit_schedule_missed(host, (int32_t)schedule->missed);
    wit_schedule_overlap(host, (int32_t)schedule->overlap);
    if (schedule->has_input) wit_schedule_input(host, BYTES(schedule->body), TEXT(schedule->media_type));
    wit_drop_schedule(host);
}

static int by_id(const void *a, const void *b) {
    const known *one = a, *other = b;
    int order = strcmp(one->id, other->id);
    return order ? order : one->order < other->order ? -1 : 1;
}

/* Sorts the handlers. Of several with one id, which the host complains of, the last counts. */
static knowns sorted(recorder *recorder) {
    if (recorder->len) qsort(recorder->items, recorder->len, sizeof *recorder->items, by_id);
    size_t len = 0;
    for (size_t i = 0; i < recorder->len; i++) {
        if (len && text_same(recorder->items[len - 1].id, recorder->items[i].id)) len--;
        recorder->items[len++] = recorder->items[i];
    }
    return (knowns){recorder->items, len};
}

ff_result *record(const ff_workflow *workflow, int32_t host, knowns *handlers) {
    recorder recorder = {0};
    if (workflow->on_failure.run) {
        const char *id = name(&recorder, "(failure)", "", RECOVER, workflow->on_failure);
        if (host) wit_workflow_on_failure(host, TEXT(id));
    }
    if (workflow->finally.run) {
        const char *id = name(&recorder, "(finally)", "", FINALLY, workflow->finally);
        if (host) wit_workflow_finally(host, TEXT(id));
    }
    if (host && workflow->has_deadline) wit_workflow_deadline(host, (int64_t)workflow->deadline_ms);
    if (host && workflow->on_exhausted == FF_PAUSE) wit_workflow_on_exhausted(host, FF_PAUSE);
    for (ff_schedule *schedule = host ? workflow->schedules : NULL; schedule; schedule = schedule->next)
        record_schedule(schedule, wit_workflow_schedule(host, TEXT(schedule->name), TEXT(schedule->when)));
    ff_dag empty = {0};
    record_dag(&recorder, "", workflow->dag ? workflow->dag : &empty, host ? wit_workflow_dag(host) : NO_HOST);
    if (recorder.nested) {
        char *node = text_copy(ff_bytes_of(recorder.nested));
        size_t len = strlen(node);
        if (len) node[len - 1] = 0;
        return result_reject(text_join("the dag of `", node, "` contains itself: create a new dag for each level", NULL));
    }
    *handlers = sorted(&recorder);
    if (host) {
        ff_bytes *ids = ff_allocate(handlers->len * sizeof *ids);
        for (size_t i = 0; i < handlers->len; i++) ids[i] = ff_bytes_of(handlers->items[i].id);
        wit_workflow_handlers(host, wit_pointer(ids), (int32_t)handlers->len);
    }
    return NULL;
}
