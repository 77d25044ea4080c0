/**
 * @file
 * Data, the types of handlers, and what a handler returns. Include `faas_flow.h`, which has all of it.
 *
 * Memory. Everything that a function of this file returns belongs to the SDK: never free it. In a handler it lasts until the
 * handler has returned, in `define` as long as the instance of the flow. Texts and bytes that are passed to a function are
 * copied, unless its description says otherwise.
 */
#ifndef FAAS_FLOW_DATA_H
#define FAAS_FLOW_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks functions whose result must not be ignored. */
#define FF_MUST_USE __attribute__((warn_unused_result))
/** Marks functions that do not return. */
#define FF_NO_RETURN __attribute__((noreturn))
/** Marks functions that take a format as `printf` does. */
#define FF_FORMAT(position, first) __attribute__((__format__(__printf__, position, first)))

/** Bytes. Those that the SDK passes to a handler or returns are followed by a zero byte, which `len` does not count, so that
 *  text without a zero byte in it can be used as a string of C. */
typedef struct {
    /** The first byte. NULL only where a description says so. */
    const char *ptr;
    /** How many bytes there are. */
    size_t len;
} ff_bytes;

/** The two arguments that the format `%.*s` takes: `ff_format("Hello, %.*s!", FF_BYTES(name))`. */
#define FF_BYTES(bytes) (int)(bytes).len, (bytes).ptr

/** Bytes with a name. */
typedef struct {
    /** The name: of a predecessor, a branch, an item or a node. */
    const char *name;
    /** The data. */
    ff_bytes data;
} ff_named;

/** Named values, in a meaningful order: that of edges, of the chosen branches, or of items. */
typedef struct {
    /** The first value. */
    const ff_named *items;
    /** How many values there are. */
    size_t len;
} ff_inputs;

/** Texts. */
typedef struct {
    /** The first text. */
    const char *const *items;
    /** How many texts there are. */
    size_t len;
} ff_strings;

/** A header of an HTTP message. */
typedef struct {
    /** The name. Upper and lower case are the same. */
    const char *name;
    /** The value. */
    const char *value;
} ff_header;

/** An HTTP request that the host is about to send. A `prepare` handler changes it with the functions below. */
typedef struct ff_request {
    /** The method, in upper case: `POST`. */
    const char *method;
    /** The absolute URL, with its query. When the request goes to an OpenFaaS function, the host decides where that function
     *  is: it uses the query and the path after the function's name, and ignores scheme, host and port. */
    const char *url;
    /** The headers, in order. A name may occur more than once. */
    const ff_header *headers;
    /** How many headers there are. */
    size_t headers_len;
    /** The whole body. */
    ff_bytes body;
} ff_request;

/** An HTTP response as it arrived. */
typedef struct {
    /** The status code, from 100 to 599. */
    uint16_t status;
    /** The headers, in order of arrival, with names in lower case. */
    const ff_header *headers;
    /** How many headers there are. */
    size_t headers_len;
    /** The whole body. */
    ff_bytes body;
} ff_response;

/** What kind of failure it is. */
typedef enum {
    /** The flow's code has rejected its data, or asked for a retry when none was left. */
    FF_REJECTED,
    /** A call was answered with an error status, or with an answer that cannot be used. */
    FF_ANSWERED,
    /** A call could not be made: there was no connection, or no such function. */
    FF_UNREACHABLE,
    /** A call, a node or an answer took too long. */
    FF_TIMED_OUT,
    /** The flow's code crashed or exceeded a limit. */
    FF_CRASHED,
    /** A flow that was called did not succeed. */
    FF_CHILD,
    /** Anything else. */
    FF_OTHER,
} ff_failure_kind;

/** A failure, after all retries. */
typedef struct {
    /** The error code, such as `FF0207`. */
    const char *code;
    /** What kind of failure that is. */
    ff_failure_kind kind;
    /** The status of the response, from 100 to 599, if a call failed because of it, and otherwise 0. */
    uint16_t status;
    /** The text of the failure, for people. */
    const char *message;
    /** The path of the node that failed: `F[f2]/charge`. */
    const char *path;
    /** How many tries of the call, or attempts of the node, there were. At least 1. */
    uint32_t tries;
    /** The input of the failed operation, or of the failed node if none of its operations had begun. Empty in a `gather`
     *  handler. */
    ff_bytes input;
    /** The body of the response, if a call failed because of its status, and otherwise `ptr` is NULL. NULL in a `gather`
     *  handler, too. */
    ff_bytes body;
} ff_failed;

/** One item of a for-each, and how it ended. */
typedef struct {
    /** The key of the item. */
    const char *key;
    /** The result of the item, if it has not failed. */
    ff_bytes result;
    /** Why it has none, which the for-each tolerates, or NULL. */
    const ff_failed *failed;
} ff_gathered;

