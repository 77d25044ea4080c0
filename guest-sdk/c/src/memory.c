/* Memory in two arenas: one lasts as long as the instance, one as long as the call of a handler. */
#include "internal.h"
#include "crash.h"
#include <string.h>

typedef struct chunk { struct chunk *before; size_t size, used; } chunk;
typedef struct { chunk *last; char *first; size_t first_size, first_used; } arena;

/* The first bytes need no `malloc`, and so do not grow the memory of a short run. */
static _Alignas(16) char first_of_instance[8 << 10];
static _Alignas(16) char first_of_call[32 << 10];
static arena of_instance = {NULL, first_of_instance, sizeof first_of_instance, 0};
static arena of_call = {NULL, first_of_call, sizeof first_of_call, 0};
static arena *current = &of_call;

bool memory_lasts(bool lasts) {
    bool before = current == &of_instance;
    current = lasts ? &of_instance : &of_call;
    return before;
}

/* In tests, memory that is freed is overwritten, so that they see what a handler has kept of an earlier call. */
static void forget(void *ptr, size_t size) {
#ifdef __wasm__
    (void)ptr, (void)size;
#else
    memset(ptr, 0xDD, size);
#endif
}

static void clear(arena *arena) {
    while (arena->last) {
        chunk *before = arena->last->before;
        forget(arena->last + 1, arena->last->used);
        free(arena->last);
        arena->last = before;
    }
    forget(arena->first, arena->first_used);
    arena->first_used = 0;
}

void memory_end_call(void) { clear(&of_call); }
void memory_end_instance(void) {
    clear(&of_call);
    clear(&of_instance);
}

/* How many bytes lead to the next multiple of an alignment, which is a power of two. */
static size_t padding(const char *from, size_t used, size_t alignment) {
    return (size_t)(-((uintptr_t)from + used)) & (alignment - 1);
}

static void *take_from(char *from, size_t size, size_t *used, size_t wanted, size_t alignment) {
    size_t start = *used + padding(from, *used, alignment);
    if (start > size || size - start < wanted) return NULL;
    *used = start + wanted;
    return from + start;
}

void *memory_take(size_t size, size_t alignment) {
    size_t wanted = size + 1;
    if (wanted == 0) crash_out_of_memory();
    arena *arena = current;
    char *taken = take_from(arena->first, arena->first_size, &arena->first_used, wanted, alignment);
    if (!taken && arena->last) {
        chunk *last = arena->last;
        taken = take_from((char *)(last + 1), last->size, &last->used, wanted, alignment);
    }
    if (!taken) {
        size_t chunk_size = arena->last ? arena->last->size * 2 : 32 << 10;
        if (chunk_size > (1 << 20)) chunk_size = 1 << 20;
        if (chunk_size < wanted + alignment) chunk_size = wanted + alignment;
        chunk *last = chunk_size > SIZE_MAX - sizeof(chunk) ? NULL : malloc(sizeof(chunk) + chunk_size);
        if (!last) crash_out_of_memory();
        *last = (chunk){arena->last, chunk_size, 0};
        arena->last = last;
        taken = take_from((char *)(last + 1), last->size, &last->used, wanted, alignment);
    }
    taken[size] = 0;
    return taken;
}

void *ff_allocate(size_t size) { return memset(memory_take(size, 16), 0, size); }

void *ff_copy(const void *value, size_t size) {
    void *copy = memory_take(size, 16);
    return size ? memcpy(copy, value, size) : copy;
}

#ifdef __wasm__
/* The host asks for memory with it, in which it passes values. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
    void *new = memory_take(size, alignment);
    if (old_size) memcpy(new, old, old_size < size ? old_size : size);
    return new;
}
#endif
