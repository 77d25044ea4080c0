/**
 * @file
 * The context: facts about the current run, values that last as long as the run, and the log. Include `faas_flow.h`, which has
 * all of it.
 *
 * The context may be used in `define`, too, for example to add a query parameter of the request to a call. The host then asks
 * for the definition at the start of every run. If `define` only logs, the host asks once per module, which is faster. While
 * `define` runs there is no current node, and everything that sets or deletes something fails.
 *
 * Functions that can fail return NULL if they have succeeded, and otherwise a failure, which a handler may return as its own:
 * `FF_TRY` does that. Texts and data that are returned last as long as memory of `ff_allocate`.
 */
#ifndef FAAS_FLOW_CONTEXT_H
#define FAAS_FLOW_CONTEXT_H

#include "data.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The severity of a log line. */
typedef enum {
    /** Fine-grained detail, useful to the author of the flow only. */
    FF_TRACE,
    /** Detail that helps to find a fault. */
    FF_DEBUG,
    /** Normal events that an operator may want to see. */
    FF_INFO,
    /** Something that may become a problem. */
    FF_WARN,
    /** A problem. */
    FF_ERROR,
} ff_level;

/** The state of a run. */
typedef enum {
    /** Nodes are running or waiting to run. */
    FF_RUNNING,
    /** Nothing new starts until an operator resumes the run. */
    FF_PAUSED,
    /** An operator ended the run before it was done. */
    FF_STOPPED,
    /** The run ended with its result. */
    FF_SUCCEEDED,
    /** The run failed. */
    FF_FAILED,
} ff_state;

/** The id of the run, which is the `X-Faas-Flow-Reqid` of its request: 1 to 64 characters of `A-Z a-z 0-9 _ -`. */
const char *ff_context_request_id(void);
/** The name under which the flow is deployed. */
const char *ff_context_flow_name(void);
/** The path of the current node within the run: `C[c1]/F[f2]/n1` is the node `n1` in the item `f2` of the for-each `F` in the
 *  branch `c1` of the condition `C`. Branch keys are percent-encoded. */
const char *ff_context_node(void);
/** The state of the run when the host called the current handler: `FF_RUNNING` in a node, `FF_FAILED` in the failure handler,
 *  and in the finally handler the state in which the run ended. */
ff_state ff_context_state(void);
/** The first value of a query parameter of the request that started the run.
 *  @param name The name.
 *  @return The decoded value, or NULL if there is none. */
const char *ff_context_query(const char *name);
/** All values of a query parameter of the request that started the run, decoded, in order.
 *  @param name The name. */
ff_strings ff_context_queries(const char *name);
/** The first value of a header of the request that started the run. Credentials such as `Authorization` and `Cookie` are not
 *  available unless the operator allows them (`keep_headers`). A value that is not UTF-8 is read as ISO-8859-1.
 *  @param name Upper and lower case are the same.
 *  @return The value, or NULL if there is none. */
const char *ff_context_header(const char *name);
/** All values of a header of the request that started the run, in order: see `ff_context_header`.
 *  @param name Upper and lower case are the same. */
ff_strings ff_context_headers(const char *name);
/** The inputs of the current node, by predecessor, before any aggregator. */
ff_inputs ff_context_inputs(void);
/** The media type of the data that the current handler got. It is `application/octet-stream` if no media type was set for the
 *  data, and in handlers that get several values or none. In a `prepare` handler it is that of the request, in a `receive`
 *  handler that of the response. */
const char *ff_context_content_type(void);
/** Media types in the order of the values to which they belong: in an aggregator those of the values that it merges, in other
 *  handlers those of `ff_context_inputs`. */
ff_strings ff_context_content_types(void);
/** Sets the media type of the data that the current handler is about to return; of each item, in the handler of a for-each.
 *  Without this call it is `application/octet-stream`, or `application/json` after `ff_json`.
 *  @param media_type As RFC 9110 defines it, of at most 255 bytes of printable ASCII.
 *  @return NULL, or the failure if the host refuses it, and in `define`. */
FF_MUST_USE ff_result *ff_context_set_content_type(const char *media_type);
/** Sets the status and headers with which the caller of the run is answered. In a node they belong to the result of the run: if
 *  the node fails, they are dropped; if several nodes set them, those that were committed last count. In the failure handler
 *  they belong to what that handler returns.
 *  @param status From 200 to 599, but not 202.
 *  @param headers At most 32, with 8,192 bytes altogether. NULL if there are none.
 *  @param len How many there are.
 *  @return NULL, or the failure if the host refuses it, in `define` and in the finally handler. */
FF_MUST_USE ff_result *ff_context_respond(uint16_t status, const ff_header *headers, size_t len);
/** Gives the run a label, by which people find it in lists, or replaces the value of a label that it has. It is committed with
 *  the node's output, and dropped if the node fails.
 *  @param key 1 to 63 characters of `A-Z a-z 0-9 . _ / -`, of which the first is a letter or digit.
 *  @param value At most 128 bytes without control characters.
 *  @return NULL, or the failure if the host refuses it, and in `define`. */
FF_MUST_USE ff_result *ff_context_label(const char *key, const char *value);
/** Reads a value that some node of this run has set. A node sees its own changes at once, and those of other nodes after they
 *  have committed.
 *  @param key The key.
 *  @param value Becomes the value; its `ptr` becomes NULL if there is none.
 *  @return NULL, or a failure that asks for a retry if the host cannot read the value now. */
FF_MUST_USE ff_result *ff_context_get(const char *key, ff_bytes *value);
/** Sets a value for the rest of the run. It is committed in one step with the node's output, and dropped if the node fails.
 *  @param key 1 to 256 bytes.
 *  @param value Any bytes.
 *  @return NULL, or the failure if the host refuses it, and in `define`. */
FF_MUST_USE ff_result *ff_context_set(const char *key, ff_bytes value);
/** Deletes a value. Deleting one that does not exist is not an error.
 *  @param key The key.
 *  @return NULL, or the failure if the host refuses the key, and in `define`. */
FF_MUST_USE ff_result *ff_context_delete(const char *key);
/** Makes an address with which anyone who knows it can send one signal to this run: it is signed, works once, and needs no
 *  token. A browser that opens it gets a page with which to approve or reject, and to comment.
 *  @param name The name of the signal.
 *  @param valid_ms After how many milliseconds the address expires, at most 366 days. 0 is 7 days.
 *  @param url Becomes the address.
 *  @return NULL, or the failure if the name is malformed, in `define`, and if the host does not know at which address it can be
 *  reached (its configuration key `public_url`). */
FF_MUST_USE ff_result *ff_context_signal_url(const char *name, uint64_t valid_ms, const char **url);
/** Writes a line to the host's log, which adds the run and the node.
 *  @param level The severity.
 *  @param format The line, as for `printf`. */
void ff_context_log(ff_level level, const char *format, ...) FF_FORMAT(2, 3);

#ifdef __cplusplus
}
#endif

#endif
