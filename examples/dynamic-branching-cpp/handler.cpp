// Branches that are chosen at run time: a condition, with a for-each in one of its branches.
#include <faas_flow.hpp>

static auto append(std::string suffix) {
    return [suffix](std::string_view data) { return std::string(data) + suffix; };
}

static std::string join(ff_inputs results) {
    std::string out;
    for (size_t i = 0; i < results.len; i++) {
        out += (i ? ", " : "") + std::string(results.items[i].name) + "=";
        out += ff::view(results.items[i].data);
    }
    return out;
}

static ff::result<void> define(ff::workflow workflow) {
    auto dag = workflow.dag();
    dag.node("n1").modify(append(" n1"));

    auto branches = dag.condition("C", [](std::string_view) { return ff::keys{"c1", "c2"}; }).aggregator(join);
    auto items = branches.branch("c1").for_each("F", [](std::string_view data) {
        return ff::items{{"f1", std::string(data)}, {"f2", std::string(data)}};
    });
    items.aggregator(join).dag().node("n1").modify(append(" F/n1"));

    auto other = branches.branch("c2").node("n1");
    other.apply("func1");
    other.modify(append(" c2/n1"));

    dag.node("n2").apply("fake-storage");
    dag.edge("n1", "C");
    dag.edge("C", "n2");
    return {};
}

FF_FLOW_CPP(define)
