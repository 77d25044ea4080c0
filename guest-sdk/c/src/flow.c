/* The flow of this instance: runs `define` once, and the handlers by their ids. */
#include "internal.h"
#include <string.h>

static struct {
    phase phase;
    place at;
    const char *handler;
    place handler_at;
    /* What the author's code has done wrong since the phase began. */
    ff_buffer *mistakes;
    size_t mistakes_len;
    ff_workflow *workflow;
    knowns handlers;
    bool defined;
} flow;

static const char *const kind_names[] = {
    "modify", "aggregate", "condition", "for-each", "forward", "prepare", "receive", "recover", "finally",
    "recover-from", "gather", "moment", "signal-name", "again", "key",
};

phase flow_phase(void) { return flow.phase; }
place flow_place(void) { return flow.at; }
const char *flow_current(void) { return flow.handler; }
place flow_current_place(void) { return flow.handler_at; }
const ff_workflow *flow_workflow(void) { return flow.workflow; }
knowns flow_handlers(void) { return flow.handlers; }

/* What is to be done when the flow is forgotten. */
typedef struct ending { struct ending *next; void (*run)(void *); void *value; } ending;
static ending *endings;

void ff_when_forgotten(void (*run)(void *), void *value) {
#ifdef __wasm__
    (void)run, (void)value;
#else
    bool before = memory_lasts(true);
    ending *ending = ff_allocate(sizeof *ending);
    ending->next = endings, ending->run = run, ending->value = value;
    endings = ending;
    memory_lasts(before);
#endif
}

void flow_forget(void) {
    for (ending *ending = endings; ending; ending = ending->next) ending->run(ending->value);
    endings = NULL;
    memory_end_instance();
    memset(&flow, 0, sizeof flow);
    memory_lasts(false);
}

void ff_at_place(const char *file, int line) { flow.at = (place){file, line}; }

void flow_mistake(const char *function, const char *what) {
    if (flow.mistakes_len++ >= 10) return;
    if (!flow.mistakes) flow.mistakes = ff_buffer_new();
    else ff_buffer_add_text(flow.mistakes, "; ");
    ff_buffer_add_text(flow.mistakes, text_join(function, ": ", what, text_at(flow.at), NULL));
}

const char *flow_text(const char *function, const char *what, const char *text) {
    if (!text) flow_mistake(function, text_join(what, " is NULL", NULL));
    else if (!ff_bytes_are_utf8(ff_bytes_of(text))) flow_mistake(function, text_join(what, " is not UTF-8", NULL));
    else return text_copy(ff_bytes_of(text));
    return "";
}

static void begin(phase phase, const known *known) {
    flow.phase = phase;
    flow.handler = known ? known->id : NULL;
    flow.handler_at = known ? known->handler.at : (place){0};
    flow.at = (place){0};
    flow.mistakes = NULL;
    flow.mistakes_len = 0;
}

/* Ends a phase. Mistakes are a failure, even if the author's code has returned something. */
static ff_result *end(ff_result *result) {
    const char *mistakes = flow.mistakes ? ff_buffer_bytes(flow.mistakes).ptr : NULL;
    begin(IDLE, NULL);
    return mistakes ? result_reject(mistakes) : result;
}

ff_result *flow_define(void) {
    if (flow.defined) return NULL;
    memory_lasts(true);
    begin(DEFINING, NULL);
    flow.workflow = ff_allocate(sizeof(ff_workflow));
    ff_define_function *define = ff_defined_by_FF_FLOW;
    ff_result *result = define ? define(flow.workflow) : result_reject("FF_FLOW was given NULL");
    if (!result) {
        result = result_reject("`define` returned NULL: return ff_ok(), or a failure");
    } else if (!result_is_failure(result) && result->says != SAYS_NOTHING) {
        result = result_reject(text_join("`define` returned data", text_at(result->at), ": return ff_ok(), or a failure", NULL));
    }
    result = end(result);
    if (!result_is_failure(result)) {
        ff_result *failure = record(flow.workflow, NO_HOST, &flow.handlers);
        if (failure) result = failure;
    }
    flow.defined = !result_is_failure(result);
    memory_lasts(false);
    return flow.defined ? NULL : result;
}

