/* What a flow's code does wrong is said in the failure itself. */
#include <faas_flow_testing.h>
#include <string.h>

#define MISTAKE "which[mistake]/mistake/0"

static ff_answer mistake(const char *data) { return ff_test_modify(MISTAKE, ff_bytes_of(data)); }

FF_TEST(a_wrong_return_is_named_with_its_place) {
    FF_EXPECT_REJECT(mistake("mistake null"), "handler `which[mistake]/mistake/0` (handler.c:");
    FF_EXPECT_REJECT(mistake("mistake null"), ") returned NULL; a handler of the kind `modify` returns data");
    FF_EXPECT_REJECT(mistake("mistake keys"), ") returned keys (handler.c:");
}

FF_TEST(a_crash_says_where_and_in_which_handler) {
    FF_EXPECT_CRASH(mistake("mistake assert"), "panicked at handler.c:");
    FF_EXPECT_CRASH(mistake("mistake assert"), "assertion failed: data.len == 0, in mistake, in handler `" MISTAKE "`");
    FF_EXPECT_CRASH(mistake("mistake abort"), "abort() was called in mistake");
}

FF_TEST(the_builder_cannot_be_used_in_a_handler) {
    FF_EXPECT_REJECT(mistake("mistake builder"), "ff_dag_node: its first argument is NULL (handler.c:");
}

FF_TEST(what_the_host_refuses_is_a_rejection) {
    FF_EXPECT_REJECT(mistake("mistake key"), "has a key of 0 bytes, not 1 to 256");
    FF_EXPECT_REJECT(mistake("mistake type"), "`nonsense` is not a media type");
    FF_EXPECT(mistake("mistake status").status == 404);
}

FF_TEST(the_context_keeps_what_is_set) {
    ff_fake_input("before", ff_bytes_of("x"));
    ff_answer answer = ff_test_modify("which[values]/values/0", ff_bytes_of("a \"b\""));
    FF_EXPECT_TEXT(answer, "{\"value\":\"a \\\"b\\\"\",\"url\":1,\"inputs\":1,\"types\":0}");
    FF_EXPECT(strcmp(answer.content_type, "application/json") == 0);
    FF_EXPECT(ff_bytes_equal(ff_fake_get("key"), "a \"b\""));
    FF_EXPECT(ff_fake_get("other").ptr == NULL);
    FF_EXPECT(strcmp(ff_fake_label("word"), "blue") == 0);
    FF_EXPECT(ff_fake_response()->status == 201);
    FF_EXPECT(strncmp(ff_fake_logs().items[0], "info signals go to https://", 27) == 0);
}
