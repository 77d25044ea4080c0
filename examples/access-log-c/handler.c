/* Reports on the access log of a web server: parses its lines, groups them by client, has each group judged by a function, and
 * writes a report of the clients to be watched. */
#include <faas_flow.h>
#include <stdlib.h>
#include <string.h>

/* A line in the common log format: `192.0.2.1 - ada [29/Nov/2026:21:00:00 +0000] "GET /x HTTP/1.1" 200 512`. */
typedef struct {
    ff_bytes client, method, path;
    int status;
    unsigned long long bytes;
} entry;

/* What is left of a line. */
typedef struct {
    const char *at, *end;
} cursor;

/* Takes what comes before a character, and the character. */
static bool take(cursor *cursor, char until, ff_bytes *taken) {
    const char *found = memchr(cursor->at, until, (size_t)(cursor->end - cursor->at));
    if (!found) return false;
    *taken = (ff_bytes){cursor->at, (size_t)(found - cursor->at)};
    cursor->at = found + 1;
    return true;
}

/* Parses a number of the digits at the beginning. `-` is 0, as servers write the size of an empty body. */
static bool take_number(cursor *cursor, unsigned long long *number) {
    const char *begin = cursor->at;
    *number = 0;
    if (begin < cursor->end && *begin == '-') {
        cursor->at++;
        return true;
    }
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' && cursor->at - begin < 18)
        *number = *number * 10 + (unsigned long long)(*cursor->at++ - '0');
    return cursor->at > begin;
}

static bool parse(ff_bytes line, entry *entry) {
    cursor cursor = {line.ptr, line.ptr + line.len};
    ff_bytes skipped;
    unsigned long long status;
    bool is_complete = take(&cursor, ' ', &entry->client) && take(&cursor, '[', &skipped) && take(&cursor, '"', &skipped) &&
                       take(&cursor, ' ', &entry->method) && take(&cursor, ' ', &entry->path) && take(&cursor, '"', &skipped) &&
                       take(&cursor, ' ', &skipped) && take_number(&cursor, &status) && take(&cursor, ' ', &skipped) &&
                       take_number(&cursor, &entry->bytes);
    if (!is_complete || status < 100 || status > 599 || entry->client.len == 0) return false;
    entry->status = (int)status;
    return true;
}

/* The requests of one client. */
typedef struct group {
    struct group *next;
    const char *client;
    unsigned requests, failures;
    unsigned long long bytes;
    ff_buffer *failed;
} group;

static group *group_of(group **groups, ff_bytes client) {
    group **end = groups;
    while (*end && !ff_bytes_equal(client, (*end)->client)) end = &(*end)->next;
    if (!*end) {
        *end = ff_allocate(sizeof **end);
        char *name = ff_allocate(client.len + 1);
        memcpy(name, client.ptr, client.len);
        (*end)->client = name;
        (*end)->failed = ff_buffer_new();
    }
    return *end;
}

static void count(group *group, const entry *entry) {
    group->requests++;
    group->bytes += entry->bytes;
    if (entry->status < 400) return;
    ff_buffer_add_text(group->failed, group->failures++ ? "," : "");
    ff_buffer_add_json(group->failed, entry->path);
}

/* An item for each client, as JSON. */
static ff_result *by_client(ff_bytes log, void *) {
    group *groups = NULL;
    unsigned number = 0;
    const char *end = log.ptr + log.len;
    for (const char *at = log.ptr; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        ff_bytes line = ff_bytes_trim((ff_bytes){at, (size_t)((newline ? newline : end) - at)});
        at = newline ? newline + 1 : end;
        number++;
        if (line.len == 0) continue;
        entry entry;
        if (!parse(line, &entry)) return ff_reject("line %u is not in the common log format: %.*s", number, FF_BYTES(line));
        if (entry.client.len > 128 || !ff_bytes_are_utf8(entry.client)) return ff_reject("line %u names no client", number);
        count(group_of(&groups, entry.client), &entry);
    }
    ff_items *items = ff_items_new();
    for (group *group = groups; group; group = group->next) {
        ff_buffer *json = ff_buffer_new();
        ff_buffer_add_text(json, "{\"client\":");
        ff_buffer_add_json(json, ff_bytes_of(group->client));
        ff_buffer_add_format(json, ",\"requests\":%u,\"failures\":%u,\"bytes\":%llu,\"failed\":[", group->requests, group->failures,
                             group->bytes);
        ff_buffer_add(json, ff_buffer_bytes(group->failed));
        ff_buffer_add_text(json, "]}");
        ff_items_add(items, group->client, ff_buffer_bytes(json));
    }
    FF_TRY(ff_context_set_content_type("application/json"));
    return ff_split(items);
}

/* The clients that the function wants to be watched, and those that nobody could judge. */
static ff_result *report(const ff_gathered *items, size_t len, void *) {
    ff_buffer *text = ff_buffer_new();
    for (size_t i = 0; i < len; i++) {
        ff_bytes verdict = ff_bytes_trim(items[i].result);
        if (items[i].failed) ff_buffer_add_format(text, "%s: not judged (%s)\n", items[i].key, items[i].failed->code);
        else if (!ff_bytes_equal(verdict, "ok")) ff_buffer_add_format(text, "%s: %.*s\n", items[i].key, FF_BYTES(verdict));
    }
    ff_buffer_add_format(text, "%zu clients\n", len);
    FF_TRY(ff_context_set_content_type("text/plain; charset=utf-8"));
    return ff_data(ff_buffer_bytes(text));
}

static ff_result *define(ff_workflow *workflow) {
    ff_for_each *clients = ff_dag_for_each(ff_workflow_dag(workflow), "clients", by_client, NULL);
    ff_for_each_max_parallel(clients, 8);
    ff_for_each_tolerate_share(clients, 0.5f);
    ff_for_each_gather(clients, report, NULL);
    ff_call *judge = ff_node_apply(ff_dag_node(ff_for_each_dag(clients), "judge"), "judge");
    ff_call_timeout(ff_call_retry(judge, ff_attempts(3)), FF_SECONDS(10));
    return ff_ok();
}

FF_FLOW(define)
