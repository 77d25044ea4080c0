/**
 * @file
 * Write flows in C.
 *
 * A flow is a function that describes a dag, together with the handlers that the dag names: functions, each with a pointer of
 * the author's choice. `FF_FLOW` makes it a flow:
 *
 * @code
 * #include <faas_flow.h>
 *
 * static ff_result *greet(ff_bytes name, void *) {
 *     name = ff_bytes_trim(name);
 *     if (name.len == 0) return ff_reject("there is no name to greet: send one as the body");
 *     return ff_format("Hello, %.*s!", FF_BYTES(name));
 * }
 *
 * static ff_result *define(ff_workflow *workflow) {
 *     ff_node_modify(ff_dag_node(ff_workflow_dag(workflow), "greet"), greet, NULL);
 *     return ff_ok();
 * }
 *
 * FF_FLOW(define)
 * @endcode
 *
 * Handlers run in a sandbox without files, network or clock, and must not rely on what an earlier call left in memory: the next
 * node of the same run may be executed by another instance of the flow, possibly on another machine. Keep values in the
 * context (`ff_context_set`) instead.
 *
 * The host knows each handler by an id, which follows from its position, as in every language: docs/languages.md has the table.
 */
#ifndef FAAS_FLOW_H
#define FAAS_FLOW_H

#include "faas_flow/builder.h"
#include "faas_flow/context.h"
#include "faas_flow/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Describes a flow. The same flow must be described each time, as long as the context says the same.
 *  @param workflow The flow.
 *  @return `ff_ok()`, or a failure: then there is no definition. */
typedef ff_result *ff_define_function(ff_workflow *workflow);

/** What `FF_FLOW` defines. A linker that misses it wants the line `FF_FLOW(define)`. */
extern ff_define_function *const ff_defined_by_FF_FLOW;

/** Makes a flow of an `ff_define_function`. Write it once, after the function. */
#define FF_FLOW(define) ff_define_function *const ff_defined_by_FF_FLOW = define;

/** Remembers a place in the author's code, for the message of what goes wrong next. The macros of `places.h` call it.
 *  @param file The file; not copied.
 *  @param line The line. */
void ff_at_place(const char *file, int line);

/** Has a function called when the flow is forgotten: at the end of a test. A flow itself is discarded as a whole, and then nothing
 *  is called.
 *  @param run The function.
 *  @param value What it gets, such as a value to be freed. */
void ff_when_forgotten(void (*run)(void *value), void *value);

/** Ends the flow's code with a message, as a failed `assert` does: the node fails with FF0006, and the message has the place and
 *  the handler. For data that is wrong, return `ff_reject` instead.
 *  @param file The file.
 *  @param line The line.
 *  @param format What happened, as for `printf`. */
FF_NO_RETURN void ff_crash_at(const char *file, int line, const char *format, ...) FF_FORMAT(3, 4);

#ifdef __cplusplus
}
#endif

#ifndef FF_NO_PLACES
#include "faas_flow/places.h"
#endif

#endif
