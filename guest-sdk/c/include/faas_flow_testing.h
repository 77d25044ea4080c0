/**
 * @file
 * Tests of a flow's handlers, natively and without WebAssembly.
 *
 * @code
 * #include <faas_flow_testing.h>
 *
 * FF_TEST(greets_by_name) {
 *     FF_EXPECT_TEXT(ff_test_modify("greet/0", ff_bytes_of(" Adam\n")), "Hello, Adam!");
 * }
 *
 * FF_TEST(nobody_is_not_greeted) {
 *     FF_EXPECT_REJECT(ff_test_modify("greet/0", ff_bytes_of(" ")), "there is no name to greet");
 * }
 * @endcode
 *
 * A program of such files, the flow's own and `src/` of the SDK runs all tests; `flow.mk` builds it from the files whose names end
 * in `_test.c`. Each test has a flow of its own, described again, and a fake context that knows nothing but what the test says.
 *
 * Memory. Everything that these functions return lasts until the test has ended. The memory of a handler's call is overwritten
 * when the handler has returned, so that a test sees what a flow wrongly keeps of an earlier call.
 *
 * To run a whole flow with its functions, use `faas-flow run` or `faas-flow serve`.
 */
#ifndef FAAS_FLOW_TESTING_H
#define FAAS_FLOW_TESTING_H

#include "faas_flow.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How a handler has ended. */
typedef enum {
    /** It has returned what its kind returns. */
    FF_TEST_OK,
    /** It has asked for a retry. */
    FF_TEST_RETRY,
    /** It has rejected. So does one that returns something wrong, and one that does not exist. */
    FF_TEST_REJECT,
    /** It has crashed, for example with a failed `assert`. */
    FF_TEST_CRASH,
} ff_test_end;

/** What a handler has returned. Fields that do not belong to its kind are empty. */
typedef struct {
    /** How it has ended. */
    ff_test_end end;
    /** The data, name or key that it has returned; the moment of `ff_at`; the text of its failure. */
    ff_bytes data;
    /** The media type of the data. */
    const char *content_type;
    /** The keys of a condition. */
    ff_strings keys;
    /** The items of a for-each. */
    ff_inputs items;
    /** The time of `ff_after` in milliseconds. */
    uint64_t after_ms;
    /** What `ff_again` has said. */
    bool again;
    /** The request, as a `prepare` handler has changed it. */
    ff_request request;
    /** The status of `ff_reject_with_status`, or 0. */
    uint16_t status;
} ff_answer;

/** Describes the flow, which the other functions do otherwise.
 *  @return NULL, or the text of the failure or the crash. */
const char *ff_test_define(void);
/** The ids of all handlers, sorted. */
ff_strings ff_test_handlers(void);

/** Calls a modifier.
 *  @param id The id of the handler.
 *  @param data What it gets. */
ff_answer ff_test_modify(const char *id, ff_bytes data);
/** Calls the forwarder of an edge.
 *  @param id The id of the handler.
 *  @param data What it gets. */
ff_answer ff_test_forward(const char *id, ff_bytes data);
/** Calls the handler that chooses the branches of a condition.
 *  @param id The id of the handler.
 *  @param data What it gets. */
ff_answer ff_test_condition(const char *id, ff_bytes data);
/** Calls the handler that splits the input of a for-each.
 *  @param id The id of the handler.
 *  @param data What it gets. */
ff_answer ff_test_for_each(const char *id, ff_bytes data);
/** Calls the handler that names the moment until which a node sleeps.
 *  @param id The id of the handler.
 *  @param data What it gets. */
ff_answer ff_test_moment(const char *id, ff_bytes data);
/** Calls the handler that names the signal that a node waits for.
 *  @param id The id of the handler.
 *  @param data What it gets. */
ff_answer ff_test_signal_name(const char *id, ff_bytes data);
/** Calls the handler that names the key of a limit.
 *  @param id The id of the handler.
 *  @param data What it gets. */
ff_answer ff_test_key(const char *id, ff_bytes data);
/** Calls the handler that says whether a repeat runs again.
 *  @param id The id of the handler.
 *  @param data The result of a round.
 *  @param round Its number, from 1. */
ff_answer ff_test_again(const char *id, ff_bytes data, uint32_t round);
/** Calls an aggregator.
 *  @param id The id of the handler.
 *  @param inputs The first value that it merges.
 *  @param len How many there are. */
ff_answer ff_test_aggregate(const char *id, const ff_named *inputs, size_t len);
/** Calls the handler that prepares the request of a call.
 *  @param id The id of the handler.
 *  @param request The request, which is not changed. */
ff_answer ff_test_prepare(const char *id, const ff_request *request);
/** Calls the handler that receives the response of a call.
 *  @param id The id of the handler.
 *  @param response The response. */
ff_answer ff_test_receive(const char *id, const ff_response *response);
/** Calls the handler that recovers from the failure of a call, or the failure handler of the flow: `(failure)`.
 *  @param id The id of the handler.
 *  @param error The text of the failure. */
ff_answer ff_test_recover(const char *id, const char *error);
/** Calls the handler that catches the failure of a call, a wait, a node or a dag.
 *  @param id The id of the handler.
 *  @param failed The failure. */
ff_answer ff_test_recover_from(const char *id, const ff_failed *failed);
/** Calls the handler that gathers the items of a for-each.
 *  @param id The id of the handler.
 *  @param items The first item.
 *  @param len How many there are. */
ff_answer ff_test_gather(const char *id, const ff_gathered *items, size_t len);
/** Calls the finally handler of the flow.
 *  @param outcome How the run ended. */
ff_answer ff_test_finally(ff_outcome outcome);

/** Sets the id of the run, which is otherwise `test`.
 *  @param id The id. */
