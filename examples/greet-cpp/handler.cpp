// Greets by name. The smallest possible flow: one node with one modifier.
#include <faas_flow.hpp>

static ff::result<> greet(std::string_view data) {
    std::string_view name = ff::view(ff_bytes_trim(ff::bytes(data)));
    if (!ff_bytes_are_utf8(ff::bytes(name))) return ff::reject("the name is not valid UTF-8");
    if (name.empty()) return ff::reject("there is no name to greet: send one as the body");
    return "Hello, " + std::string(name) + "!";
}

static ff::result<void> define(ff::workflow workflow) {
    workflow.dag().node("greet").modify(greet);
    return {};
}

FF_FLOW_CPP(define)
