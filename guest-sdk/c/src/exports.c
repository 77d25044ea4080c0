/* What the flow offers to the host: lifts what the host passes, calls the handler, and lowers what it returns. The layouts are
 * those of the canonical ABI, and host.h says what the contract demands of them. */
#ifdef __wasm__
#include "internal.h"
#include "host.h"
#include <string.h>

/* --- the types of the contract in memory ---------------------------------------------------------------------------- */

typedef ff_bytes text;
typedef struct { const void *ptr; size_t len; } list;
typedef struct { text name, data; } wit_named;
typedef struct { text name, value; } wit_pair;
typedef struct { uint8_t tag; text payload; } wit_failure;
typedef struct { text method, url; list headers; text body; } wit_http_request;
typedef struct { uint16_t status; list headers; text body; } wit_http_response;
typedef struct { text code; uint8_t kind; struct { uint8_t is_some; uint16_t value; } status; text message, path; uint32_t tries; } wit_failed;
typedef struct { text key; struct { uint8_t is_failure; union { text result; wit_failed failed; }; } ended; } wit_gathered;
typedef struct { uint8_t tag; union { uint64_t after; text at; } payload; } wit_wake;
typedef struct { uint32_t attempts, first_delay_ms; float factor; uint32_t max_delay_ms; } wit_backoff;
typedef struct { uint8_t tag; text payload; } wit_carries;
/* The parameters of `recover-from`, which are too many to be passed otherwise. */
typedef struct { text id; wit_failed what; text input; struct { uint8_t is_some; text value; } body; } recovering;

