/* What handlers return, and the requests that they change. */
#include "internal.h"
#include <stdarg.h>
#include <string.h>

ff_result *result_of(says says) {
    ff_result *result = NEW(ff_result);
    result->says = says;
    result->at = flow_place();
    return result;
}

static ff_result *with_text(says says, ff_bytes text) {
    ff_result *result = result_of(says);
    result->data = text;
    return result;
}

ff_result *result_reject(const char *text) { return with_text(SAYS_REJECT, ff_bytes_of(text)); }
ff_result *result_retry(const char *text) { return with_text(SAYS_RETRY, ff_bytes_of(text)); }

ff_result *ff_ok(void) { return result_of(SAYS_NOTHING); }

ff_result *ff_data(ff_bytes data) {
    ff_result *result = result_of(SAYS_DATA);
    result->data = (ff_bytes){text_copy(data), data.len};
    return result;
}

ff_result *ff_text(const char *text) {
    if (!text) flow_mistake("ff_text", "the text is NULL");
    return ff_data(ff_bytes_of(text));
}

ff_result *ff_format(const char *format, ...) {
    ff_buffer *buffer = ff_buffer_new();
    VA_FORMAT(buffer, format);
    return with_text(SAYS_DATA, ff_buffer_bytes(buffer));
}

ff_result *ff_json(ff_bytes json) {
    ff_result *result = ff_data(json);
    result->json = true;
    return result;
}

ff_result *ff_keys_of(const char *const *keys, size_t len) {
    ff_result *result = result_of(SAYS_KEYS);
    const char **copies = ff_allocate(len * sizeof *copies);
    for (size_t i = 0; i < len; i++) copies[i] = flow_text("ff_keys", "a key", keys[i]);
    result->keys = (ff_strings){copies, len};
    return result;
}

ff_items *ff_items_new(void) { return NEW(ff_items); }

void ff_items_add(ff_items *items, const char *key, ff_bytes data) {
    if (!items) {
        flow_mistake("ff_items_add", "the list is NULL");
        return;
    }
    if (items->len == items->room) {
        size_t room = items->room ? items->room * 2 : 16;
        ff_named *grown = ff_allocate(room * sizeof *grown);
        if (items->len) memcpy(grown, items->items, items->len * sizeof *grown);
        items->items = grown, items->room = room;
    }
    key = flow_text("ff_items_add", "the key", key);
    items->items[items->len++] = (ff_named){key, {text_copy(data), data.len}};
}

ff_result *ff_split(const ff_items *items) {
    ff_result *result = result_of(SAYS_ITEMS);
    if (!items) flow_mistake("ff_split", "the list is NULL");
    result->items = items ? items : ff_items_new();
    return result;
}

ff_result *ff_after(uint64_t ms) {
    ff_result *result = result_of(SAYS_AFTER);
    result->ms = ms;
    return result;
}

ff_result *ff_at(const char *moment) {
    return with_text(SAYS_AT, ff_bytes_of(flow_text("ff_at", "the moment", moment)));
}

ff_result *ff_again(bool again) {
    ff_result *result = result_of(SAYS_AGAIN);
    result->again = again;
    return result;
}

ff_result *ff_reject(const char *format, ...) {
    ff_buffer *buffer = ff_buffer_new();
    VA_FORMAT(buffer, format);
    return with_text(SAYS_REJECT, ff_buffer_bytes(buffer));
}

ff_result *ff_reject_with_status(uint16_t status, const char *format, ...) {
    ff_buffer *buffer = ff_buffer_new();
    VA_FORMAT(buffer, format);
    ff_result *result = with_text(SAYS_REJECT, ff_buffer_bytes(buffer));
    result->status = status;
    return result;
}

ff_result *ff_retry(const char *format, ...) {
    ff_buffer *buffer = ff_buffer_new();
    VA_FORMAT(buffer, format);
    return with_text(SAYS_RETRY, ff_buffer_bytes(buffer));
}

static const char *header(const ff_header *headers, size_t len, const char *name) {
    for (size_t i = 0; i < len; i++)
        if (text_same_without_case(headers[i].name, name)) return headers[i].value;
    return NULL;
}

const char *ff_request_header(const ff_request *request, const char *name) {
    return header(request->headers, request->headers_len, name);
}

const char *ff_response_header(const ff_response *response, const char *name) {
    return header(response->headers, response->headers_len, name);
}

void ff_request_set_method(ff_request *request, const char *method) {
    request->method = flow_text("ff_request_set_method", "the method", method);
}

void ff_request_set_url(ff_request *request, const char *url) {
    request->url = flow_text("ff_request_set_url", "the URL", url);
}

void ff_request_add_header(ff_request *request, const char *name, const char *value) {
    ff_header *headers = ff_allocate((request->headers_len + 1) * sizeof *headers);
    if (request->headers_len) memcpy(headers, request->headers, request->headers_len * sizeof *headers);
    headers[request->headers_len].name = flow_text("ff_request_add_header", "the name", name);
    headers[request->headers_len++].value = flow_text("ff_request_add_header", "the value", value);
    request->headers = headers;
}

void ff_request_remove_header(ff_request *request, const char *name) {
    ff_header *kept = ff_allocate(request->headers_len * sizeof *kept);
    size_t len = 0;
    for (size_t i = 0; i < request->headers_len; i++)
        if (!text_same_without_case(request->headers[i].name, name)) kept[len++] = request->headers[i];
    request->headers = kept, request->headers_len = len;
}

void ff_request_set_body(ff_request *request, ff_bytes body) { request->body = (ff_bytes){text_copy(body), body.len}; }
