/**
 * @file
 * The builder, with which `define` describes a flow. Include `faas_flow.h`, which has all of it.
 *
 * All objects belong to the SDK: never free them. They may be used in any order until `define` returns. The functions copy
 * the texts that they get. They do not copy what `user` points to: it must last as long as the instance of the flow, as
 * constants, static variables and memory of `ff_allocate`, `ff_copy` and `malloc` do.
 *
 * Nothing fails while a flow is being described. An invalid argument, such as NULL for a name or a handler, makes
 * `define` fail, with a message that names the file and the line. The host checks everything else when it loads the flow.
 *
 * Options return the object that they belong to.
 */
#ifndef FAAS_FLOW_BUILDER_H
#define FAAS_FLOW_BUILDER_H

#include "data.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The flow that `define` describes: its outermost dag, and what applies to a run as a whole. */
typedef struct ff_workflow ff_workflow;
/** Nodes, and the edges between them. A dag has one start (a node without incoming edges) and no cycles. Its result is the
 *  output of its end (the node without outgoing edges). A dag with several ends yields nothing, unless `ff_dag_end_aggregator`
 *  merges their outputs. */
typedef struct ff_dag ff_dag;
/** A node that runs operations one after the other, each on the output of the one before. */
typedef struct ff_node ff_node;
/** A call of a function or URL. The body of the request is the data that reached the operation. The method is `POST` unless
 *  `ff_call_method` says otherwise. The output is the body of the response, provided that its status is from 200 to 299. */
typedef struct ff_call ff_call;
/** A wait for a signal. The output is the body of the signal. */
typedef struct ff_wait ff_wait;
/** The branches of a condition. Without an aggregator, a condition that chose exactly one branch yields the result of that
 *  branch, and a condition that chose several yields nothing. */
typedef struct ff_condition ff_condition;
/** A for-each: one dag, which runs once for each item. Without an aggregator, it yields nothing. */
typedef struct ff_for_each ff_for_each;
/** A dag that runs again on its own result. */
typedef struct ff_repeat ff_repeat;
/** An edge between two nodes. By default it carries the output of the first node to the second. */
typedef struct ff_edge ff_edge;
/** A limit over all runs: how many calls or nodes may be in flight at a time, and how many may begin in a second. At least one
 *  of the two must be set. Permits are granted in the order in which they are asked for, and whatever waits for one holds
 *  nothing meanwhile. */
typedef struct ff_limit ff_limit;
/** A schedule, which begins runs of the flow. The request of such a run has the headers `X-Faas-Flow-Schedule`, with the
 *  schedule's name, and `X-Faas-Flow-Scheduled-At`, with the moment that the run is for. */
typedef struct ff_schedule ff_schedule;

/** A number of seconds in milliseconds. */
#define FF_SECONDS(n) ((uint64_t)(n) * 1000)
/** A number of minutes in milliseconds. */
#define FF_MINUTES(n) FF_SECONDS((uint64_t)(n) * 60)
/** A number of hours in milliseconds. */
#define FF_HOURS(n) FF_MINUTES((uint64_t)(n) * 60)
/** A number of days in milliseconds. */
#define FF_DAYS(n) FF_HOURS((uint64_t)(n) * 24)

/** A retry policy: how often to try, and how long to wait in between. Before try n (the second and later ones) the host waits
 *  `min(max_delay_ms, first_delay_ms × factor^(n-2))`, less a random share of up to one half. Made by `ff_attempts`. */
typedef struct {
    /** The number of tries, including the first. 1 to 100. */
    uint32_t attempts;
    /** The wait before the second try, in milliseconds. */
    uint32_t first_delay_ms;
    /** The factor by which each further wait is longer than the one before. 1 to 100. */
    float factor;
    /** The longest wait, in milliseconds. At most 86,400,000 (one day). */
    uint32_t max_delay_ms;
} ff_backoff;

/** What the host does when a node has failed and its retries are exhausted. */
typedef enum {
    /** The run fails. This is the default. */
    FF_FAIL,
    /** The run pauses, so that an operator can fix the cause and resume it. A `reject` still fails the run. */
    FF_PAUSE,
} ff_exhausted;