#define SIZE(type, bytes) _Static_assert(sizeof(wit_##type) == (bytes), "the contract has another " #type);
#define FIELD(type, field, offset)                                                                                      \
    _Static_assert(__builtin_offsetof(wit_##type, field) == (offset), "the contract has another " #type "." #field);
WIT_LAYOUTS(SIZE, FIELD)

/* What a function returns: a tag, and behind it the result or the failure. */
static union {
    struct { uint8_t is_failure; union { text data; list list; wit_http_request request; uint8_t again; wit_failure failure; text error; }; };
    struct { uint8_t is_failure_; union { wit_wake wake; wit_failure failure; }; } moment;
} answer;

#define EXPORT(name, parameters, field) __attribute__((export_name(field))) void *wit_##name parameters;
WIT_EXPORTS(EXPORT)

/* The host calls it when it has read what a function has returned. */
#define POST(name, parameters, field)                                                                                   \
    __attribute__((export_name("cabi_post_" field))) void wit_post_##name(void *returned);                              \
    void wit_post_##name(void *returned) {                                                                              \
        (void)returned;                                                                                                 \
        memory_end_call();                                                                                              \
    }
WIT_EXPORTS(POST)

/* --- lifting -------------------------------------------------------------------------------------------------------- */

/* A text or data from the host, in memory of cabi_realloc, which has a zero byte behind it. */
static ff_bytes lift(int32_t ptr, int32_t len) { return len ? (ff_bytes){(const char *)ptr, (size_t)len} : ff_bytes_of(""); }
static ff_bytes bytes(text from) { return from.len ? from : ff_bytes_of(""); }
static const char *string(text from) { return bytes(from).ptr; }

static const ff_header *lift_headers(list from) {
    const wit_pair *pairs = from.ptr;
    ff_header *headers = ff_allocate(from.len * sizeof *headers);
    for (size_t i = 0; i < from.len; i++) headers[i] = (ff_header){string(pairs[i].name), string(pairs[i].value)};
    return headers;
}

static ff_failed lift_failed(const wit_failed *from) {
    uint16_t status = from->status.is_some ? from->status.value : 0;
    return (ff_failed){string(from->code), (ff_failure_kind)from->kind, status, string(from->message), string(from->path),
                       from->tries, ff_bytes_of(""), {NULL, 0}};
}

/* --- lowering ------------------------------------------------------------------------------------------------------- */

static wit_failure lower_failure(const ff_result *result) {
    ff_bytes why = result->data;
    if (result->says == SAYS_RETRY) return (wit_failure){0, text_repaired(why)};
    const char *refused = result->status ? host_set_reject_status(result->status) : NULL;
    if (refused) why = ff_bytes_of(text_join(why.ptr, " (", refused, ")", NULL));
    return (wit_failure){1, text_repaired(why)};
}

/* Calls a handler. Afterwards `answer` has its failure, or what `lowered` is to be written to. */
static const ff_result *run(kind kind, ff_bytes id, argument argument) {
    const ff_result *result = flow_run(kind, id, &argument);
    memset(&answer, 0, sizeof answer);
    bool is_failure = result_is_failure(result);
    answer.is_failure = is_failure;
    if (is_failure) {
        wit_failure failure = lower_failure(result);
        if (kind == MOMENT) answer.moment.failure = failure;
        else answer.failure = failure;
    }
    return is_failure ? NULL : result;
}

static void *run_for_data(kind kind, ff_bytes id, argument argument) {
    const ff_result *result = run(kind, id, argument);
    if (result && result->json) (void)!ff_context_set_content_type("application/json");
    if (result) answer.data = result->data;
    return &answer;
}

static void *on_data(kind kind, int32_t a, int32_t b, int32_t c, int32_t d) {
    return run_for_data(kind, lift(a, b), (argument){.data = lift(c, d)});
}

/* --- the functions -------------------------------------------------------------------------------------------------- */

void *wit_define(int32_t workflow) {
    ff_result *failure = flow_define();
    if (!failure) {
        knowns handlers;
        failure = record(flow_workflow(), workflow, &handlers);
    }
    wit_drop_workflow(workflow);
    memset(&answer, 0, sizeof answer);
    answer.is_failure = failure != NULL;
    if (failure) answer.error = text_repaired(failure->data);
    return &answer;
}

void *wit_modify(int32_t a, int32_t b, int32_t c, int32_t d) { return on_data(MODIFY, a, b, c, d); }
void *wit_forward(int32_t a, int32_t b, int32_t c, int32_t d) { return on_data(FORWARD, a, b, c, d); }
void *wit_signal_name(int32_t a, int32_t b, int32_t c, int32_t d) { return on_data(SIGNAL_NAME, a, b, c, d); }
void *wit_key(int32_t a, int32_t b, int32_t c, int32_t d) { return on_data(KEY, a, b, c, d); }

void *wit_recover(int32_t a, int32_t b, int32_t c, int32_t d) {
    return run_for_data(RECOVER, lift(a, b), (argument){.error = lift(c, d).ptr});
}

void *wit_aggregate(int32_t a, int32_t b, int32_t c, int32_t d) {
    const wit_named *from = (const wit_named *)c;
    size_t len = (size_t)d;
    ff_named *items = ff_allocate(len * sizeof *items);
    for (size_t i = 0; i < len; i++) items[i] = (ff_named){string(from[i].name), bytes(from[i].data)};
    return run_for_data(AGGREGATE, lift(a, b), (argument){.inputs = {items, len}});
}

void *wit_receive(int32_t a, int32_t b, int32_t status, int32_t c, int32_t d, int32_t e, int32_t f) {
    list headers = {(const void *)c, (size_t)d};
    ff_response response = {(uint16_t)status, lift_headers(headers), headers.len, lift(e, f)};
    return run_for_data(RECEIVE, lift(a, b), (argument){.response = &response});
}

void *wit_recover_from(int32_t a) {
    const recovering *from = (const recovering *)a;
    ff_failed failed = lift_failed(&from->what);
    failed.input = bytes(from->input);
    if (from->body.is_some) failed.body = bytes(from->body.value);
    return run_for_data(RECOVER_FROM, from->id, (argument){.failed = &failed});
}

void *wit_gather(int32_t a, int32_t b, int32_t c, int32_t d) {
    const wit_gathered *from = (const wit_gathered *)c;
    size_t len = (size_t)d;
    ff_gathered *items = ff_allocate(len * sizeof *items);
    for (size_t i = 0; i < len; i++) {
        items[i].key = string(from[i].key);
        items[i].result = ff_bytes_of("");
        if (from[i].ended.is_failure) {
            ff_failed failed = lift_failed(&from[i].ended.failed);
            items[i].failed = ff_copy(&failed, sizeof failed);
        } else {
            items[i].result = bytes(from[i].ended.result);
        }
    }
    return run_for_data(GATHER, lift(a, b), (argument){.gathered = items, .gathered_len = len});
}

void *wit_condition(int32_t a, int32_t b, int32_t c, int32_t d) {
    const ff_result *result = run(CONDITION, lift(a, b), (argument){.data = lift(c, d)});
    if (result) {
        text *keys = ff_allocate(result->keys.len * sizeof *keys);
        for (size_t i = 0; i < result->keys.len; i++) keys[i] = ff_bytes_of(result->keys.items[i]);
        answer.list = (list){keys, result->keys.len};
    }
    return &answer;
}

void *wit_for_each(int32_t a, int32_t b, int32_t c, int32_t d) {
    const ff_result *result = run(FOR_EACH, lift(a, b), (argument){.data = lift(c, d)});
    if (result) {
        const ff_items *items = result->items;
        wit_named *named = ff_allocate(items->len * sizeof *named);
        for (size_t i = 0; i < items->len; i++)
            named[i] = (wit_named){ff_bytes_of(items->items[i].name), items->items[i].data};
        answer.list = (list){named, items->len};
    }
    return &answer;
}

void *wit_prepare(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f, int32_t g, int32_t h, int32_t i, int32_t j) {
    list headers = {(const void *)g, (size_t)h};
    ff_request request = {lift(c, d).ptr, lift(e, f).ptr, lift_headers(headers), headers.len, lift(i, j)};
    if (run(PREPARE, lift(a, b), (argument){.request = &request})) {
        wit_pair *pairs = ff_allocate(request.headers_len * sizeof *pairs);
        for (size_t at = 0; at < request.headers_len; at++)
            pairs[at] = (wit_pair){ff_bytes_of(request.headers[at].name), ff_bytes_of(request.headers[at].value)};
        answer.request = (wit_http_request){ff_bytes_of(request.method), ff_bytes_of(request.url),
                                            {pairs, request.headers_len}, request.body};
    }
    return &answer;
}

void *wit_moment(int32_t a, int32_t b, int32_t c, int32_t d) {
    const ff_result *result = run(MOMENT, lift(a, b), (argument){.data = lift(c, d)});
    if (result) {
        wit_wake *wake = &answer.moment.wake;
        wake->tag = result->says == SAYS_AT;
        if (wake->tag) wake->payload.at = result->data;
        else wake->payload.after = result->ms;
    }
    return &answer;
}

void *wit_again(int32_t a, int32_t b, int32_t c, int32_t d, int32_t round) {
    const ff_result *result = run(AGAIN, lift(a, b), (argument){.data = lift(c, d), .round = (uint32_t)round});
    if (result) answer.again = result->again;
    return &answer;
}

void *wit_finally(int32_t a, int32_t b, int32_t outcome) {
    run(FINALLY, lift(a, b), (argument){.outcome = (ff_outcome)outcome});
    return &answer;
}

#else
typedef int nothing_natively;
#endif
