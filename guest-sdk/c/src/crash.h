/* How the flow's code ends at once. */
#ifndef FF_CRASH_H
#define FF_CRASH_H

#include "internal.h"

/* With this message, which becomes that of the failure. */
FF_NO_RETURN void crash_with(const char *file, int line, const char *message);
FF_NO_RETURN void crash_out_of_memory(void);

#ifdef __wasm__
#define crash() __builtin_trap()
#else
/* Natively, the test goes on behind the call of the handler. */
FF_NO_RETURN void crash(void);
#endif

#endif