/** What happens with missed moments of a schedule: those that are more than 60 seconds late. */
typedef enum {
    /** No run begins for them. This is the default. */
    FF_MISSED_SKIP,
    /** A run begins for the latest of them. */
    FF_MISSED_ONE,
    /** A run begins for each of the last thousand of them, the oldest first. */
    FF_MISSED_ALL,
} ff_missed;

/** What happens at a moment of a schedule at which the previous run has not ended. */
typedef enum {
    /** No run begins for the moment. This is the default. */
    FF_OVERLAP_SKIP,
    /** Another run begins beside it. */
    FF_OVERLAP_ALLOW,
    /** The moment waits until the previous run has ended. At most a hundred wait. */
    FF_OVERLAP_QUEUE,
    /** The previous run is stopped, and then the next one begins. */
    FF_OVERLAP_REPLACE,
} ff_overlap;

/** A policy of this many tries, including the first: 1 to 100. The waits start at 100 ms, double each time, and never exceed
 *  10 s; change the fields of the result for others.
 *  @param attempts How many tries.
 *  @return The policy. */
ff_backoff ff_attempts(uint32_t attempts);

/** The outermost dag, the same one each time. Its start gets the body of the request, and its result is the run's.
 *  @param workflow The flow. */
ff_dag *ff_workflow_dag(ff_workflow *workflow);
/** Replaces the outermost dag.
 *  @param workflow The flow.
 *  @param dag The dag. */
void ff_workflow_set_dag(ff_workflow *workflow, ff_dag *dag);
/** Adds the only node of a flow that has just one, with the id `sync`. The caller of such a flow gets its result as the answer
 *  to the request.
 *  @param workflow The flow. */
ff_node *ff_workflow_sync_node(ff_workflow *workflow);
/** Sets the failure handler, which is called once when the run has failed. The run stays failed: what the handler returns
 *  replaces the text of the failure in the caller's answer.
 *  @param workflow The flow.
 *  @param recover The handler.
 *  @param user Passed to the handler. */
void ff_workflow_on_failure(ff_workflow *workflow, ff_on_error *recover, void *user);
/** Sets the finally handler, which is called once at the end of every run, however it ended, and after the failure handler. If
 *  it fails, the outcome of the run does not change.
 *  @param workflow The flow.
 *  @param finally The handler.
 *  @param user Passed to the handler. */
void ff_workflow_finally(ff_workflow *workflow, ff_on_end *finally, void *user);
/** Limits the time from the start of a run to its end. A run that takes longer fails.
 *  @param workflow The flow.
 *  @param ms In milliseconds, at least 1. */
void ff_workflow_deadline(ff_workflow *workflow, uint64_t ms);
/** Sets what happens when a node has failed and its retries are exhausted.
 *  @param workflow The flow.
 *  @param then What happens. */
void ff_workflow_on_exhausted(ff_workflow *workflow, ff_exhausted then);
/** Adds a schedule, which begins exactly one run at each of its moments, however many replicas there are.
 *  @param workflow The flow.
 *  @param name 1 to 32 characters of `A-Z a-z 0-9 _ -`, unique within the flow.
 *  @param when A cron expression of five fields, or of six, of which the first is the second (`0 30 2 * * *`); a name such as
 *  `@daily`; or an interval such as `every 10m`. */
ff_schedule *ff_workflow_schedule(ff_workflow *workflow, const char *name, const char *when);

/** Sets the time zone of a cron expression. By default it is UTC. An interval has no time zone.
 *  @param schedule The schedule.
 *  @param name Its name in the IANA database: `Europe/Berlin`. */
ff_schedule *ff_schedule_time_zone(ff_schedule *schedule, const char *name);
/** Sets what happens with missed moments.
 *  @param schedule The schedule.
 *  @param then What happens. */
ff_schedule *ff_schedule_missed(ff_schedule *schedule, ff_missed then);
/** Sets what happens at a moment at which the previous run has not ended.
 *  @param schedule The schedule.
 *  @param then What happens. */
