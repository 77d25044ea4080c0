#include <faas_flow_testing.h>

FF_TEST(handlers_are_named_by_their_position) {
    FF_EXPECT_STRINGS(ff_test_handlers(), "C/aggregate-branches", "C/condition", "C[c1]/F/aggregate-branches",
                      "C[c1]/F/for-each", "C[c1]/F[]/n1/0", "C[c2]/n1/1", "n1/0");
}

FF_TEST(both_branches_are_chosen) {
    FF_EXPECT_STRINGS(ff_test_condition("C/condition", ff_bytes_of("hi")).keys, "c1", "c2");
}

FF_TEST(every_item_of_the_for_each_is_a_copy_of_the_data) {
    ff_inputs items = ff_test_for_each("C[c1]/F/for-each", ff_bytes_of("hi")).items;
    FF_EXPECT(items.len == 2);
    FF_EXPECT(ff_bytes_equal(ff_inputs_get(items, "f1"), "hi"));
    FF_EXPECT(ff_bytes_equal(ff_inputs_get(items, "f2"), "hi"));
}

FF_TEST(results_are_joined_by_key) {
    ff_named results[] = {{"c1", ff_bytes_of("a")}, {"c2", ff_bytes_of("b")}};
    FF_EXPECT_TEXT(ff_test_aggregate("C/aggregate-branches", results, 2), "c1=a, c2=b");
}
