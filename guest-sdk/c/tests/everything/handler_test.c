#include <faas_flow_testing.h>

FF_TEST(handlers_are_named_by_their_position) {
    FF_EXPECT_STRINGS(ff_test_handlers(), "(failure)", "(finally)", "C/aggregate", "C/aggregate-branches", "C/condition",
                      "C[a%2Fb]/n1/0", "C[c1]/(recover)", "C[c1]/n1/0", "C[c1]/n1/recover", "F/for-each", "F/gather", "F/recover",
                      "F[]/n1/0", "F[]/n2/0/recover-from", "L/0/limit-key", "M/limit-key", "R/again", "R[]/n1/0",
                      "S/(end)/aggregate", "S/n1/0", "S2/(end)/aggregate", "S2/n1/0", "W/1", "W/3", "W/3/recover-from",
                      "n1->n2/forward", "n1/1", "n2/0/prepare", "n2/0/receive", "n2/0/recover", "n2/2", "n4/aggregate");
}

FF_TEST(every_kind_of_handler_is_called_by_its_id) {
    FF_EXPECT_TEXT(ff_test_modify("n2/2", ff_bytes_of("x")), "x");
    FF_EXPECT_TEXT(ff_test_forward("n1->n2/forward", ff_bytes_of("x")), "f:x");
    ff_header header = {"x-a", "1"};
    ff_request request = {"POST", "http://example.test", &header, 1, ff_bytes_of("in")};
    ff_answer prepared = ff_test_prepare("n2/0/prepare", &request);
    FF_EXPECT(ff_bytes_equal(ff_bytes_of(prepared.request.method), "PATCH"));
    FF_EXPECT(ff_bytes_equal(ff_bytes_of(ff_request_header(&prepared.request, "X-A")), "1"));
    ff_response response = {404, NULL, 0, ff_bytes_of("b")};
    FF_EXPECT_TEXT(ff_test_receive("n2/0/receive", &response), "b");
    FF_EXPECT_TEXT(ff_test_recover("n2/0/recover", "late"), "recovered: late");
    FF_EXPECT_TEXT(ff_test_recover("(failure)", "late"), "late");
    FF_EXPECT_STRINGS(ff_test_condition("C/condition", ff_bytes_of("")).keys, "c1");
    FF_EXPECT(ff_bytes_equal(ff_inputs_get(ff_test_for_each("F/for-each", ff_bytes_of("d")).items, "f1"), "d"));
    FF_EXPECT_TEXT(ff_test_key("L/0/limit-key", ff_bytes_of("acme")), "acme");
    FF_EXPECT(ff_test_again("R/again", ff_bytes_of(""), 1).again);
    FF_EXPECT(!ff_test_again("R/again", ff_bytes_of(""), 2).again);
    ff_named inputs[] = {{"a", ff_bytes_of("1")}, {"b", ff_bytes_of("2")}};
    FF_EXPECT_TEXT(ff_test_aggregate("n4/aggregate", inputs, 2), "12");
    ff_failed failed = {"FF0207", FF_ANSWERED, 0, "busy", "n1", 1, ff_bytes_of("in"), {NULL, 0}};
    FF_EXPECT_TEXT(ff_test_recover_from("C[c1]/n1/recover", &failed), "in");
    FF_EXPECT_TEXT(ff_test_recover_from("C[c1]/(recover)", &failed), "FF0207 at n1: busy");
    FF_EXPECT_TEXT(ff_test_recover_from("F[]/n2/0/recover-from", &failed), "FF0207");
    ff_gathered items[] = {{"a", ff_bytes_of("1"), NULL}, {"b", ff_bytes_of(""), &failed}};
    FF_EXPECT_TEXT(ff_test_gather("F/gather", items, 2), "2");
    FF_EXPECT(ff_test_moment("W/1", ff_bytes_of("")).after_ms == 5);
    FF_EXPECT_TEXT(ff_test_moment("W/1", ff_bytes_of("2026-12-24T18:00:00Z")), "2026-12-24T18:00:00Z");
    FF_EXPECT_TEXT(ff_test_signal_name("W/3", ff_bytes_of("paid-7")), "paid-7");
    FF_EXPECT(ff_test_finally(FF_SUCCESS).end == FF_TEST_OK);
}

FF_TEST(an_unknown_id_and_one_of_another_kind_are_rejected) {
    FF_EXPECT_REJECT(ff_test_modify("n9/0", ff_bytes_of("")), "the flow has no handler `n9/0`");
    FF_EXPECT_REJECT(ff_test_forward("n1/1", ff_bytes_of("")), "handler `n1/1` was called as `forward`, but its kind is `modify`");
}
