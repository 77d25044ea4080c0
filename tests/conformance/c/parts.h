/* What several files of the flow use. */
#ifndef PARTS_H
#define PARTS_H

#include <faas_flow.h>
#include <string.h>

/* The definition of one case. */
typedef struct {
    const char *name;
    void (*define)(ff_dag *dag, ff_workflow *workflow);
} flow_case;

extern const flow_case constructs[], calls[], contexts[], failures[], data_cases[];

ff_result *add(ff_bytes data, void *text);          /* Adds a text to the data. */
ff_result *same(ff_bytes data, void *);             /* Returns the data. */
ff_result *join(ff_inputs inputs, void *);          /* `[a=1, b=2]` */
ff_result *concat(ff_inputs inputs, void *);        /* All values, one after the other. */
ff_result *words(ff_bytes data, void *);            /* An item for each word, with the word as its key. */
ff_result *itself(ff_bytes data, void *);           /* The branch that the data names. */
ff_result *refuse(ff_bytes data, void *);           /* Rejects the data. */
ff_result *picky(ff_bytes data, void *);            /* Rejects data that begins with `bad`. */
ff_result *shown(const ff_failed *failed, void *);  /* All that is known of a failure. */
ff_result *body(const ff_response *response, void *);
const char *kind_of(const ff_failed *failed);
ff_bytes joined(ff_inputs inputs);
ff_node *adds(ff_dag *dag, const char *id, const char *text); /* A node that adds a text. */

#endif