void ff_fake_request_id(const char *id);
/** Sets the name of the flow, which is otherwise `flow`.
 *  @param name The name. */
void ff_fake_flow_name(const char *name);
/** Sets the path of the current node.
 *  @param path The path. */
void ff_fake_node(const char *path);
/** Sets the state of the run.
 *  @param state The state. */
void ff_fake_state(ff_state state);
/** Adds a query parameter of the request.
 *  @param name The name.
 *  @param value The value. */
void ff_fake_query(const char *name, const char *value);
/** Adds a header of the request.
 *  @param name The name.
 *  @param value The value. */
void ff_fake_header(const char *name, const char *value);
/** Adds an input of the current node.
 *  @param predecessor The id of a node.
 *  @param data Its output. */
void ff_fake_input(const char *predecessor, ff_bytes data);
/** Sets the media type of the data that handlers get.
 *  @param media_type The media type. */
void ff_fake_content_type(const char *media_type);
/** Adds the media type of one of the values that aggregators get, in their order.
 *  @param media_type The media type. */
void ff_fake_content_types(const char *media_type);
/** Sets a value, as `ff_context_set` does.
 *  @param key The key.
 *  @param value The value. */
void ff_fake_value(const char *key, ff_bytes value);
/** A value that the flow, or the test, has set.
 *  @param key The key.
 *  @return The value, or a `ptr` of NULL if there is none. */
ff_bytes ff_fake_get(const char *key);
/** The value of a label that the flow has given the run.
 *  @param key The key.
 *  @return The value, or NULL if there is none. */
const char *ff_fake_label(const char *key);
/** Everything that the flow has logged, as lines `LEVEL MESSAGE` such as `info order 7 is stored`. */
ff_strings ff_fake_logs(void);
/** The status and headers that the flow has set with `ff_context_respond`.
 *  @return They, or NULL if it has not. */
const ff_response *ff_fake_response(void);

/** A test, as `FF_TEST` makes it. */
typedef struct ff_test {
    /** The test after this one. */
    struct ff_test *next;
    /** Its name. */
    const char *name;
    /** Its code. */
    void (*run)(void);
} ff_test;

/** Registers a test: `FF_TEST` calls it.
 *  @param test The test, which must last. */
void ff_test_add(ff_test *test);
/** Notes a failed expectation of the current test, unless it holds: the macros below call it.
 *  @param holds Whether it holds.
 *  @param file The file of the expectation.
 *  @param line The line.
 *  @param format What was expected, and what came, as for `printf`.
 *  @return Whether it holds. */
bool ff_test_expect(bool holds, const char *file, int line, const char *format, ...) FF_FORMAT(4, 5);
/** Whether an answer ended in this way, and its data has, or contains, a text.
 *  @param answer The answer.
 *  @param end How it is expected to have ended.
 *  @param text What is expected: all of the data if the end is `FF_TEST_OK`, and otherwise a part of it.
 *  @param file The file of the expectation.
 *  @param line The line.
 *  @return Whether it holds. */
bool ff_test_expect_end(ff_answer answer, ff_test_end end, const char *text, const char *file, int line);
/** Whether texts are the expected ones, in this order.
 *  @param found The texts.
 *  @param expected The first expected one.
 *  @param len How many are expected.
 *  @param file The file of the expectation.
 *  @param line The line.
 *  @return Whether it holds. */
bool ff_test_expect_strings(ff_strings found, const char *const *expected, size_t len, const char *file, int line);

/** Begins a test, whose body follows. Its name is one of C, and unique within the file. */
#define FF_TEST(test_name)                                                                                              \
    static void ff_test_of_##test_name(void);                                                                           \
    __attribute__((constructor)) static void ff_add_##test_name(void) {                                                 \
        static ff_test test = {NULL, #test_name, ff_test_of_##test_name};                                               \
        ff_test_add(&test);                                                                                             \
    }                                                                                                                   \
    static void ff_test_of_##test_name(void)

/** Ends the test as failed unless a condition holds. */
#define FF_EXPECT(condition)                                                                                            \
    do {                                                                                                                \
        if (!ff_test_expect((condition), __FILE__, __LINE__, "expected %s", #condition)) return;                        \
    } while (0)
/** Ends the test as failed unless an answer is exactly this text. */
#define FF_EXPECT_TEXT(answer, text) FF_EXPECT_END(answer, FF_TEST_OK, text)
/** Ends the test as failed unless a handler has rejected, with a text that contains this one. */
#define FF_EXPECT_REJECT(answer, text) FF_EXPECT_END(answer, FF_TEST_REJECT, text)
/** Ends the test as failed unless a handler has asked for a retry, with a text that contains this one. */
#define FF_EXPECT_RETRY(answer, text) FF_EXPECT_END(answer, FF_TEST_RETRY, text)
/** Ends the test as failed unless a handler has crashed, with a message that contains this text. */
#define FF_EXPECT_CRASH(answer, text) FF_EXPECT_END(answer, FF_TEST_CRASH, text)
/** Ends the test as failed unless an answer has ended in this way, with this text. */
#define FF_EXPECT_END(answer, end, text)                                                                                \
    do {                                                                                                                \
        if (!ff_test_expect_end((answer), end, text, __FILE__, __LINE__)) return;                                       \
    } while (0)
/** Ends the test as failed unless texts, such as `answer.keys` and `ff_test_handlers()`, are these. */
#define FF_EXPECT_STRINGS(found, ...)                                                                                   \
    do {                                                                                                                \
        const char *const ff_expected_[] = {__VA_ARGS__};                                                               \
        if (!ff_test_expect_strings((found), ff_expected_, sizeof ff_expected_ / sizeof *ff_expected_, __FILE__, __LINE__)) \
            return;                                                                                                     \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
