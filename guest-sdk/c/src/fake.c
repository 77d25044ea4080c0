/* The context in tests: answers what a test has told it, refuses what the host refuses, and remembers what the flow sets. */
#ifndef __wasm__
#include "fake.h"
#include "../include/faas_flow_testing.h"
#include <stdarg.h>
#include <string.h>

#define OCTET_STREAM "application/octet-stream"

/* A fact with a name. Everything here is in memory that lasts as long as the test. */
typedef struct fact { struct fact *next; const char *name; ff_bytes value; } fact;

static struct {
    const char *request_id, *flow_name, *node, *content_type, *returned;
    ff_state state;
    fact *queries, *headers, *inputs, *content_types, *values, *labels, *logs;
    ff_response *response;
    bool defining;
    uint16_t reject_status;
} fake;

void fake_reset(void) {
    memset(&fake, 0, sizeof fake);
    fake.request_id = "test";
    fake.flow_name = "flow";
    fake.node = "";
    fake.content_type = OCTET_STREAM;
    fake_calling();
}

void fake_defining(bool defining) { fake.defining = defining; }
void fake_calling(void) { fake.returned = OCTET_STREAM, fake.reject_status = 0; }
const char *fake_returned_content_type(void) { return fake.returned; }
uint16_t fake_reject_status(void) { return fake.reject_status; }

static const char *lasting(const char *text) {
    bool before = memory_lasts(true);
    const char *copy = text_copy(ff_bytes_of(text));
    memory_lasts(before);
    return copy;
}

static void add(fact **facts, const char *name, ff_bytes value) {
    bool before = memory_lasts(true);
    fact *fact = ff_allocate(sizeof *fact);
    fact->name = text_copy(ff_bytes_of(name));
    fact->value = (ff_bytes){text_copy(value), value.len};
    APPEND(*facts, fact);
    memory_lasts(before);
}

static fact *find(fact *facts, const char *name) {
    while (facts && !text_same(facts->name, name)) facts = facts->next;
    return facts;
}

static void set(fact **facts, const char *name, ff_bytes value) {
    fact *known = find(*facts, name);
    if (!known) {
        add(facts, name, value);
        return;
    }
    bool before = memory_lasts(true);
    known->value = (ff_bytes){text_copy(value), value.len};
    memory_lasts(before);
}

static size_t count(const fact *facts) {
    size_t len = 0;
    for (; facts; facts = facts->next) len++;
    return len;
}

/* The values of all facts with a name, or of all if it is NULL. */
static ff_strings values(const fact *facts, const char *name, bool (*same)(const char *, const char *)) {
    const char **items = ff_allocate((count(facts) + 1) * sizeof *items);
    size_t len = 0;
    for (; facts; facts = facts->next)
        if (!name || same(facts->name, name)) items[len++] = text_copy(facts->value);
    return (ff_strings){items, len};
}

/* --- what tests say and see ----------------------------------------------------------------------------------------- */

void ff_fake_request_id(const char *id) { fake.request_id = lasting(id); }
void ff_fake_flow_name(const char *name) { fake.flow_name = lasting(name); }
void ff_fake_node(const char *path) { fake.node = lasting(path); }
void ff_fake_state(ff_state state) { fake.state = state; }
void ff_fake_query(const char *name, const char *value) { add(&fake.queries, name, ff_bytes_of(value)); }
void ff_fake_header(const char *name, const char *value) { add(&fake.headers, name, ff_bytes_of(value)); }
void ff_fake_input(const char *predecessor, ff_bytes data) { add(&fake.inputs, predecessor, data); }
void ff_fake_content_type(const char *media_type) { fake.content_type = lasting(media_type); }
void ff_fake_content_types(const char *media_type) { add(&fake.content_types, "", ff_bytes_of(media_type)); }
void ff_fake_value(const char *key, ff_bytes value) { set(&fake.values, key, value); }

ff_bytes ff_fake_get(const char *key) {
    fact *value = find(fake.values, key);
    return value ? value->value : (ff_bytes){NULL, 0};
}

const char *ff_fake_label(const char *key) {
    fact *label = find(fake.labels, key);
    return label ? label->value.ptr : NULL;
}

ff_strings ff_fake_logs(void) { return values(fake.logs, NULL, text_same); }
const ff_response *ff_fake_response(void) { return fake.response; }

/* --- the context ---------------------------------------------------------------------------------------------------- */

const char *ff_context_request_id(void) { return fake.request_id; }
const char *ff_context_flow_name(void) { return fake.flow_name; }
const char *ff_context_node(void) { return fake.defining ? "" : fake.node; }
ff_state ff_context_state(void) { return fake.state; }
ff_strings ff_context_queries(const char *name) { return values(fake.queries, name, text_same); }
ff_strings ff_context_headers(const char *name) { return values(fake.headers, name, text_same_without_case); }

static const char *first(ff_strings strings) { return strings.len ? strings.items[0] : NULL; }
const char *ff_context_query(const char *name) { return first(ff_context_queries(name)); }
const char *ff_context_header(const char *name) { return first(ff_context_headers(name)); }

ff_inputs ff_context_inputs(void) {
    size_t len = 0;
    ff_named *items = ff_allocate((count(fake.inputs) + 1) * sizeof *items);
    for (fact *input = fake.defining ? NULL : fake.inputs; input; input = input->next)
        items[len++] = (ff_named){input->name, input->value};
    return (ff_inputs){items, len};
}

