#include <faas_flow_testing.h>

FF_TEST(the_context_is_that_of_c) {
    ff_fake_header("X-Team", "blue");
    FF_EXPECT_TEXT(ff_test_modify("remember/0", ff_bytes_of("key")), "blue");
    FF_EXPECT(ff_bytes_equal(ff_fake_get("key"), "value"));
    FF_EXPECT(ff_bytes_equal(ff_bytes_of(ff_fake_label("seen")), "never"));
    FF_EXPECT(ff_fake_response()->status == 201);
    FF_EXPECT_REJECT(ff_test_modify("remember/0", ff_bytes_of("")), "has a key of 0 bytes");
    ff_named inputs[] = {{"a", ff_bytes_of("1")}, {"b", ff_bytes_of("2")}};
    FF_EXPECT_TEXT(ff_test_aggregate("n/aggregate", inputs, 2), "ab");
}
