#include <faas_flow_testing.h>

FF_TEST(what_is_thrown_is_a_crash_with_its_text) {
    FF_EXPECT_CRASH(ff_test_modify("sync/0", ff_bytes_of("throw")), "panicked at handler `sync/0` (handler.cpp:20): uncaught exception: row 7 has no date");
    FF_EXPECT_CRASH(ff_test_modify("sync/0", ff_bytes_of("int")), "uncaught exception");
    FF_EXPECT_TEXT(ff_test_modify("sync/0", ff_bytes_of("")), "{}");
}
