#include <faas_flow_testing.h>
#include <string.h>

FF_TEST(lines_are_grouped_by_client_in_the_order_of_their_first_requests) {
    const char *day = "192.0.2.1 - - [x] \"GET / HTTP/1.1\" 200 512\n192.0.2.7 - - [x] \"GET /\\ HTTP/1.1\" 404 -\r\n\n"
                      "192.0.2.1 - - [x] \"POST /orders HTTP/1.1\" 201 20";
    ff_answer answer = ff_test_for_each("clients/for-each", ff_bytes_of(day));
    FF_EXPECT(answer.end == FF_TEST_OK && answer.items.len == 2);
    FF_EXPECT(strcmp(answer.items.items[0].name, "192.0.2.1") == 0);
    FF_EXPECT(ff_bytes_equal(answer.items.items[0].data,
                             "{\"client\":\"192.0.2.1\",\"requests\":2,\"failures\":0,\"bytes\":532,\"failed\":[]}"));
    FF_EXPECT(ff_bytes_equal(answer.items.items[1].data,
                             "{\"client\":\"192.0.2.7\",\"requests\":1,\"failures\":1,\"bytes\":0,\"failed\":[\"/\\\\\"]}"));
    FF_EXPECT(strcmp(answer.content_type, "application/json") == 0);
}

FF_TEST(a_malformed_line_is_rejected_with_its_number) {
    const char *no_status = "192.0.2.1 - - [x] \"GET / HTTP/1.1\"";
    FF_EXPECT_REJECT(ff_test_for_each("clients/for-each", ff_bytes_of(no_status)), "line 1 is not in the common log format");
    FF_EXPECT_REJECT(ff_test_for_each("clients/for-each", ff_bytes_of("\n\nhello")), "line 3 is not in the common log format: hello");
}

FF_TEST(an_empty_log_has_no_clients) {
    FF_EXPECT(ff_test_for_each("clients/for-each", ff_bytes_of("\n")).items.len == 0);
}

FF_TEST(the_report_names_clients_to_be_watched_and_those_that_nobody_judged) {
    ff_failed down = {"FF0208", FF_UNREACHABLE, 0, "nobody answers", "clients[c]/judge", 3, ff_bytes_of(""), {NULL, 0}};
    ff_gathered items[] = {
        {"a", ff_bytes_of("ok\n"), NULL}, {"b", ff_bytes_of("too many failures"), NULL}, {"c", ff_bytes_of(""), &down}};
    FF_EXPECT_TEXT(ff_test_gather("clients/gather", items, 3), "b: too many failures\nc: not judged (FF0208)\n3 clients\n");
}
