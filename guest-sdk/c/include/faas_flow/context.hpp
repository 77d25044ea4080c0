/**
 * @file
 * The context in C++: what the functions of `faas_flow/context.h` with the same names do. Include `faas_flow.hpp`.
 *
 * Functions that can fail return nothing, or the failure: `if (auto failed = ff::context::set("lines", data)) return *failed;`.
 */
#ifndef FAAS_FLOW_CONTEXT_HPP
#define FAAS_FLOW_CONTEXT_HPP

#include "../faas_flow.hpp"

namespace ff::context {

/** Nothing, or a failure that a handler may return. */
using outcome = std::optional<failure>;

/** A result of C as one of C++. */
inline outcome of(ff_result *failed) { return failed ? outcome(failure{{}, false, 0, failed}) : std::nullopt; }
/** A text of C that may be NULL. */
inline std::optional<std::string> text(const char *text) { return text ? std::optional<std::string>(text) : std::nullopt; }
/** Texts of C. */
inline std::vector<std::string> texts(ff_strings strings) { return {strings.items, strings.items + strings.len}; }

inline std::string request_id() { return ff_context_request_id(); }
inline std::string flow_name() { return ff_context_flow_name(); }
inline std::string node() { return ff_context_node(); }
inline ff_state state() { return ff_context_state(); }
inline std::optional<std::string> query(const std::string &name) { return text(ff_context_query(name.c_str())); }
inline std::vector<std::string> queries(const std::string &name) { return texts(ff_context_queries(name.c_str())); }
inline std::optional<std::string> header(const std::string &name) { return text(ff_context_header(name.c_str())); }
inline std::vector<std::string> headers(const std::string &name) { return texts(ff_context_headers(name.c_str())); }
inline ff_inputs inputs() { return ff_context_inputs(); }
inline std::string content_type() { return ff_context_content_type(); }
inline std::vector<std::string> content_types() { return texts(ff_context_content_types()); }
[[nodiscard]] inline outcome set_content_type(const std::string &media_type) {
    return of(ff_context_set_content_type(media_type.c_str()));
}
[[nodiscard]] inline outcome respond(std::uint16_t status, const std::vector<std::pair<std::string, std::string>> &headers = {}) {
    std::vector<ff_header> of_c;
    for (const auto &[name, value] : headers) of_c.push_back({name.c_str(), value.c_str()});
    return of(ff_context_respond(status, of_c.data(), of_c.size()));
}
[[nodiscard]] inline outcome label(const std::string &key, const std::string &value) {
    return of(ff_context_label(key.c_str(), value.c_str()));
}
/** `value` becomes the value, or nothing if there is none. */
[[nodiscard]] inline outcome get(const std::string &key, std::optional<std::string> &value) {
    ff_bytes found;
    outcome failed = of(ff_context_get(key.c_str(), &found));
    value = found.ptr ? std::optional<std::string>(view(found)) : std::nullopt;
    return failed;
}
[[nodiscard]] inline outcome set(const std::string &key, std::string_view value) {
    return of(ff_context_set(key.c_str(), bytes(value)));
}
/** Deletes a value: `delete` is a word of C++. */
[[nodiscard]] inline outcome erase(const std::string &key) { return of(ff_context_delete(key.c_str())); }
/** `url` becomes the address. A `valid_ms` of 0 is 7 days. */
[[nodiscard]] inline outcome signal_url(const std::string &name, std::string &url, std::uint64_t valid_ms = 0) {
    const char *found = nullptr;
    outcome failed = of(ff_context_signal_url(name.c_str(), valid_ms, &found));
    url = found ? found : "";
    return failed;
}
inline void log(ff_level level, const std::string &message) { ff_context_log(level, "%s", message.c_str()); }

} // namespace ff::context

#endif