const char *ff_context_content_type(void) { return fake.content_type; }
ff_strings ff_context_content_types(void) { return values(fake.content_types, NULL, text_same); }

static bool is_printable(const char *text) {
    while (*text >= ' ' && *text <= '~') text++;
    return *text == 0;
}

/* Whether a text looks like a media type. The host is more exact about parameters. */
static bool is_media_type(const char *text) {
    size_t essence = strcspn(text, ";");
    while (essence && text[essence - 1] == ' ') essence--;
    const char *slash = memchr(text, '/', essence);
    if (!slash || slash == text || slash + 1 == text + essence) return false;
    bool has_more = memchr(slash + 1, '/', essence - (size_t)(slash + 1 - text)) != NULL;
    return !has_more && !memchr(text, ' ', essence) && strlen(text) <= 255 && is_printable(text);
}

ff_result *ff_context_set_content_type(const char *media_type) {
    if (fake.defining) return ff_reject("there is no data in `define` that could have a media type");
    if (!media_type || !is_media_type(media_type)) return ff_reject("`%s` is not a media type", media_type);
    fake.returned = lasting(media_type);
    return NULL;
}

ff_result *ff_context_respond(uint16_t status, const ff_header *headers, size_t len) {
    if (fake.defining) return ff_reject("there is no run in `define` that could be answered");
    if (status < 200 || status > 599 || status == 202) return ff_reject("an answer cannot have the status %d", status);
    bool before = memory_lasts(true);
    ff_header *copies = ff_allocate((len + 1) * sizeof *copies);
    for (size_t i = 0; i < len; i++)
        copies[i] = (ff_header){text_copy(ff_bytes_of(headers[i].name)), text_copy(ff_bytes_of(headers[i].value))};
    ff_response response = {status, copies, len, ff_bytes_of("")};
    fake.response = ff_copy(&response, sizeof response);
    memory_lasts(before);
    return NULL;
}

const char *host_set_reject_status(uint16_t status) {
    if (fake.defining) return "there is no run in `define` that could be answered";
    if (status < 400 || status > 499) return text_join("a rejection cannot have the status ", text_number(status), NULL);
    fake.reject_status = status;
    return NULL;
}

static bool is_one_of(const char *text, const char *others) {
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    while (text[len] && strchr(others, text[len])) {
        text += len + 1;
        len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    }
    return text[len] == 0;
}

ff_result *ff_context_label(const char *key, const char *value) {
    if (fake.defining) return ff_reject("there is no run in `define` that could have a label");
    size_t len = key ? strlen(key) : 0;
    if (len < 1 || len > 63 || !is_one_of(key, "._/-") || strchr("._/-", key[0]))
        return ff_reject("`%s` cannot be the key of a label", key);
    bool has_control = false;
    for (const char *c = value ? value : ""; *c; c++) has_control |= (unsigned char)*c < ' ' || *c == 127;
    if (!value || strlen(value) > 128 || has_control)
        return ff_reject("the value of the label `%s` is too long, or has control characters", key);
    if (!find(fake.labels, key) && count(fake.labels) >= 16) return ff_reject("a run has at most 16 labels");
    set(&fake.labels, key, ff_bytes_of(value));
    return NULL;
}

ff_result *ff_context_get(const char *key, ff_bytes *value) {
    *value = ff_fake_get(key);
    if (value->ptr) value->ptr = text_copy(*value);
    return NULL;
}

static ff_result *unchangeable(const char *key) {
    if (fake.defining) return ff_reject("value `%s` cannot be changed while the flow is being defined", key);
    size_t len = key ? strlen(key) : 0;
    if (len < 1 || len > 256) return ff_reject("value `%s` has a key of %zu bytes, not 1 to 256", key, len);
    return NULL;
}

ff_result *ff_context_set(const char *key, ff_bytes value) {
    FF_TRY(unchangeable(key));
    set(&fake.values, key, value);
    return NULL;
}

ff_result *ff_context_delete(const char *key) {
    FF_TRY(unchangeable(key));
    for (fact **value = &fake.values; *value; value = &(*value)->next) {
        if (!text_same((*value)->name, key)) continue;
        *value = (*value)->next;
        break;
    }
    return NULL;
}

ff_result *ff_context_signal_url(const char *name, uint64_t valid_ms, const char **url) {
    (void)valid_ms;
    *url = NULL;
    if (fake.defining) return ff_reject("there is no run in `define` to which a signal could be sent");
    if (!name || !*name || strlen(name) > 64 || !is_one_of(name, "_.-")) return ff_reject("`%s` is not the name of a signal", name);
    *url = text_join("https://example.org/function/", fake.flow_name, "/flow/", fake.request_id, "/signal/", name,
                     "?signature=test", NULL);
    return NULL;
}

void host_log(ff_level level, ff_bytes line) {
    static const char *const levels[] = {"trace ", "debug ", "info ", "warn ", "error "};
    add(&fake.logs, "", ff_bytes_of(text_join(levels[level], text_copy(line), NULL)));
}

void ff_context_log(ff_level level, const char *format, ...) {
    ff_buffer *line = ff_buffer_new();
    VA_FORMAT(line, format);
    host_log(level, text_repaired(ff_buffer_bytes(line)));
}

#else
typedef int nothing_in_a_flow;
#endif