ff_schedule *ff_schedule_overlap(ff_schedule *schedule, ff_overlap then);
/** Sets the body of the request of each run. By default it is empty.
 *  @param schedule The schedule.
 *  @param body At most 64 KiB.
 *  @param media_type Such as `application/json`. An empty one is `application/octet-stream`. */
ff_schedule *ff_schedule_input(ff_schedule *schedule, ff_bytes body, const char *media_type);

/** A dag without nodes, to be used as a sub-dag, as a part of another dag, or as the whole flow.
 *  @return The dag, which is not part of the flow until it is used. */
FF_MUST_USE ff_dag *ff_dag_new(void);
/** Adds a node that runs operations one after the other. A node without operations passes its input on.
 *  @param dag The dag.
 *  @param id Unique within this dag: 1 to 64 characters of `A-Z a-z 0-9 _ . -`. So are the ids of all kinds of nodes. */
ff_node *ff_dag_node(ff_dag *dag, const char *id);
/** Adds a node that runs a whole dag. The start of that dag gets the node's input, and its result is the node's output.
 *  @param dag The dag.
 *  @param id The id of the node.
 *  @param inner The dag that the node runs. The same one may be used for several nodes. */
void ff_dag_sub_dag(ff_dag *dag, const char *id, ff_dag *inner);
/** Adds a node that runs some of its branches.
 *  @param dag The dag.
 *  @param id The id of the node.
 *  @param choose Gets the node's input and returns the keys of the branches to run, with `ff_keys`.
 *  @param user Passed to the handler. */
ff_condition *ff_dag_condition(ff_dag *dag, const char *id, ff_on_data *choose, void *user);
/** Adds a node that runs one dag once for each item.
 *  @param dag The dag.
 *  @param id The id of the node.
 *  @param split Gets the node's input and returns the items, with `ff_split`.
 *  @param user Passed to the handler. */
ff_for_each *ff_dag_for_each(ff_dag *dag, const char *id, ff_on_data *split, void *user);
/** Adds a node that runs a dag again on its own result while a handler says so.
 *  @param dag The dag.
 *  @param id The id of the node.
 *  @param again Gets the result of each round and its number, and returns whether there is another one, with `ff_again`.
 *  @param user Passed to the handler. */
ff_repeat *ff_dag_repeat(ff_dag *dag, const char *id, ff_on_round *again, void *user);
/** Adds an edge: `to` runs after `from`, and gets its output unless an option of the edge says otherwise.
 *  @param dag The dag.
 *  @param from The id of a node, which may be added before or after the edge.
 *  @param to The id of another node. */
ff_edge *ff_dag_edge(ff_dag *dag, const char *from, const char *to);
/** Merges the inputs of a node of any kind, named by predecessor in the order of the edges. Without an aggregator, a node with
 *  one incoming data edge gets what that edge carries. A node with several gets empty data, and finds its inputs in
 *  `ff_context_inputs`.
 *  @param dag The dag.
 *  @param node The id of the node.
 *  @param aggregator The handler.
 *  @param user Passed to the handler. */
void ff_dag_input_aggregator(ff_dag *dag, const char *node, ff_on_inputs *aggregator, void *user);
/** Merges the outputs of the dag's ends into its result, named by node id in the order of their declaration.
 *  @param dag The dag.
 *  @param aggregator The handler.
 *  @param user Passed to the handler. */
void ff_dag_end_aggregator(ff_dag *dag, ff_on_inputs *aggregator, void *user);
/** Catches the failure of a node of any kind, or of what is inside it, after all its retries. What the handler returns is the
 *  node's output. If it fails, so does the node. What the node had begun is cancelled.
 *  @param dag The dag.
 *  @param node The id of the node.
 *  @param recover The handler.
 *  @param user Passed to the handler. */
void ff_dag_recover_node(ff_dag *dag, const char *node, ff_on_failed *recover, void *user);
/** Catches failures in this dag that were not caught further inside. What the handler returns is the result of the dag. If it
 *  fails, so does the dag.
 *  @param dag The outermost dag, a sub-dag, a branch of a condition or the dag of a for-each.
 *  @param recover The handler.
 *  @param user Passed to the handler. */
