/* What the files of the SDK share. Authors do not include it. */
#ifndef FF_INTERNAL_H
#define FF_INTERNAL_H

#define FF_NO_PLACES
#include "../include/faas_flow.h"

/* A place in the author's code. `file` is NULL where it is not known. */
typedef struct {
    const char *file;
    int line;
} place;

/* Kinds of handlers, in the order of `kind_names`. */
typedef enum {
    MODIFY, AGGREGATE, CONDITION, FOR_EACH, FORWARD, PREPARE, RECEIVE, RECOVER, FINALLY,
    RECOVER_FROM, GATHER, MOMENT, SIGNAL_NAME, AGAIN, KEY,
} kind;

/* A handler as the author gave it. `run` is NULL if there is none. */
typedef struct {
    void (*run)(void);
    void *user;
    place at;
} handler;

/* --- model.c: what `define` has built ------------------------------------------------------------------------------- */

typedef struct pair { struct pair *next; const char *name, *value; } pair;
typedef struct named_handler { struct named_handler *next; const char *name; handler handler; } named_handler;

struct ff_limit { const char *name; uint32_t concurrent; bool has_concurrent, has_rate; double rate; handler key; };

struct ff_call {
    struct ff_node *node;
    const char *target, *method;
    pair *headers, *queries;
    handler prepare, receive, recover, recover_from;
    bool has_retry, has_timeout, asynchronous;
    ff_backoff retry;
    uint16_t *retry_on;
    size_t retry_on_len;
    uint64_t timeout_ms;
    ff_limit *limit;
};

struct ff_wait { const char *signal; handler name, recover_from; bool has_timeout; uint64_t timeout_ms; };

typedef enum { OP_APPLY, OP_REQUEST, OP_MODIFY, OP_SLEEP, OP_SLEEP_UNTIL, OP_WAIT } op_kind;
typedef struct op {
    struct op *next;
    op_kind kind;
    ff_call *call;
    ff_wait *wait;
    handler handler;
    uint64_t ms;
} op;

struct ff_node {
    ff_dag *dag;
    const char *id;
    op *ops;
    bool has_retry, has_timeout;
    ff_backoff retry;
    uint64_t timeout_ms;
    ff_limit *limit;
};

typedef struct branch { struct branch *next; const char *key; ff_dag *dag; } branch;
typedef enum { TOLERATES_NONE, TOLERATES_ITEMS, TOLERATES_SHARE } tolerates;
typedef struct {
    handler select, aggregator, gather;
    branch *branches;
    bool carries_nothing, has_max;
    uint32_t max_parallel, items;
    tolerates tolerates;
    float share;
} branches;
struct ff_condition { branches of; };
struct ff_for_each { branches of; };

struct ff_repeat { handler again; ff_dag *dag; uint32_t most; uint64_t wait_ms; };

struct ff_edge { struct ff_edge *next; const char *from, *to; bool nothing; handler forward; };

typedef enum { IS_NODE, IS_SUB_DAG, IS_CONDITION, IS_FOR_EACH, IS_REPEAT } member_kind;
typedef struct member {
    struct member *next;
    const char *id;
    member_kind kind;
    ff_node *node;
    ff_dag *dag;
    branches *branches;
    ff_repeat *repeat;
} member;

/* An edge of a dag: edges may be in several dags, after `ff_dag_append`. */
typedef struct edges { struct edges *next; ff_edge *edge; } edges;

struct ff_dag {
    member *members;
    edges *edges;
    named_handler *input_aggregators, *recover_nodes;
    handler end_aggregator, recover;
    /* Being recorded now: to find a dag that contains itself. */
    bool open;
};

struct ff_schedule {
    struct ff_schedule *next;
    const char *name, *when, *time_zone;
    ff_missed missed;
    ff_overlap overlap;
    bool has_input;
    ff_bytes body;
    const char *media_type;
};

struct ff_workflow {
    ff_dag *dag;
    handler on_failure, finally;
    bool has_deadline;
    uint64_t deadline_ms;
    ff_exhausted on_exhausted;
    ff_schedule *schedules;
};

/* Appends to a list that is linked by `next`. */
#define APPEND(list, item)                                                                                              \
    do {                                                                                                                \
        __typeof__(&(list)) end_ = &(list);                                                                             \
        while (*end_) end_ = &(*end_)->next;                                                                            \
        *end_ = (item);                                                                                                 \
    } while (0)

#define NEW(type) ((type *)ff_allocate(sizeof(type)))

/* --- memory.c ------------------------------------------------------------------------------------------------------- */