/** How a run ended. */
typedef enum {
    /** The run produced its result. */
    FF_SUCCESS,
    /** A node failed, the deadline passed, or the run was stopped. */
    FF_FAILURE,
} ff_outcome;

/** What a handler returns: made by one of the functions below. */
typedef struct ff_result ff_result;

/** A handler that gets data: of `modify`, `forwarder`, a condition, a for-each, `sleep_until`, `wait_for_named` and the key of a
 *  limit.
 *  @param data The data, which lasts until the handler has returned.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_data(ff_bytes data, void *user);
/** An aggregator.
 *  @param inputs The values to merge, which last until the handler has returned.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_inputs(ff_inputs inputs, void *user);
/** A handler that says whether a repeat runs again: it returns `ff_again(…)`.
 *  @param data The result of the round that has ended.
 *  @param round Its number, from 1.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_round(ff_bytes data, uint32_t round, void *user);
/** A handler that changes a request before it is sent, and returns `ff_ok()`.
 *  @param request The request, to be changed in place.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_request(ff_request *request, void *user);
/** A handler that turns a response into data.
 *  @param response The response.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_response(const ff_response *response, void *user);
/** A handler that turns the text of a failure into data to continue with, or into another failure.
 *  @param error The text of the failure.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_error(const char *error, void *user);
/** A handler that turns a failure into data to continue with, or into another failure.
 *  @param failed What has failed.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_failed(const ff_failed *failed, void *user);
/** A handler that merges the results and the tolerated failures of a for-each, in the order of its items.
 *  @param items The first item.
 *  @param len How many items there are.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_gathered(const ff_gathered *items, size_t len, void *user);
/** A handler that runs at the end of a run, and returns `ff_ok()`.
 *  @param outcome How the run ended.
 *  @param user What was given together with the handler. */
typedef ff_result *ff_on_end(ff_outcome outcome, void *user);

/** Makes bytes of a text, without copying it.
 *  @param text Ends with a zero byte. NULL is no bytes.
 *  @return The bytes of the text itself: they last as long as it does. */
ff_bytes ff_bytes_of(const char *text);
/** Whether bytes are those of a text.
 *  @param bytes Any bytes.
 *  @param text Ends with a zero byte.
 *  @return Whether they are equal. */
bool ff_bytes_equal(ff_bytes bytes, const char *text);
/** Leaves out white space of ASCII at both ends.
 *  @param bytes Any bytes.
 *  @return A part of them, which is not copied. No zero byte follows it. */
ff_bytes ff_bytes_trim(ff_bytes bytes);
/** Whether bytes are valid UTF-8.
 *  @param bytes Any bytes.
 *  @return Whether they are valid UTF-8. */
bool ff_bytes_are_utf8(ff_bytes bytes);
/** The value with a name.
 *  @param inputs Named values.
 *  @param name The name to look for.
 *  @return The first value with this name, or a `ptr` of NULL if there is none. It lasts as long as the values. */
ff_bytes ff_inputs_get(ff_inputs inputs, const char *name);

/** Memory that the SDK frees, aligned for any type and filled with zeros.
 *  @param size How many bytes.
 *  @return The memory; never NULL, since a flow without memory left crashes with FF0008. In a handler it lasts until the
 *  handler has returned, in `define` as long as the instance. */
void *ff_allocate(size_t size);
/** Copies a value into memory of `ff_allocate`: for what a handler gets as `user`.
 *  @param value The value.
 *  @param size Its size in bytes.
 *  @return The copy. */
void *ff_copy(const void *value, size_t size);

/** Bytes that grow. */
typedef struct ff_buffer ff_buffer;

/** Makes an empty buffer.
 *  @return The buffer, in memory of `ff_allocate`. */
ff_buffer *ff_buffer_new(void);
/** Appends bytes.
 *  @param buffer The buffer.
 *  @param bytes What is appended. */
void ff_buffer_add(ff_buffer *buffer, ff_bytes bytes);
/** Appends a text.
 *  @param buffer The buffer.
 *  @param text Ends with a zero byte. */
void ff_buffer_add_text(ff_buffer *buffer, const char *text);
/** Appends a formatted text.
 *  @param buffer The buffer.
 *  @param format As of `printf`. */
void ff_buffer_add_format(ff_buffer *buffer, const char *format, ...) FF_FORMAT(2, 3);
/** Appends text as a string of JSON, in quotes and escaped. Bytes that are not UTF-8 become U+FFFD.
 *  @param buffer The buffer.
 *  @param text The text. */
void ff_buffer_add_json(ff_buffer *buffer, ff_bytes text);
/** What is in a buffer.
 *  @param buffer The buffer.
 *  @return Its bytes, which last until the next one is appended. */
ff_bytes ff_buffer_bytes(const ff_buffer *buffer);

/** The items into which a for-each splits its input. */
typedef struct ff_items ff_items;