void ff_dag_recover_from(ff_dag *dag, ff_on_failed *recover, void *user);
/** Copies the nodes, edges, input aggregators and `recover_node` handlers that another dag has now into this one.
 *  @param dag The dag.
 *  @param other The other dag. What is added to it later is not copied. */
void ff_dag_append(ff_dag *dag, const ff_dag *other);

/** Makes an edge carry nothing: it only orders the two nodes.
 *  @param edge The edge. */
ff_edge *ff_edge_execution(ff_edge *edge);
/** Rewrites the data that an edge carries.
 *  @param edge The edge.
 *  @param forward The handler.
 *  @param user Passed to the handler. */
ff_edge *ff_edge_forwarder(ff_edge *edge, ff_on_data *forward, void *user);

/** Adds a call of an OpenFaaS function. If the function is a flow, the call begins a run of it, and waits for its end without
 *  holding anything.
 *  @param node The node.
 *  @param function Its name, which may be followed by a path: `func1` or `func1/path`. */
ff_call *ff_node_apply(ff_node *node, const char *function);
/** Adds a request to a URL.
 *  @param node The node.
 *  @param url `http` or `https`. */
ff_call *ff_node_request(ff_node *node, const char *url);
/** Adds a call of the flow's own code.
 *  @param node The node.
 *  @param modifier The handler.
 *  @param user Passed to the handler. */
ff_node *ff_node_modify(ff_node *node, ff_on_data *modifier, void *user);
/** Adds a sleep: the data is passed on unchanged after this time. Nothing is held meanwhile. The node's timeout does not count
 *  the sleep; the deadline of the run does.
 *  @param node The node.
 *  @param ms In milliseconds, at most 366 days. */
ff_node *ff_node_sleep(ff_node *node, uint64_t ms);
/** Adds a sleep until a moment that a handler names for the data. The flow's code itself has no clock.
 *  @param node The node.
 *  @param moment Returns `ff_at(…)` or `ff_after(…)`. A moment that is malformed, or more than 366 days away, fails the node.
 *  @param user Passed to the handler. */
ff_node *ff_node_sleep_until(ff_node *node, ff_on_data *moment, void *user);
/** Adds a wait for a signal: a named message that is sent to the run. Nothing is held while the node waits.
 *  @param node The node.
 *  @param signal 1 to 64 characters of `A-Z a-z 0-9 _ . -`. */
ff_wait *ff_node_wait_for(ff_node *node, const char *signal);
/** Adds a wait for the signal that a handler names for the data, so that each item of a for-each can wait for one of its own.
 *  @param node The node.
 *  @param name Returns the name, with `ff_text` or `ff_format`. A malformed name fails the node.
 *  @param user Passed to the handler. */
ff_wait *ff_node_wait_for_named(ff_node *node, ff_on_data *name, void *user);
/** Merges the node's inputs before its first operation: see `ff_dag_input_aggregator`.
 *  @param node The node.
 *  @param aggregator The handler.
 *  @param user Passed to the handler. */
ff_node *ff_node_aggregator(ff_node *node, ff_on_inputs *aggregator, void *user);
/** Catches the failure of the node: see `ff_dag_recover_node`.
 *  @param node The node.
 *  @param recover The handler.
 *  @param user Passed to the handler. */
ff_node *ff_node_recover_from(ff_node *node, ff_on_failed *recover, void *user);
/** Sets the retry policy of the node, which is then tried again from its first operation. By default it is tried once.
 *  @param node The node.
 *  @param policy The policy. */
ff_node *ff_node_retry(ff_node *node, ff_backoff policy);
/** Limits the time that one try of the whole node may take.
 *  @param node The node.
 *  @param ms In milliseconds, at least 1. */
ff_node *ff_node_timeout(ff_node *node, uint64_t ms);
/** Lets each attempt of the node begin only with a permit of a limit over all runs. It replaces an earlier limit of this node.
 *  @param node The node.
 *  @param name 1 to 64 characters of `A-Z a-z 0-9 _ . -`. Everything in a flow that names the same limit must give it the same
 *  figures.
 *  @return The limit, which needs at least one of its two figures. */