/* From now on, memory lasts as long as the instance; or until `memory_end_call`. Returns which of both it was before. */
bool memory_lasts(bool lasts);
/* Frees the memory of the call that has ended. */
void memory_end_call(void);
/* Frees everything: natively, between two tests. */
void memory_end_instance(void);
/* Memory of this size and alignment that is not cleared, and a zero byte behind it. */
void *memory_take(size_t size, size_t alignment);

/* --- text.c --------------------------------------------------------------------------------------------------------- */

/* Joins texts, up to NULL, in memory of `ff_allocate`. */
char *text_join(const char *first, ...) __attribute__((sentinel));
char *text_number(uint64_t number);
/* A copy that ends with a zero byte. */
char *text_copy(ff_bytes bytes);
/* A copy in which bytes that are not UTF-8 have become U+FFFD. */
ff_bytes text_repaired(ff_bytes bytes);
bool text_same(const char *a, const char *b);
bool text_same_without_case(const char *a, const char *b);
/* ` (FILE:LINE)`, or nothing. */
const char *text_at(place at);
#define VA_FORMAT(buffer, format)                                                                                       \
    do {                                                                                                                \
        va_list arguments_;                                                                                             \
        va_start(arguments_, format);                                                                                   \
        buffer_add_arguments(buffer, format, arguments_);                                                               \
        va_end(arguments_);                                                                                             \
    } while (0)
void buffer_add_arguments(ff_buffer *buffer, const char *format, __builtin_va_list arguments);

/* --- result.c ------------------------------------------------------------------------------------------------------- */

typedef enum { SAYS_NOTHING, SAYS_DATA, SAYS_KEYS, SAYS_ITEMS, SAYS_AFTER, SAYS_AT, SAYS_AGAIN, SAYS_RETRY, SAYS_REJECT } says;

struct ff_items { ff_named *items; size_t len, room; };

struct ff_result {
    says says;
    place at;
    /* Data, the moment, or the text of a failure. */
    ff_bytes data;
    bool json;
    ff_strings keys;
    const ff_items *items;
    uint64_t ms;
    bool again;
    /* Of a rejection, or 0. */
    uint16_t status;
};

ff_result *result_of(says says);
ff_result *result_reject(const char *text);
ff_result *result_retry(const char *text);
static inline bool result_is_failure(const ff_result *result) {
    return result->says == SAYS_RETRY || result->says == SAYS_REJECT;
}

/* --- flow.c --------------------------------------------------------------------------------------------------------- */

typedef enum { IDLE, DEFINING, HANDLING } phase;
phase flow_phase(void);
place flow_place(void);
/* The handler that is being called, or NULL. */
const char *flow_current(void);
/* Where the author has added it. */
place flow_current_place(void);
/* Notes a mistake of the author's code: `define`, or the handler, then fails with it. */
void flow_mistake(const char *function, const char *what);
/* A text that the author's code passes on to the host: a copy. One that is NULL or not UTF-8 is a mistake. */
const char *flow_text(const char *function, const char *what, const char *text);
/* Forgets the flow: natively, between two tests. */
void flow_forget(void);

/* A handler with its id. */
typedef struct { const char *id; size_t order; kind kind; handler handler; } known;
typedef struct { const known *items; size_t len; } knowns;

/* Runs `define`, once. Returns NULL, or the failure. */
ff_result *flow_define(void);
/* The workflow, after `flow_define` has succeeded. */
const ff_workflow *flow_workflow(void);
/* All handlers, sorted by the bytes of their ids. */
knowns flow_handlers(void);

/* What a handler gets, depending on its kind. */
typedef struct {
    ff_bytes data;
    ff_inputs inputs;
    uint32_t round;
    ff_request *request;
    const ff_response *response;
    const char *error;
    const ff_failed *failed;
    const ff_gathered *gathered;
    size_t gathered_len;
    ff_outcome outcome;
} argument;

/* Calls a handler. What it returns fits its kind, or is a failure. */
ff_result *flow_run(kind kind, ff_bytes id, const argument *argument);

/* --- record.c ------------------------------------------------------------------------------------------------------- */

/* Gives every handler its id, and describes the flow to the host, unless `host` is NO_HOST. Returns NULL, or the failure. */
#define NO_HOST 0
ff_result *record(const ff_workflow *workflow, int32_t host, knowns *handlers);

/* --- what context.c has in a flow, and fake.c in a test --------------------------------------------------------------- */

/* Writes a line to the host's log. */
void host_log(ff_level level, ff_bytes line);
/* Sets the status of a rejection. Returns NULL, or why the host refuses it. */
const char *host_set_reject_status(uint16_t status);

#endif
