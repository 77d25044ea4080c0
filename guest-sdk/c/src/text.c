/* Texts, bytes and buffers. */
#include "internal.h"
#include "crash.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ff_bytes ff_bytes_of(const char *text) { return (ff_bytes){text ? text : "", text ? strlen(text) : 0}; }

bool ff_bytes_equal(ff_bytes bytes, const char *text) {
    ff_bytes other = ff_bytes_of(text);
    return bytes.len == other.len && (bytes.len == 0 || memcmp(bytes.ptr, other.ptr, bytes.len) == 0);
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

ff_bytes ff_bytes_trim(ff_bytes bytes) {
    while (bytes.len && is_space(bytes.ptr[0])) bytes.ptr++, bytes.len--;
    while (bytes.len && is_space(bytes.ptr[bytes.len - 1])) bytes.len--;
    return bytes;
}

/* The length of the character of UTF-8 at the beginning, or 0 if there is none. */
static size_t character(ff_bytes bytes) {
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    if (p[0] < 0x80) return 1;
    size_t len = p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : p[0] >= 0xE0 && p[0] < 0xF0 ? 3 : p[0] >= 0xF0 && p[0] < 0xF5 ? 4 : 0;
    if (len == 0 || len > bytes.len) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    bool is_overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool is_surrogate = p[0] == 0xED && p[1] >= 0xA0;
    bool is_too_large = p[0] == 0xF4 && p[1] >= 0x90;
    return is_overlong || is_surrogate || is_too_large ? 0 : len;
}

/* The bytes behind those at the beginning that are in ASCII, which most are: eight at a time. */
static ff_bytes after_ascii(ff_bytes bytes) {
    uint64_t eight;
    while (bytes.len >= sizeof eight) {
        memcpy(&eight, bytes.ptr, sizeof eight);
        if (eight & 0x8080808080808080) break;
        bytes.ptr += sizeof eight, bytes.len -= sizeof eight;
    }
    return bytes;
}

bool ff_bytes_are_utf8(ff_bytes bytes) {
    while ((bytes = after_ascii(bytes)).len) {
        size_t len = character(bytes);
        if (len == 0) return false;
        bytes.ptr += len, bytes.len -= len;
    }
    return true;
}

ff_bytes ff_inputs_get(ff_inputs inputs, const char *name) {
    for (size_t i = 0; i < inputs.len; i++)
        if (text_same(inputs.items[i].name, name)) return inputs.items[i].data;
    return (ff_bytes){NULL, 0};
}

struct ff_buffer { char *ptr; size_t len, room; };

ff_buffer *ff_buffer_new(void) { return NEW(ff_buffer); }

/* Makes room for more bytes, and for a zero byte behind them. */
static char *grow(ff_buffer *buffer, size_t more) {
    if (buffer->room - buffer->len <= more) {
        size_t room = buffer->room * 2;
        if (more > SIZE_MAX / 4) crash_out_of_memory();
        if (room < buffer->len + more + 1) room = buffer->len + more + 1;
        if (room < 64) room = 64;
        char *ptr = memory_take(room, 1);
        if (buffer->len) memcpy(ptr, buffer->ptr, buffer->len);
        buffer->ptr = ptr, buffer->room = room;
    }
    return buffer->ptr + buffer->len;
}

void ff_buffer_add(ff_buffer *buffer, ff_bytes bytes) {
    char *end = grow(buffer, bytes.len);
    if (bytes.len) memmove(end, bytes.ptr, bytes.len);
    buffer->len += bytes.len;
    buffer->ptr[buffer->len] = 0;
}

void ff_buffer_add_text(ff_buffer *buffer, const char *text) { ff_buffer_add(buffer, ff_bytes_of(text)); }

void buffer_add_arguments(ff_buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    char *end = grow(buffer, 63);
    size_t room = buffer->room - buffer->len;
    int len = vsnprintf(end, room, format, arguments);
    if (len < 0) {
        flow_mistake("a function with a format", "the format cannot be printed");
        len = 0;
    } else if ((size_t)len >= room) {
        vsnprintf(grow(buffer, (size_t)len), (size_t)len + 1, format, again);
    }
    va_end(again);
    buffer->len += (size_t)len;
    buffer->ptr[buffer->len] = 0;
}

void ff_buffer_add_format(ff_buffer *buffer, const char *format, ...) { VA_FORMAT(buffer, format); }

void ff_buffer_add_json(ff_buffer *buffer, ff_bytes text) {
    static const char digits[] = "0123456789abcdef";
    text = text_repaired(text);
    ff_buffer_add_text(buffer, "\"");
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *short_form = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\r' ? "\\r"
                                 : c == '\t' ? "\\t" : NULL;
        char escape[] = {'\\', 'u', '0', '0', digits[(c >> 4) & 15], digits[c & 15]};
        if (short_form) ff_buffer_add_text(buffer, short_form);
        else if ((unsigned char)c < 0x20) ff_buffer_add(buffer, (ff_bytes){escape, sizeof escape});
        else ff_buffer_add(buffer, (ff_bytes){&c, 1});
    }
    ff_buffer_add_text(buffer, "\"");
}

ff_bytes ff_buffer_bytes(const ff_buffer *buffer) { return (ff_bytes){buffer->ptr ? buffer->ptr : "", buffer->len}; }

char *text_join(const char *first, ...) {
    va_list parts;
    size_t len = 0;
    va_start(parts, first);
    for (const char *part = first; part; part = va_arg(parts, const char *)) len += strlen(part);
    va_end(parts);
    char *text = memory_take(len, 1), *end = text;
    va_start(parts, first);
    for (const char *part = first; part; part = va_arg(parts, const char *)) {
        size_t length = strlen(part);
        memcpy(end, part, length);
        end += length;
    }
    va_end(parts);
    return text;
}

char *text_number(uint64_t number) {
    char digits[20], *first = digits + sizeof digits;
    do *--first = (char)('0' + number % 10);
    while (number /= 10);
    return text_copy((ff_bytes){first, (size_t)(digits + sizeof digits - first)});
}

char *text_copy(ff_bytes bytes) {
    char *copy = memory_take(bytes.len, 1);
    if (bytes.len) memcpy(copy, bytes.ptr, bytes.len);
    return copy;
}

ff_bytes text_repaired(ff_bytes bytes) {
    if (ff_bytes_are_utf8(bytes)) return bytes;
    ff_buffer *repaired = ff_buffer_new();
    while (bytes.len) {
        size_t len = character(bytes);
        ff_buffer_add(repaired, len ? (ff_bytes){bytes.ptr, len} : ff_bytes_of("\xEF\xBF\xBD"));
        len += len == 0;
        bytes.ptr += len, bytes.len -= len;
    }
    return ff_buffer_bytes(repaired);
}

bool text_same(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

bool text_same_without_case(const char *a, const char *b) {
    if (!a || !b) return false;
    while (*a && lower(*a) == lower(*b)) a++, b++;
    return lower(*a) == lower(*b);
}

const char *text_at(place at) {
    return at.file ? text_join(" (", at.file, ":", text_number((uint64_t)at.line), ")", NULL) : "";
}
