// The context and the inputs of handlers in C++.
#include <faas_flow.hpp>

static ff::result<> remember(std::string_view data) {
    std::optional<std::string> before;
    if (auto failed = ff::context::get("key", before)) return *failed;
    if (auto failed = ff::context::set(std::string(data), "value")) return *failed;
    if (auto failed = ff::context::label("seen", before.value_or("never"))) return *failed;
    std::string url;
    if (auto failed = ff::context::signal_url("paid", url)) return *failed;
    if (auto failed = ff::context::respond(201, {{"Location", url}})) return *failed;
    ff::context::log(FF_INFO, "remembered " + std::string(data));
    return data.empty() ? ff::retry("later") : ff::result<>(ff::context::header("X-Team").value_or("no team"));
}

static ff::result<void> define(ff::workflow workflow) {
    workflow.dag().node("remember").modify(remember);
    workflow.dag().node("n").aggregator([](ff_inputs inputs) {
        std::string names;
        for (const ff_named &input : inputs) names += input.name;
        return names;
    });
    workflow.dag().edge("remember", "n");
    return {};
}

FF_FLOW_CPP(define)