/** Makes an empty list of items.
 *  @return The list, in memory of `ff_allocate`. */
ff_items *ff_items_new(void);
/** Appends an item.
 *  @param items The list.
 *  @param key 1 to 128 bytes, unique among the items.
 *  @param data The data of the item. */
void ff_items_add(ff_items *items, const char *key, ff_bytes data);

/** Returns nothing, or empty data. */
FF_MUST_USE ff_result *ff_ok(void);
/** Returns data. Its media type is that of `ff_context_set_content_type`.
 *  @param data The data. */
FF_MUST_USE ff_result *ff_data(ff_bytes data);
/** Returns a text as data; in a handler of `wait_for_named` or of the key of a limit, the name or the key.
 *  @param text Ends with a zero byte. */
FF_MUST_USE ff_result *ff_text(const char *text);
/** Returns a formatted text, as `ff_text` does.
 *  @param format As of `printf`. */
FF_MUST_USE ff_result *ff_format(const char *format, ...) FF_FORMAT(1, 2);
/** Returns JSON: data with the media type `application/json`.
 *  @param json The JSON. The SDK does not look at it. */
FF_MUST_USE ff_result *ff_json(ff_bytes json);
/** Returns the keys of the branches that a condition runs.
 *  @param keys The keys.
 *  @param len How many there are: at least one, each at most once. */
FF_MUST_USE ff_result *ff_keys_of(const char *const *keys, size_t len);
/** Returns the items of a for-each. There may be none.
 *  @param items The items. */
FF_MUST_USE ff_result *ff_split(const ff_items *items);
/** Lets a sleeping node continue after a time.
 *  @param ms The time in milliseconds. 0 does not sleep. */
FF_MUST_USE ff_result *ff_after(uint64_t ms);
/** Lets a sleeping node continue at a moment.
 *  @param moment As RFC 3339 writes it: `2026-12-24T18:00:00+01:00`. A moment in the past does not sleep. */
FF_MUST_USE ff_result *ff_at(const char *moment);
/** Says whether a repeat runs again.
 *  @param again Whether there is another round. */
FF_MUST_USE ff_result *ff_again(bool again);

/** Fails: trying again cannot help, so the host does not retry.
 *  @param format What happened, for people, as for `printf`. */
FF_MUST_USE ff_result *ff_reject(const char *format, ...) FF_FORMAT(1, 2);
/** Fails as `ff_reject` does. If the run fails with it, its caller is answered with this status.
 *  @param status From 400 to 499.
 *  @param format What happened, for people, as for `printf`. */
FF_MUST_USE ff_result *ff_reject_with_status(uint16_t status, const char *format, ...) FF_FORMAT(2, 3);
/** Fails: trying again may help. The host retries as often as the retry policy of the call or node allows.
 *  @param format What happened, for people, as for `printf`. */
FF_MUST_USE ff_result *ff_retry(const char *format, ...) FF_FORMAT(1, 2);

/** Returns the keys of the branches that a condition runs: `return ff_keys("small");`. */
#define ff_keys(...)                                                                                                    \
    ff_keys_of((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/** Goes on if a function of the context has succeeded, and otherwise returns its failure from the handler:
 *  `FF_TRY(ff_context_set("lines", data));`. */
#define FF_TRY(call)                                                                                                    \
    do {                                                                                                                \
        ff_result *ff_failed_ = (call);                                                                                 \
        if (ff_failed_ != NULL) return ff_failed_;                                                                      \
    } while (0)

/** The value of the first header with a name.
 *  @param request The request.
 *  @param name Upper and lower case are the same.
 *  @return The value, or NULL if there is none. It lasts as long as the request. */
const char *ff_request_header(const ff_request *request, const char *name);
/** Replaces the method of a request.
 *  @param request The request.
 *  @param method The method, in upper case. */
void ff_request_set_method(ff_request *request, const char *method);
/** Replaces the URL of a request.
 *  @param request The request.
 *  @param url The absolute URL. */
void ff_request_set_url(ff_request *request, const char *url);
/** Adds a header. Headers of the same name are kept: remove them first to replace them.
 *  @param request The request.
 *  @param name The name.
 *  @param value The value. */
void ff_request_add_header(ff_request *request, const char *name, const char *value);
/** Removes all headers with a name.
 *  @param request The request.
 *  @param name Upper and lower case are the same. */
void ff_request_remove_header(ff_request *request, const char *name);
/** Replaces the body of a request.
 *  @param request The request.
 *  @param body The whole body. */
void ff_request_set_body(ff_request *request, ff_bytes body);
/** The value of the first header with a name.
 *  @param response The response.
 *  @param name Upper and lower case are the same.
 *  @return The value, or NULL if there is none. It lasts as long as the response. */
const char *ff_response_header(const ff_response *response, const char *name);

#ifdef __cplusplus
}
#endif

#endif
