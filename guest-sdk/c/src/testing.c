/* Runs tests natively: each handler by its id, as the host does. */
#ifndef __wasm__
#include "crash.h"
#include "fake.h"
#include "../include/faas_flow_testing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static ff_test *tests;
static bool failed;
/* Where the test goes on after a crash, while a handler or `define` is being called. */
static jmp_buf *after_crash;

void ff_test_add(ff_test *test) { APPEND(tests, test); }

void crash(void) {
    if (after_crash) longjmp(*after_crash, 1);
    /* A crash of the test itself. */
    ff_strings logs = ff_fake_logs();
    fprintf(stderr, "%s\n", logs.len ? logs.items[logs.len - 1] : "out of memory");
    _Exit(1);
}

/* The last line of the log, which a crash has written. */
static ff_bytes last_words(void) {
    ff_strings logs = ff_fake_logs();
    const char *line = logs.len ? logs.items[logs.len - 1] : "error out of memory";
    return ff_bytes_of(line + strlen("error "));
}

static ff_bytes kept(ff_bytes bytes) { return (ff_bytes){text_copy(bytes), bytes.len}; }
static const char *kept_text(const char *text) { return text ? text_copy(ff_bytes_of(text)) : NULL; }

/* Copies what a handler has returned into memory that lasts as long as the test. */
static ff_answer answer_of(const ff_result *result, const ff_request *request) {
    ff_answer answer = {.end = FF_TEST_OK, .data = kept(result->data)};
    if (result->says == SAYS_RETRY) answer.end = FF_TEST_RETRY;
    if (result->says == SAYS_REJECT) answer.end = FF_TEST_REJECT;
    answer.content_type = result->json ? "application/json" : fake_returned_content_type();
    const char **keys = ff_allocate((result->keys.len + 1) * sizeof *keys);
    for (size_t i = 0; i < result->keys.len; i++) keys[i] = kept_text(result->keys.items[i]);
    answer.keys = (ff_strings){keys, result->keys.len};
    size_t len = result->items ? result->items->len : 0;
    ff_named *items = ff_allocate((len + 1) * sizeof *items);
    for (size_t i = 0; i < len; i++)
        items[i] = (ff_named){kept_text(result->items->items[i].name), kept(result->items->items[i].data)};
    answer.items = (ff_inputs){items, len};
    answer.after_ms = result->ms;
    answer.again = result->again;
    if (request) {
        ff_header *headers = ff_allocate((request->headers_len + 1) * sizeof *headers);
        for (size_t i = 0; i < request->headers_len; i++)
            headers[i] = (ff_header){kept_text(request->headers[i].name), kept_text(request->headers[i].value)};
        answer.request = (ff_request){kept_text(request->method), kept_text(request->url), headers, request->headers_len,
                                      kept(request->body)};
    }
    if (answer.end == FF_TEST_REJECT && result->status) {
        const char *refused = host_set_reject_status(result->status);
        if (refused) answer.data = ff_bytes_of(text_join(answer.data.ptr, " (", refused, ")", NULL));
        answer.status = fake_reject_status();
    }
    return answer;
}

static ff_answer crashed(void) {
    memory_lasts(true);
    ff_answer answer = {.end = FF_TEST_CRASH, .data = kept(last_words())};
    after_crash = NULL;
    memory_end_call();
    return answer;
}

const char *ff_test_define(void) {
    jmp_buf here;
    if (setjmp(here)) {
        fake_defining(false);
        return crashed().data.ptr;
    }
    after_crash = &here;
    fake_defining(true);
    ff_result *failure = flow_define();
    fake_defining(false);
    after_crash = NULL;
    memory_lasts(true);
    const char *text = failure ? kept_text(failure->data.ptr) : NULL;
    memory_end_call();
    return text;
}

ff_strings ff_test_handlers(void) {
    const char *failure = ff_test_define();
    if (failure) ff_test_expect(false, __FILE__, __LINE__, "`define` has failed: %s", failure);
    knowns handlers = failure ? (knowns){0} : flow_handlers();
    const char **ids = ff_allocate((handlers.len + 1) * sizeof *ids);
    for (size_t i = 0; i < handlers.len; i++) ids[i] = handlers.items[i].id;
    return (ff_strings){ids, handlers.len};
}

