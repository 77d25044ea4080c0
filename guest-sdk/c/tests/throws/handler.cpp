// What is thrown, and what the library of C++ refuses, ends the call with a message.
#include <faas_flow.hpp>

#include <cassert>
#include <cstdlib>
#include <stdexcept>

static ff::result<> crash(std::string_view how) {
    if (how == "throw") throw std::runtime_error("row 7 has no date");
    if (how == "at") return std::to_string(std::vector<int>(3).at(how.size() * 4));
    if (how == "number") return std::to_string(std::stoi("seven"));
    if (how == "int") throw 7;
    if (how == "text") throw "row 8 has no date";
    if (how == "assert") assert(how.empty());
    if (how == "abort") std::abort();
    return ff::json{"{}"};
}

static ff::result<void> define(ff::workflow workflow) {
    workflow.sync_node().modify(crash);
    return {};
}

FF_FLOW_CPP(define)
