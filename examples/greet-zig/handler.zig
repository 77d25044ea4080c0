// Greets by name. The smallest possible flow: one node with one modifier.
const std = @import("std");
// The header of the SDK for C, which flow.mk translates.
const ff = @import("faas_flow");

fn greet(data: ff.ff_bytes, _: ?*anyopaque) callconv(.c) ?*ff.ff_result {
    const name = std.mem.trim(u8, data.ptr[0..data.len], &std.ascii.whitespace);
    if (!std.unicode.utf8ValidateSlice(name)) return ff.ff_reject("the name is not valid UTF-8");
    if (name.len == 0) return ff.ff_reject("there is no name to greet: send one as the body");
    return ff.ff_format("Hello, %.*s!", @as(c_int, @intCast(name.len)), name.ptr);
}

fn define(workflow: ?*ff.ff_workflow) callconv(.c) ?*ff.ff_result {
    const dag = ff.ff_workflow_dag(workflow);
    _ = ff.ff_node_modify(ff.ff_dag_node(dag, "greet"), greet, null);
    return ff.ff_ok();
}

export const ff_defined_by_FF_FLOW: *const ff.ff_define_function = define;

// Ends the flow's code as a failed `assert` does in C.
pub const panic = std.debug.FullPanic(crash);

fn crash(message: []const u8, _: ?usize) noreturn {
    ff.ff_crash_at(null, 0, "%.*s", @as(c_int, @intCast(message.len)), message.ptr);
    unreachable;
}