static ff_answer run(kind kind, const char *id, argument argument) {
    const char *failure = ff_test_define();
    if (failure) return (ff_answer){.end = FF_TEST_REJECT, .data = ff_bytes_of(failure)};
    jmp_buf here;
    if (setjmp(here)) return crashed();
    after_crash = &here;
    memory_lasts(false);
    fake_calling();
    ff_result *result = flow_run(kind, ff_bytes_of(id), &argument);
    after_crash = NULL;
    memory_lasts(true);
    ff_answer answer = answer_of(result, argument.request);
    memory_end_call();
    return answer;
}

static ff_answer on_data(kind kind, const char *id, ff_bytes data) {
    return run(kind, id, (argument){.data = {text_copy(data), data.len}});
}

ff_answer ff_test_modify(const char *id, ff_bytes data) { return on_data(MODIFY, id, data); }
ff_answer ff_test_forward(const char *id, ff_bytes data) { return on_data(FORWARD, id, data); }
ff_answer ff_test_condition(const char *id, ff_bytes data) { return on_data(CONDITION, id, data); }
ff_answer ff_test_for_each(const char *id, ff_bytes data) { return on_data(FOR_EACH, id, data); }
ff_answer ff_test_moment(const char *id, ff_bytes data) { return on_data(MOMENT, id, data); }
ff_answer ff_test_signal_name(const char *id, ff_bytes data) { return on_data(SIGNAL_NAME, id, data); }
ff_answer ff_test_key(const char *id, ff_bytes data) { return on_data(KEY, id, data); }

ff_answer ff_test_again(const char *id, ff_bytes data, uint32_t round) {
    return run(AGAIN, id, (argument){.data = data, .round = round});
}

ff_answer ff_test_aggregate(const char *id, const ff_named *inputs, size_t len) {
    return run(AGGREGATE, id, (argument){.inputs = {inputs, len}});
}

ff_answer ff_test_prepare(const char *id, const ff_request *request) {
    ff_request copy = *request;
    return run(PREPARE, id, (argument){.request = &copy});
}

ff_answer ff_test_receive(const char *id, const ff_response *response) {
    return run(RECEIVE, id, (argument){.response = response});
}

ff_answer ff_test_recover(const char *id, const char *error) { return run(RECOVER, id, (argument){.error = error}); }

ff_answer ff_test_recover_from(const char *id, const ff_failed *failed) {
    return run(RECOVER_FROM, id, (argument){.failed = failed});
}

ff_answer ff_test_gather(const char *id, const ff_gathered *items, size_t len) {
    return run(GATHER, id, (argument){.gathered = items, .gathered_len = len});
}

ff_answer ff_test_finally(ff_outcome outcome) { return run(FINALLY, "(finally)", (argument){.outcome = outcome}); }

bool ff_test_expect(bool holds, const char *file, int line, const char *format, ...) {
    if (holds) return true;
    failed = true;
    fprintf(stderr, "%s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    return false;
}

bool ff_test_expect_end(ff_answer answer, ff_test_end end, const char *text, const char *file, int line) {
    static const char *const ends[] = {"an answer", "a retry", "a rejection", "a crash"};
    bool is_expected = end == FF_TEST_OK ? ff_bytes_equal(answer.data, text) : strstr(answer.data.ptr, text) != NULL;
    return ff_test_expect(answer.end == end && is_expected, file, line, "expected %s with `%s`, got %s with `%.*s`", ends[end],
                          text, ends[answer.end], FF_BYTES(answer.data));
}

static const char *listed(ff_strings strings) {
    ff_buffer *text = ff_buffer_new();
    for (size_t i = 0; i < strings.len; i++) ff_buffer_add_format(text, "%s`%s`", i ? ", " : "", strings.items[i]);
    return ff_buffer_bytes(text).ptr;
}

bool ff_test_expect_strings(ff_strings found, const char *const *expected, size_t len, const char *file, int line) {
    bool same = found.len == len;
    for (size_t i = 0; same && i < len; i++) same = text_same(found.items[i], expected[i]);
    return ff_test_expect(same, file, line, "expected %s, got %s", listed((ff_strings){expected, len}), listed(found));
}

int main(int argc, char **argv) {
    size_t run = 0, failures = 0;
    for (ff_test *test = tests; test; test = test->next) {
        if (argc > 1 && !strstr(test->name, argv[1])) continue;
        flow_forget();
        memory_lasts(true);
        fake_reset();
        failed = false;
        test->run();
        printf("%s %s\n", failed ? "FAILED" : "ok", test->name);
        fflush(stdout);
        run++, failures += failed;
    }
    flow_forget();
    printf("%zu tests, %zu failed\n", run, failures);
    return failures != 0 || run == 0;
}

#else
typedef int nothing_in_a_flow;
#endif