ff_limit *ff_node_limit(ff_node *node, const char *name);

/** Sets the HTTP method.
 *  @param call The call.
 *  @param method A token as defined by RFC 9110. */
ff_call *ff_call_method(ff_call *call, const char *method);
/** Adds a header. The same name may be added several times.
 *  @param call The call.
 *  @param name The name.
 *  @param value The value. */
ff_call *ff_call_header(ff_call *call, const char *name, const char *value);
/** Adds a query parameter.
 *  @param call The call.
 *  @param name The name, which the host percent-encodes.
 *  @param value The value, which it percent-encodes, too. */
ff_call *ff_call_query(ff_call *call, const char *name, const char *value);
/** Sets a handler that sees each request before it is sent, and may change it. It runs before every try.
 *  @param call The call.
 *  @param prepare The handler.
 *  @param user Passed to the handler. */
ff_call *ff_call_prepare(ff_call *call, ff_on_request *prepare, void *user);
/** Sets a handler that turns the response, whatever its status, into data. With it no status is a failure by itself. To retry,
 *  the handler returns `ff_retry`, and the policy of `ff_call_retry` applies.
 *  @param call The call.
 *  @param receive The handler.
 *  @param user Passed to the handler. */
ff_call *ff_call_receive(ff_call *call, ff_on_response *receive, void *user);
/** Sets a handler that gets the text of the call's failure when its retries are exhausted, and turns it into data to continue
 *  with, or into another failure.
 *  @param call The call.
 *  @param recover The handler.
 *  @param user Passed to the handler. */
ff_call *ff_call_recover(ff_call *call, ff_on_error *recover, void *user);
/** Sets a handler that gets the call's failure when its retries are exhausted, with the data of the operation and the body of
 *  the response. It has no effect beside `ff_call_recover`.
 *  @param call The call.
 *  @param recover The handler.
 *  @param user Passed to the handler. */
ff_call *ff_call_recover_from(ff_call *call, ff_on_failed *recover, void *user);
/** Sets the retry policy of this call. By default it is tried once. It is tried again after connection errors, timeouts and
 *  `ff_retry` of a handler; without a `receive` handler also after the statuses 408, 429 and 5xx.
 *  @param call The call.
 *  @param policy The policy. */
ff_call *ff_call_retry(ff_call *call, ff_backoff policy);
/** Sets the response statuses after which `ff_call_retry` tries again, in place of 408, 429 and 5xx.
 *  @param call The call.
 *  @param statuses From 100 to 599.
 *  @param len How many there are. 0 keeps the default. */
ff_call *ff_call_retry_on(ff_call *call, const uint16_t *statuses, size_t len);
/** Limits the time that one try of this call may take.
 *  @param call The call.
 *  @param ms In milliseconds, at least 1. */
ff_call *ff_call_timeout(ff_call *call, uint64_t ms);
/** Calls the function through the queue of OpenFaaS, and waits for its answer without holding anything. Only for functions,
 *  and for `POST`.
 *  @param call The call. */
ff_call *ff_call_asynchronous(ff_call *call);
/** Lets each try of this call begin only with a permit of a limit over all runs: see `ff_node_limit`. An asynchronous call and
 *  one of a flow hold their permit until the answer comes.
 *  @param call The call.
 *  @param name The name of the limit. */
ff_limit *ff_call_limit(ff_call *call, const char *name);

/** Limits how many calls or nodes are in flight at a time.
 *  @param limit The limit.
 *  @param count At least 1. */
ff_limit *ff_limit_concurrent(ff_limit *limit, uint32_t count);
/** Limits how many calls or nodes begin in a second.
 *  @param limit The limit.
 *  @param rate From 0.001 to 1,000,000. */
ff_limit *ff_limit_per_second(ff_limit *limit, double rate);
/** Counts separately for each key, such as a tenant, that a handler names for the data.
 *  @param limit The limit.
 *  @param key Returns the key, of at most 256 bytes, with `ff_text` or `ff_format`.
 *  @param user Passed to the handler. */
ff_limit *ff_limit_key(ff_limit *limit, ff_on_data *key, void *user);

