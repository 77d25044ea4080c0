/**
 * @file
 * Write flows in C++17 or later: the builder of `faas_flow.h`, with lambdas as handlers.
 *
 * @code
 * #include <faas_flow.hpp>
 *
 * static ff::result<> greet(std::string_view name) {
 *     if (name.empty()) return ff::reject("there is no name to greet: send one as the body");
 *     return "Hello, " + std::string(name) + "!";
 * }
 *
 * static ff::result<void> define(ff::workflow workflow) {
 *     workflow.dag().node("greet").modify(greet);
 *     return {};
 * }
 *
 * FF_FLOW_CPP(define)
 * @endcode
 *
 * A handler is anything that can be called. It is kept as long as the instance of the flow, with all that it has captured. The
 * functions of `faas_flow/builder.h` with the same names describe what the methods do.
 *
 * Exceptions: there is no unwinding in a flow. An exception that is thrown ends the handler's call with FF0006, with the
 * exception's type and text; `catch` is never reached, and destructors do not run. Return `ff::reject(…)` for data that is
 * wrong.
 */
#ifndef FAAS_FLOW_HPP
#define FAAS_FLOW_HPP

#ifndef FF_NO_PLACES
#define FF_NO_PLACES
#endif
#include "faas_flow.h"

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace ff {

/** Why a handler has produced no value: made by `reject` and `retry`. */
struct failure {
    /** The text, for people. */
    std::string message;
    /** Whether trying again may help. */
    bool is_retry = false;
    /** The status with which the caller is answered, from 400 to 499, or 0. Only for a rejection. */
    std::uint16_t status = 0;
    /** The failure of a function of C, which then takes the place of all that. */
    ff_result *of_c = nullptr;
};

/** Trying again cannot help, so the host does not retry. */
inline failure reject(std::string message, std::uint16_t status = 0) { return {std::move(message), false, status, nullptr}; }
/** Trying again may help. */
inline failure retry(std::string message) { return {std::move(message), true, 0, nullptr}; }

/** JSON as a text: data with the media type `application/json`. */
struct json {
    /** The text. */
    std::string text;
};

/** A value, or a failure. */
template <class T = std::string> class result {
  public:
    /** A value, or anything that converts to it. */
    template <class U = T, std::enable_if_t<std::is_convertible_v<U &&, T> && !std::is_same_v<std::decay_t<U>, failure>, int> = 0>
    result(U &&value) : of(std::in_place_index<0>, std::forward<U>(value)) {}
    /** JSON, if the value is data. */
    template <class U = T, std::enable_if_t<std::is_same_v<U, std::string>, int> = 0>
    result(json value) : of(std::in_place_index<0>, std::move(value.text)), is_json(true) {}
    /** A failure. */
    result(failure why) : of(std::in_place_index<1>, std::move(why)) {}
    /** The failure, or NULL. */
    const failure *failed() const { return std::get_if<1>(&of); }
    /** The value. There must be one. */
    const T &value() const { return *std::get_if<0>(&of); }
    /** Whether the value is JSON. */
    bool has_json() const { return is_json; }

  private:
    std::variant<T, failure> of;
    bool is_json = false;
};

/** Nothing, or a failure. */
template <> class result<void> {
  public:
    /** Nothing. */
    result() = default;
    /** A failure. */
    result(failure why) : why(std::move(why)) {}
    /** The failure, or NULL. */
    const failure *failed() const { return why ? &*why : nullptr; }

  private:
    std::optional<failure> why;
};

/** The keys of the branches that a condition runs. */
using keys = std::vector<std::string>;
/** The items of a for-each: keys and data. */
using items = std::vector<std::pair<std::string, std::string>>;

/** When a sleeping node continues. */
struct wake {
    /** The moment, as RFC 3339 writes it, or empty. */
    std::string at;
    /** Otherwise: after how many milliseconds. */
    std::uint64_t after_ms = 0;
};

/** A place in the author's code: the one that calls the function whose default argument it is. */
struct place {
    /** The file. */
    const char *file;
    /** The line. */
    int line;
    /** The place of the call. */
    static place here(const char *file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
    /** Remembers it for the message of what goes wrong next. */
    void remember() const { ff_at_place(file, line); }
};

/** The bytes of a text, which are not copied. */
inline ff_bytes bytes(std::string_view text) { return {text.data() ? text.data() : "", text.size()}; }
/** Bytes as a text, which are not copied. */
inline std::string_view view(ff_bytes bytes) { return {bytes.ptr ? bytes.ptr : "", bytes.len}; }

/** What the classes below share. */
namespace detail {

inline ff_result *lower(const failure &why) {
    if (why.of_c) return why.of_c;
    const char *text = why.message.c_str();
    if (why.is_retry) return ff_retry("%s", text);
    return why.status ? ff_reject_with_status(why.status, "%s", text) : ff_reject("%s", text);
}
inline ff_result *lower_value(const std::string &data, bool is_json) { return is_json ? ff_json(bytes(data)) : ff_data(bytes(data)); }
inline ff_result *lower_value(const keys &keys, bool) {
    std::vector<const char *> texts;
    for (const auto &key : keys) texts.push_back(key.c_str());
    return ff_keys_of(texts.data(), texts.size());
}
inline ff_result *lower_value(const items &items, bool) {
    ff_items *list = ff_items_new();
    for (const auto &[key, data] : items) ff_items_add(list, key.c_str(), bytes(data));
    return ff_split(list);
}
inline ff_result *lower_value(const wake &wake, bool) { return wake.at.empty() ? ff_after(wake.after_ms) : ff_at(wake.at.c_str()); }
inline ff_result *lower_value(bool again, bool) { return ff_again(again); }
template <class T> ff_result *lower(const result<T> &result) {
    if (const failure *why = result.failed()) return lower(*why);
    if constexpr (std::is_void_v<T>) return ff_ok();
    else return lower_value(result.value(), result.has_json());
}

/** Calls the author's code. Natively, where exceptions are caught, they are the crash that they are in a flow. */
template <class T, class F, class... A> ff_result *call(F &run, A &&...arguments) {
#if defined(__cpp_exceptions) && !defined(__wasm__)
    try {
#endif
        if constexpr (std::is_void_v<std::invoke_result_t<F &, A...>>) {
            run(std::forward<A>(arguments)...);
            return ff_ok();
        } else {
            return lower<T>(result<T>(run(std::forward<A>(arguments)...)));
        }
#if defined(__cpp_exceptions) && !defined(__wasm__)
    } catch (const std::exception &thrown) {
        ff_crash_at(nullptr, 0, "uncaught exception: %s", thrown.what());
    } catch (...) {
        ff_crash_at(nullptr, 0, "uncaught exception");
    }
#endif
}

/** A handler of C for a callable of C++, which it gets as `user`. */
template <class F> struct handler {
    static F &of(void *user) { return *static_cast<F *>(user); }
    template <class T> static ff_result *on_data(ff_bytes data, void *user) { return call<T>(of(user), view(data)); }
    static ff_result *on_inputs(ff_inputs inputs, void *user) { return call<std::string>(of(user), inputs); }
    static ff_result *on_round(ff_bytes data, std::uint32_t round, void *user) { return call<bool>(of(user), view(data), round); }
    static ff_result *on_request(ff_request *request, void *user) { return call<void>(of(user), *request); }
    static ff_result *on_response(const ff_response *response, void *user) { return call<std::string>(of(user), *response); }
    static ff_result *on_error(const char *error, void *user) { return call<std::string>(of(user), std::string_view(error)); }
    static ff_result *on_failed(const ff_failed *failed, void *user) { return call<std::string>(of(user), *failed); }
    static ff_result *on_gathered(const ff_gathered *items, std::size_t len, void *user) {
        return call<std::string>(of(user), std::vector<ff_gathered>(items, items + len));
    }
    static ff_result *on_end(ff_outcome outcome, void *user) { return call<void>(of(user), outcome); }
};

/** Keeps a callable as long as the instance of the flow. */
template <class F> std::decay_t<F> *keep(F &&run) {
    auto *kept = new std::decay_t<F>(std::forward<F>(run));
    ff_when_forgotten([](void *value) { delete static_cast<std::decay_t<F> *>(value); }, kept);
    return kept;
}
template <class F> using of = handler<std::decay_t<F>>;

} // namespace detail

/** A limit over all runs. */
class limit {
  public:
    explicit limit(ff_limit *limit) : c(limit) {}
    limit concurrent(std::uint32_t count) { return limit(ff_limit_concurrent(c, count)); }
    limit per_second(double rate) { return limit(ff_limit_per_second(c, rate)); }
    /** `key` gets the data and returns a text. */
    template <class F> limit key(F key, place at = place::here()) {
        at.remember();
        return limit(ff_limit_key(c, detail::of<F>::template on_data<std::string>, detail::keep(std::move(key))));
    }
    /** The limit of C. */
    ff_limit *c;
};

/** A call of a function or URL. */
class call {
  public:
    explicit call(ff_call *call) : c(call) {}
    call method(const std::string &name) { return call(ff_call_method(c, name.c_str())); }
    call header(const std::string &name, const std::string &value) { return call(ff_call_header(c, name.c_str(), value.c_str())); }
    call query(const std::string &name, const std::string &value) { return call(ff_call_query(c, name.c_str(), value.c_str())); }
    /** `prepare` gets an `ff_request &` and changes it. */
    template <class F> call prepare(F prepare, place at = place::here()) {
        at.remember();
        return call(ff_call_prepare(c, detail::of<F>::on_request, detail::keep(std::move(prepare))));
    }
    /** `receive` gets a `const ff_response &` and returns data. */
    template <class F> call receive(F receive, place at = place::here()) {
        at.remember();
        return call(ff_call_receive(c, detail::of<F>::on_response, detail::keep(std::move(receive))));
    }
    /** `recover` gets the text of the failure and returns data. */
    template <class F> call recover(F recover, place at = place::here()) {
        at.remember();
        return call(ff_call_recover(c, detail::of<F>::on_error, detail::keep(std::move(recover))));
    }
    /** `recover` gets a `const ff_failed &` and returns data. */
    template <class F> call recover_from(F recover, place at = place::here()) {
        at.remember();
        return call(ff_call_recover_from(c, detail::of<F>::on_failed, detail::keep(std::move(recover))));
    }
    call retry(ff_backoff policy) { return call(ff_call_retry(c, policy)); }
    call retry_on(std::initializer_list<std::uint16_t> statuses) { return call(ff_call_retry_on(c, statuses.begin(), statuses.size())); }
    call timeout(std::uint64_t ms) { return call(ff_call_timeout(c, ms)); }
    call asynchronous() { return call(ff_call_asynchronous(c)); }
    ff::limit limit(const std::string &name) { return ff::limit(ff_call_limit(c, name.c_str())); }
    /** The call of C. */
    ff_call *c;
};

/** A wait for a signal. */
class wait {
  public:
    explicit wait(ff_wait *wait) : c(wait) {}
    wait timeout(std::uint64_t ms) { return wait(ff_wait_timeout(c, ms)); }
    /** `recover` gets a `const ff_failed &` and returns data. */
    template <class F> wait recover_from(F recover, place at = place::here()) {
        at.remember();
        return wait(ff_wait_recover_from(c, detail::of<F>::on_failed, detail::keep(std::move(recover))));
    }
    /** The wait of C. */
    ff_wait *c;
};

/** A node that runs operations one after the other. */
class node {
  public:
    explicit node(ff_node *node) : c(node) {}
    ff::call apply(const std::string &function) { return ff::call(ff_node_apply(c, function.c_str())); }
    ff::call request(const std::string &url) { return ff::call(ff_node_request(c, url.c_str())); }
    /** `modifier` gets and returns data. */
    template <class F> node modify(F modifier, place at = place::here()) {
        at.remember();
        return node(ff_node_modify(c, detail::of<F>::template on_data<std::string>, detail::keep(std::move(modifier))));
    }
    node sleep(std::uint64_t ms) { return node(ff_node_sleep(c, ms)); }
    /** `moment` gets data and returns an `ff::wake`. */
    template <class F> node sleep_until(F moment, place at = place::here()) {
        at.remember();
        return node(ff_node_sleep_until(c, detail::of<F>::template on_data<wake>, detail::keep(std::move(moment))));
    }
    ff::wait wait_for(const std::string &signal) { return ff::wait(ff_node_wait_for(c, signal.c_str())); }
    /** `name` gets data and returns the name of the signal. */
    template <class F> ff::wait wait_for_named(F name, place at = place::here()) {
        at.remember();
        return ff::wait(ff_node_wait_for_named(c, detail::of<F>::template on_data<std::string>, detail::keep(std::move(name))));
    }
    /** `aggregator` gets an `ff_inputs` and returns data. */
    template <class F> node aggregator(F aggregator, place at = place::here()) {
        at.remember();
        return node(ff_node_aggregator(c, detail::of<F>::on_inputs, detail::keep(std::move(aggregator))));
    }
    /** `recover` gets a `const ff_failed &` and returns data. */
    template <class F> node recover_from(F recover, place at = place::here()) {
        at.remember();
        return node(ff_node_recover_from(c, detail::of<F>::on_failed, detail::keep(std::move(recover))));
    }
    node retry(ff_backoff policy) { return node(ff_node_retry(c, policy)); }
    node timeout(std::uint64_t ms) { return node(ff_node_timeout(c, ms)); }
    ff::limit limit(const std::string &name) { return ff::limit(ff_node_limit(c, name.c_str())); }
    /** The node of C. */
    ff_node *c;
};

/** An edge between two nodes. */
class edge {
  public:
    explicit edge(ff_edge *edge) : c(edge) {}
    edge execution() { return edge(ff_edge_execution(c)); }
    /** `forward` gets and returns data. */
    template <class F> edge forwarder(F forward, place at = place::here()) {
        at.remember();
        return edge(ff_edge_forwarder(c, detail::of<F>::template on_data<std::string>, detail::keep(std::move(forward))));
    }
    /** The edge of C. */
    ff_edge *c;
};

class dag;

/** The branches of a condition. */
class condition {
  public:
    explicit condition(ff_condition *condition) : c(condition) {}
    inline dag branch(const std::string &key);
    /** `aggregator` gets an `ff_inputs` and returns data. */
    template <class F> condition aggregator(F aggregator, place at = place::here()) {
        at.remember();
        return condition(ff_condition_aggregator(c, detail::of<F>::on_inputs, detail::keep(std::move(aggregator))));
    }
    condition execution() { return condition(ff_condition_execution(c)); }
    condition max_parallel(std::uint32_t count) { return condition(ff_condition_max_parallel(c, count)); }
    /** The condition of C. */
    ff_condition *c;
};

/** A for-each. */
class for_each {
  public:
    explicit for_each(ff_for_each *for_each) : c(for_each) {}
    inline ff::dag dag();
    /** `aggregator` gets an `ff_inputs` and returns data. */
    template <class F> for_each aggregator(F aggregator, place at = place::here()) {
        at.remember();
        return for_each(ff_for_each_aggregator(c, detail::of<F>::on_inputs, detail::keep(std::move(aggregator))));
    }
    /** `gather` gets a `std::vector<ff_gathered>` and returns data. */
    template <class F> for_each gather(F gather, place at = place::here()) {
        at.remember();
        return for_each(ff_for_each_gather(c, detail::of<F>::on_gathered, detail::keep(std::move(gather))));
    }
    for_each execution() { return for_each(ff_for_each_execution(c)); }
    for_each max_parallel(std::uint32_t count) { return for_each(ff_for_each_max_parallel(c, count)); }
    for_each tolerate(std::uint32_t items) { return for_each(ff_for_each_tolerate(c, items)); }
    for_each tolerate_share(float share) { return for_each(ff_for_each_tolerate_share(c, share)); }
    /** The for-each of C. */
    ff_for_each *c;
};

/** A dag that runs again on its own result. */
class repeat {
  public:
    explicit repeat(ff_repeat *repeat) : c(repeat) {}
    inline ff::dag dag();
    repeat most(std::uint32_t rounds) { return repeat(ff_repeat_most(c, rounds)); }
    repeat wait(std::uint64_t ms) { return repeat(ff_repeat_wait(c, ms)); }
    /** The repeat of C. */
    ff_repeat *c;
};

/** Nodes, and the edges between them. */
class dag {
  public:
    /** A dag without nodes. */
    dag() : c(ff_dag_new()) {}
    explicit dag(ff_dag *dag) : c(dag) {}
    ff::node node(const std::string &id) { return ff::node(ff_dag_node(c, id.c_str())); }
    void sub_dag(const std::string &id, dag inner) { ff_dag_sub_dag(c, id.c_str(), inner.c); }
    /** `choose` gets data and returns `ff::keys`. */
    template <class F> ff::condition condition(const std::string &id, F choose, place at = place::here()) {
        at.remember();
        return ff::condition(ff_dag_condition(c, id.c_str(), detail::of<F>::template on_data<keys>, detail::keep(std::move(choose))));
    }
    /** `split` gets data and returns `ff::items`. */
    template <class F> ff::for_each for_each(const std::string &id, F split, place at = place::here()) {
        at.remember();
        return ff::for_each(ff_dag_for_each(c, id.c_str(), detail::of<F>::template on_data<items>, detail::keep(std::move(split))));
    }
    /** `again` gets the result of a round and its number, and returns whether there is another one. */
    template <class F> ff::repeat repeat(const std::string &id, F again, place at = place::here()) {
        at.remember();
        return ff::repeat(ff_dag_repeat(c, id.c_str(), detail::of<F>::on_round, detail::keep(std::move(again))));
    }
    ff::edge edge(const std::string &from, const std::string &to) { return ff::edge(ff_dag_edge(c, from.c_str(), to.c_str())); }
    /** `aggregator` gets an `ff_inputs` and returns data. */
    template <class F> void input_aggregator(const std::string &node, F aggregator, place at = place::here()) {
        at.remember();
        ff_dag_input_aggregator(c, node.c_str(), detail::of<F>::on_inputs, detail::keep(std::move(aggregator)));
    }
    /** `aggregator` gets an `ff_inputs` and returns data. */
    template <class F> void end_aggregator(F aggregator, place at = place::here()) {
        at.remember();
        ff_dag_end_aggregator(c, detail::of<F>::on_inputs, detail::keep(std::move(aggregator)));
    }
    /** `recover` gets a `const ff_failed &` and returns data. */
    template <class F> void recover_node(const std::string &node, F recover, place at = place::here()) {
        at.remember();
        ff_dag_recover_node(c, node.c_str(), detail::of<F>::on_failed, detail::keep(std::move(recover)));
    }
    /** `recover` gets a `const ff_failed &` and returns data. */
    template <class F> void recover_from(F recover, place at = place::here()) {
        at.remember();
        ff_dag_recover_from(c, detail::of<F>::on_failed, detail::keep(std::move(recover)));
    }
    void append(const dag &other) { ff_dag_append(c, other.c); }
    /** The dag of C. */
    ff_dag *c;
};

inline dag condition::branch(const std::string &key) { return dag(ff_condition_branch(c, key.c_str())); }
inline ff::dag for_each::dag() { return ff::dag(ff_for_each_dag(c)); }
inline ff::dag repeat::dag() { return ff::dag(ff_repeat_dag(c)); }

/** A schedule, which begins runs of the flow. */
class schedule {
  public:
    explicit schedule(ff_schedule *schedule) : c(schedule) {}
    schedule time_zone(const std::string &name) { return schedule(ff_schedule_time_zone(c, name.c_str())); }
    schedule missed(ff_missed then) { return schedule(ff_schedule_missed(c, then)); }
    schedule overlap(ff_overlap then) { return schedule(ff_schedule_overlap(c, then)); }
    schedule input(std::string_view body, const std::string &media_type) {
        return schedule(ff_schedule_input(c, bytes(body), media_type.c_str()));
    }
    /** The schedule of C. */
    ff_schedule *c;
};

/** The flow that `define` describes. */
class workflow {
  public:
    explicit workflow(ff_workflow *workflow) : c(workflow) {}
    ff::dag dag() { return ff::dag(ff_workflow_dag(c)); }
    void set_dag(ff::dag dag) { ff_workflow_set_dag(c, dag.c); }
    node sync_node() { return node(ff_workflow_sync_node(c)); }
    /** `recover` gets the text of the failure and returns data. */
    template <class F> void on_failure(F recover, place at = place::here()) {
        at.remember();
        ff_workflow_on_failure(c, detail::of<F>::on_error, detail::keep(std::move(recover)));
    }
    /** `finally` gets an `ff_outcome`. */
    template <class F> void finally(F finally, place at = place::here()) {
        at.remember();
        ff_workflow_finally(c, detail::of<F>::on_end, detail::keep(std::move(finally)));
    }
    void deadline(std::uint64_t ms) { ff_workflow_deadline(c, ms); }
    void on_exhausted(ff_exhausted then) { ff_workflow_on_exhausted(c, then); }
    ff::schedule schedule(const std::string &name, const std::string &when) {
        return ff::schedule(ff_workflow_schedule(c, name.c_str(), when.c_str()));
    }
    /** The workflow of C. */
    ff_workflow *c;
};

} // namespace ff

#include "faas_flow/context.hpp"

/** For `for (const ff_named &input : inputs)`. */
inline const ff_named *begin(const ff_inputs &inputs) { return inputs.items; }
/** The end of such a loop. */
inline const ff_named *end(const ff_inputs &inputs) { return inputs.items + inputs.len; }

/** Makes a flow of a function `ff::result<void>(ff::workflow)`. Write it once, after the function. */
#define FF_FLOW_CPP(define)                                                                                             \
    static ff_result *ff_define_of_cpp(ff_workflow *workflow) { return ff::detail::call<void>(define, ff::workflow(workflow)); } \
    extern "C" {                                                                                                        \
    ff_define_function *const ff_defined_by_FF_FLOW = ff_define_of_cpp;                                                 \
    }

#endif
