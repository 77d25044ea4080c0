/* The context, as the host offers it to a flow. */
#ifdef __wasm__
#include "internal.h"
#include "host.h"
#include <stdarg.h>
#include <string.h>

typedef ff_bytes text;
typedef struct { const text *ptr; size_t len; } texts;
typedef struct { text name, data; } wit_named;

#define BYTES(bytes) wit_pointer((bytes).ptr), (int32_t)(bytes).len
#define TEXT(text) wit_pointer(text), (int32_t)strlen(text)

static ff_bytes bytes(text from) { return from.len ? from : ff_bytes_of(""); }

static ff_strings strings(texts from) {
    const char **items = ff_allocate(from.len * sizeof *items);
    for (size_t i = 0; i < from.len; i++) items[i] = bytes(from.ptr[i]).ptr;
    return (ff_strings){items, from.len};
}

static const char *first(ff_strings strings) { return strings.len ? strings.items[0] : NULL; }

/* What the host answers: nothing, or why it refuses. Some functions store a value in place of nothing. */
typedef struct { uint8_t is_error; text payload; } outcome;

static ff_result *refusal(outcome outcome) { return outcome.is_error ? result_reject(bytes(outcome.payload).ptr) : NULL; }

/* Texts that are not UTF-8 or NULL are not passed on. */
#define CHECK(what, value)                                                                                              \
    do {                                                                                                                \
        if (!(value)) return result_reject(text_join(__func__, ": ", what, " is NULL", text_at(flow_place()), NULL));  \
        if (!ff_bytes_are_utf8(ff_bytes_of(value)))                                                                     \
            return result_reject(text_join(__func__, ": ", what, " is not UTF-8", text_at(flow_place()), NULL));       \
    } while (0)

const char *ff_context_request_id(void) {
    text id;
    wit_context_request_id(wit_pointer(&id));
    return bytes(id).ptr;
}

const char *ff_context_flow_name(void) {
    text name;
    wit_context_flow_name(wit_pointer(&name));
    return bytes(name).ptr;
}

const char *ff_context_node(void) {
    text path;
    wit_context_node(wit_pointer(&path));
    return bytes(path).ptr;
}

ff_state ff_context_state(void) { return (ff_state)wit_context_state(); }

ff_strings ff_context_queries(const char *name) {
    texts values;
    name = flow_text(__func__, "the name", name);
    wit_context_query(TEXT(name), wit_pointer(&values));
    return strings(values);
}

const char *ff_context_query(const char *name) { return first(ff_context_queries(name)); }

ff_strings ff_context_headers(const char *name) {
    texts values;
    name = flow_text(__func__, "the name", name);
    wit_context_header(TEXT(name), wit_pointer(&values));
    return strings(values);
}

const char *ff_context_header(const char *name) { return first(ff_context_headers(name)); }

ff_inputs ff_context_inputs(void) {
    struct { const wit_named *ptr; size_t len; } named;
    wit_context_inputs(wit_pointer(&named));
    ff_named *items = ff_allocate(named.len * sizeof *items);
    for (size_t i = 0; i < named.len; i++) items[i] = (ff_named){bytes(named.ptr[i].name).ptr, bytes(named.ptr[i].data)};
    return (ff_inputs){items, named.len};
}

const char *ff_context_content_type(void) {
    text media_type;
    wit_context_content_type(wit_pointer(&media_type));
    return bytes(media_type).ptr;
}

ff_strings ff_context_content_types(void) {
    texts media_types;
    wit_context_content_types(wit_pointer(&media_types));
    return strings(media_types);
}

ff_result *ff_context_set_content_type(const char *media_type) {
    outcome outcome;
    CHECK("the media type", media_type);
    wit_context_set_content_type(TEXT(media_type), wit_pointer(&outcome));
    return refusal(outcome);
}

ff_result *ff_context_respond(uint16_t status, const ff_header *headers, size_t len) {
    outcome outcome;
    typedef struct { text name, value; } wit_pair;
    wit_pair *pairs = ff_allocate(len * sizeof *pairs);
    for (size_t i = 0; i < len; i++) {
        CHECK("the name of a header", headers[i].name);
        CHECK("the value of a header", headers[i].value);
        pairs[i] = (wit_pair){ff_bytes_of(headers[i].name), ff_bytes_of(headers[i].value)};
    }
    wit_context_respond(status, wit_pointer(pairs), (int32_t)len, wit_pointer(&outcome));
    return refusal(outcome);
}

const char *host_set_reject_status(uint16_t status) {
    outcome outcome;
    wit_context_set_reject_status(status, wit_pointer(&outcome));
    return outcome.is_error ? bytes(outcome.payload).ptr : NULL;
}

ff_result *ff_context_label(const char *key, const char *value) {
    outcome outcome;
    CHECK("the key", key);
    CHECK("the value", value);
    wit_context_label(TEXT(key), TEXT(value), wit_pointer(&outcome));
    return refusal(outcome);
}

ff_result *ff_context_get(const char *key, ff_bytes *value) {
    struct { uint8_t is_error; union { text error; struct { uint8_t is_some; text value; } found; }; } got;
    *value = (ff_bytes){NULL, 0};
    CHECK("the key", key);
    wit_context_get(TEXT(key), wit_pointer(&got));
    /* Reading fails when the store cannot be reached, which may pass. */
    if (got.is_error) return result_retry(bytes(got.error).ptr);
    if (got.found.is_some) *value = bytes(got.found.value);
    return NULL;
}

ff_result *ff_context_set(const char *key, ff_bytes value) {
    outcome outcome;
    CHECK("the key", key);
    wit_context_set(TEXT(key), BYTES(value), wit_pointer(&outcome));
    return refusal(outcome);
}

ff_result *ff_context_delete(const char *key) {
    outcome outcome;
    CHECK("the key", key);
    wit_context_delete(TEXT(key), wit_pointer(&outcome));
    return refusal(outcome);
}

ff_result *ff_context_signal_url(const char *name, uint64_t valid_ms, const char **url) {
    outcome outcome;
    *url = NULL;
    CHECK("the name", name);
    wit_context_signal_url(TEXT(name), valid_ms != 0, (int64_t)valid_ms, wit_pointer(&outcome));
    if (!outcome.is_error) *url = bytes(outcome.payload).ptr;
    return refusal(outcome);
}

void host_log(ff_level level, ff_bytes line) { wit_context_log((int32_t)level, BYTES(line)); }

void ff_context_log(ff_level level, const char *format, ...) {
    ff_buffer *line = ff_buffer_new();
    VA_FORMAT(line, format);
    host_log(level, text_repaired(ff_buffer_bytes(line)));
}

#else
typedef int nothing_natively;
#endif
