#include <faas_flow_testing.h>

FF_TEST(greets_by_name) {
    FF_EXPECT_TEXT(ff_test_modify("greet/0", ff_bytes_of(" Adam\n")), "Hello, Adam!");
}

FF_TEST(empty_names_and_invalid_utf8_are_rejected) {
    FF_EXPECT_REJECT(ff_test_modify("greet/0", ff_bytes_of(" ")), "there is no name to greet");
    FF_EXPECT_REJECT(ff_test_modify("greet/0", ff_bytes_of("\xff")), "not valid UTF-8");
}