/** Limits how long a node waits for a signal. By default it waits as long as the run may take.
 *  @param wait The wait.
 *  @param ms In milliseconds, from 1 to 366 days. */
ff_wait *ff_wait_timeout(ff_wait *wait, uint64_t ms);
/** Sets a handler that gets the failure if no signal comes in time, with the data of the operation.
 *  @param wait The wait.
 *  @param recover The handler.
 *  @param user Passed to the handler. */
ff_wait *ff_wait_recover_from(ff_wait *wait, ff_on_failed *recover, void *user);

/** The dag of a branch, the same one each time for the same key.
 *  @param condition The condition.
 *  @param key 1 to 128 bytes. */
ff_dag *ff_condition_branch(ff_condition *condition, const char *key);
/** Merges the results of the branches that ran, named by their keys, in the order in which they were chosen.
 *  @param condition The condition.
 *  @param aggregator The handler.
 *  @param user Passed to the handler. */
ff_condition *ff_condition_aggregator(ff_condition *condition, ff_on_inputs *aggregator, void *user);
/** Makes the branches start with empty data, and drops their results.
 *  @param condition The condition. */
ff_condition *ff_condition_execution(ff_condition *condition);
/** Limits how many branches run at the same time. By default they all do.
 *  @param condition The condition.
 *  @param count At least 1. */
ff_condition *ff_condition_max_parallel(ff_condition *condition, uint32_t count);

/** The dag that runs for each item, the same one each time.
 *  @param for_each The for-each. */
ff_dag *ff_for_each_dag(ff_for_each *for_each);
/** Merges the results of all items, named by their keys, in the order in which they were split. If there are no items, the
 *  handler is not called and the node's output is empty.
 *  @param for_each The for-each.
 *  @param aggregator The handler.
 *  @param user Passed to the handler. */
ff_for_each *ff_for_each_aggregator(ff_for_each *for_each, ff_on_inputs *aggregator, void *user);
/** Makes the items' dags start with empty data, and drops their results.
 *  @param for_each The for-each. */
ff_for_each *ff_for_each_execution(ff_for_each *for_each);
/** Limits how many items are processed at the same time. By default they all are.
 *  @param for_each The for-each.
 *  @param count At least 1. */
ff_for_each *ff_for_each_max_parallel(ff_for_each *for_each, uint32_t count);
/** Lets this number of items fail without failing the for-each. By default none may (fail-fast). An item that fails and is
 *  tolerated has no result: an aggregator does not see it, and a `gather` handler sees its failure.
 *  @param for_each The for-each.
 *  @param items How many items may fail. */
ff_for_each *ff_for_each_tolerate(ff_for_each *for_each, uint32_t items);
/** Lets this share of the items fail, rounded down to whole items. It replaces an earlier `ff_for_each_tolerate`.
 *  @param for_each The for-each.
 *  @param share From 0.0 to 1.0: `0.05` of 30 items are 1. */
ff_for_each *ff_for_each_tolerate_share(ff_for_each *for_each, float share);
/** Merges the results of all items as an aggregator does, and sees tolerated failures in their places. It takes the place of an
 *  aggregator.
 *  @param for_each The for-each.
 *  @param gather The handler.
 *  @param user Passed to the handler. */
ff_for_each *ff_for_each_gather(ff_for_each *for_each, ff_on_gathered *gather, void *user);

/** The dag that each round runs, the same one each time.
 *  @param repeat The repeat. */
ff_dag *ff_repeat_dag(ff_repeat *repeat);
/** Limits how many rounds there are. By default there are at most 100. If the handler wants another round after the last one,
 *  the node fails.
 *  @param repeat The repeat.
 *  @param rounds From 1 to 1,000. */
ff_repeat *ff_repeat_most(ff_repeat *repeat, uint32_t rounds);
/** Waits between two rounds. By default the next one begins at once. Nothing is held during the wait.
 *  @param repeat The repeat.
 *  @param ms In milliseconds, at most 30 days. */
ff_repeat *ff_repeat_wait(ff_repeat *repeat, uint64_t ms);

#ifdef __cplusplus
}
#endif

#endif