/* Finds a handler, or says why it cannot be called. */
static const known *find(ff_bytes id, kind kind, ff_result **failure) {
    size_t from = 0, to = flow.handlers.len;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const known *known = &flow.handlers.items[middle];
        int order = strcmp(known->id, id.ptr);
        if (order == 0 && known->kind == kind) return known;
        if (order == 0) {
            *failure = result_reject(text_join("handler `", id.ptr, "` was called as `", kind_names[kind],
                                               "`, but its kind is `", kind_names[known->kind], "`",
                                               text_at(known->handler.at), NULL));
            return NULL;
        }
        if (order < 0) from = middle + 1;
        else to = middle;
    }
    *failure = result_reject(text_join("the flow has no handler `", id.ptr, "`", NULL));
    return NULL;
}

static ff_result *call(kind kind, const handler *handler, const argument *argument) {
    void *user = handler->user;
    switch (kind) {
    case AGGREGATE: return ((ff_on_inputs *)handler->run)(argument->inputs, user);
    case PREPARE: return ((ff_on_request *)handler->run)(argument->request, user);
    case RECEIVE: return ((ff_on_response *)handler->run)(argument->response, user);
    case RECOVER: return ((ff_on_error *)handler->run)(argument->error, user);
    case FINALLY: return ((ff_on_end *)handler->run)(argument->outcome, user);
    case RECOVER_FROM: return ((ff_on_failed *)handler->run)(argument->failed, user);
    case GATHER: return ((ff_on_gathered *)handler->run)(argument->gathered, argument->gathered_len, user);
    case AGAIN: return ((ff_on_round *)handler->run)(argument->data, argument->round, user);
    default: return ((ff_on_data *)handler->run)(argument->data, user);
    }
}

/* Whether a handler of this kind may return this. */
static bool fits(kind kind, says says) {
    switch (kind) {
    case CONDITION: return says == SAYS_KEYS;
    case FOR_EACH: return says == SAYS_ITEMS;
    case PREPARE: case FINALLY: return says == SAYS_NOTHING;
    case MOMENT: return says == SAYS_AFTER || says == SAYS_AT;
    case SIGNAL_NAME: case KEY: return says == SAYS_DATA;
    case AGAIN: return says == SAYS_AGAIN;
    default: return says == SAYS_NOTHING || says == SAYS_DATA;
    }
}

static const char *should(kind kind) {
    switch (kind) {
    case CONDITION: return "keys: use ff_keys";
    case FOR_EACH: return "items: use ff_split";
    case PREPARE: case FINALLY: return "nothing: use ff_ok";
    case MOMENT: return "a moment: use ff_at or ff_after";
    case SIGNAL_NAME: case KEY: return "a text: use ff_text or ff_format";
    case AGAIN: return "whether it runs again: use ff_again";
    default: return "data: use ff_data, ff_text, ff_format or ff_json";
    }
}

static const char *said(says says) {
    switch (says) {
    case SAYS_NOTHING: return "nothing";
    case SAYS_KEYS: return "keys";
    case SAYS_ITEMS: return "items";
    case SAYS_AFTER: case SAYS_AT: return "a moment";
    case SAYS_AGAIN: return "whether it runs again";
    default: return "data";
    }
}

/* What is wrong with what a handler has returned, or NULL. */
static const char *wrong(const known *known, const ff_result *result) {
    const char *name = text_join("handler `", known->id, "`", text_at(known->handler.at), " ", NULL);
    const char *expected = text_join("; a handler of the kind `", kind_names[known->kind], "` returns ",
                                     should(known->kind), ", or a failure", NULL);
    if (!result) return text_join(name, "returned NULL", expected, NULL);
    if (result_is_failure(result)) return NULL;
    if (!fits(known->kind, result->says))
        return text_join(name, "returned ", said(result->says), text_at(result->at), expected, NULL);
    bool is_text = known->kind == SIGNAL_NAME || known->kind == KEY;
    if (is_text && !ff_bytes_are_utf8(result->data))
        return text_join(name, "returned a text that is not UTF-8", text_at(result->at), NULL);
    return NULL;
}

ff_result *flow_run(kind kind, ff_bytes id, const argument *argument) {
    ff_result *failure = flow_define();
    if (failure) return failure;
    const known *known = find(id, kind, &failure);
    if (!known) return failure;
    begin(HANDLING, known);
    ff_result *result = call(kind, &known->handler, argument);
    const char *why = wrong(known, result);
    return end(why ? result_reject(why) : result);
}
