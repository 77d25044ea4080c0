/* The fake context of tests. */
#ifndef FF_FAKE_H
#define FF_FAKE_H
#include "internal.h"

/* Forgets everything: each test begins with it. */
void fake_reset(void);
/* Before and after `define`, in which nothing can be set. */
void fake_defining(bool defining);
/* Before a handler is called: nothing has been said yet of what it returns. */
void fake_calling(void);
const char *fake_returned_content_type(void);
uint16_t fake_reject_status(void);

#endif
