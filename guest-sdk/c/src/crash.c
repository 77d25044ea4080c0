/* The ends of the flow's code that cannot be caught: each logs what happened, and then the host says so in the failure. */
#include "internal.h"
#include "crash.h"
#include <stdarg.h>
#include <string.h>

static bool crashing;

/* The form of the line is that of Rust's panics, which the host repeats in the failure of the node. */
void crash_with(const char *file, int line, const char *message) {
    if (!crashing) {
        crashing = true;
        const char *in = flow_current() ? text_join("handler `", flow_current(), "`", NULL)
                         : flow_phase() == DEFINING ? "`define`" : "the flow";
        const char *at = file ? text_join(file, ":", text_number((uint64_t)line), NULL)
                              : text_join(in, text_at(flow_current_place()), NULL);
        const char *line_of_log = text_join("panicked at ", at, ": ", message, file ? ", in " : NULL, in, NULL);
        host_log(FF_ERROR, text_repaired(ff_bytes_of(line_of_log)));
        crashing = false;
    }
    crash();
}

void crash_out_of_memory(void) {
    /* Logging needs memory, and the host knows why there is none. */
    crashing = true;
    crash();
}

void ff_crash_at(const char *file, int line, const char *format, ...) {
    ff_buffer *message = ff_buffer_new();
    VA_FORMAT(message, format);
    crash_with(file, line, ff_buffer_bytes(message).ptr);
}

/* `assert` of the C library calls it. */
FF_NO_RETURN void __assert_fail(const char *condition, const char *file, unsigned int line, const char *function);
void __assert_fail(const char *condition, const char *file, unsigned int line, const char *function) {
    crash_with(file, (int)line, text_join("assertion failed: ", condition, ", in ", function, NULL));
}

#ifdef __wasm__

#undef abort
void abort(void) { crash_with(NULL, 0, "abort() was called"); }

void exit(int status) { crash_with(NULL, 0, text_join("exit(", text_number((unsigned)status), ") was called", NULL)); }

/* --- C++: there is no unwinding, so what is thrown ends the call ---------------------------------------------------- */

typedef struct { const void *table; const char *name; } type;
typedef struct { type type; const type *base; } derived;
/* The table of types with one base. It is there only in flows in C++. */
extern const char with_one_base[] __asm__("_ZTVN10__cxxabiv120__si_class_type_infoE") __attribute__((weak));

/* Whether a type is, or is derived from, `std::exception`. */
static bool is_exception(const type *type) {
    while (type) {
        if (text_same(type->name, "St9exception")) return true;
        bool has_base = with_one_base && type->table == with_one_base + 2 * sizeof(void *);
        type = has_base ? ((const derived *)type)->base : NULL;
    }
    return false;
}

/* A mangled name as an author knows it: `std::out_of_range` for `St12out_of_range`. Others stay as they are. */
static const char *readable(const char *name) {
    ff_buffer *text = ff_buffer_new();
    const char *rest = name;
    if (text_same(name, "i")) return "int";
    if (*rest == 'N') rest++;
    if (rest[0] == 'S' && rest[1] == 't') ff_buffer_add_text(text, "std"), rest += 2;
    while (*rest >= '1' && *rest <= '9') {
        char *begin;
        size_t len = strtoul(rest, &begin, 10);
        if (len > strlen(begin)) return name;
        if (ff_buffer_bytes(text).len) ff_buffer_add_text(text, "::");
        ff_buffer_add(text, (ff_bytes){begin, len});
        rest = begin + len;
    }
    bool is_whole = *rest == 0 || (*name == 'N' && *rest == 'E' && rest[1] == 0);
    return is_whole ? ff_buffer_bytes(text).ptr : name;
}

void *__cxa_allocate_exception(size_t size);
void *__cxa_allocate_exception(size_t size) { return ff_allocate(size); }
void __cxa_free_exception(void *thrown);
void __cxa_free_exception(void *thrown) { (void)thrown; }

FF_NO_RETURN void __cxa_throw(void *thrown, const type *type, void (*destroy)(void *));
void __cxa_throw(void *thrown, const type *type, void (*destroy)(void *)) {
    (void)destroy;
    const char *message = text_join("uncaught exception ", readable(type->name), NULL);
    if (text_same(type->name, "PKc")) {
        message = text_join("uncaught exception: ", *(const char **)thrown, NULL);
    } else if (is_exception(type)) {
        /* The virtual functions of `std::exception`: two destructors, and then `what`. */
        typedef const char *what(void *);
        what *const *functions = *(what *const **)thrown;
        message = text_join(message, ": ", functions[2](thrown), NULL);
    }
    crash_with(NULL, 0, message);
}

/* How libc++ ends a program: for a violated precondition, or an exception where exceptions are turned off. */
FF_NO_RETURN void verbose_abort(const char *format, ...) __asm__("_ZNSt3__122__libcpp_verbose_abortEPKcz");
void verbose_abort(const char *format, ...) {
    ff_buffer *message = ff_buffer_new();
    VA_FORMAT(message, format);
    crash_with(NULL, 0, ff_buffer_bytes(message).ptr);
}

#endif
