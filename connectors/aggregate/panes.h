/* SPDX-License-Identifier: Apache-2.0
 *
 * The windows that are open (a pane is one of them; `window` is the courier's word), the one that ends first at the front, each with its keys. Knows neither time nor a host.
 *
 * Threads: the loop.
 */
#ifndef LINKSPAN_CONNECTORS_AGGREGATE_PANES_H
#define LINKSPAN_CONNECTORS_AGGREGATE_PANES_H

#include "connectors/aggregate/partial.h"

struct pane {
	struct pane *next; /* ends later */
	struct partial_frame frame;
	uint64_t barrier; /* it is over, and what had a seq by then was below this; 0: not yet known to be over */
	struct partial **buckets;
	size_t n_buckets; /* a power of two */
	size_t n; /* keys */
	size_t n_seqs, bytes, held; /* of all */
};

struct panes {
	struct pane *first;
	size_t n, n_seqs, bytes; /* of all windows: keys, deliveries, bytes */
	size_t held; /* bytes of memory of the messages that are in flight for them */
};

/* Makes them where they are not. NULL: out of memory. */
struct pane *panes_get(struct panes *panes, uint64_t end_ms) __attribute__((warn_unused_result));
/* NULL: there is none. */
struct pane *panes_find(const struct panes *panes, uint64_t end_ms);
struct partial *pane_get(struct panes *panes, struct pane *pane, struct slice key) __attribute__((warn_unused_result));
/* As partial_add, and counts. */
int pane_add(struct panes *panes, struct partial *partial, unsigned bits, uint64_t seq, struct message *msg,
	struct slice state) __attribute__((warn_unused_result));
/* Lets go of it. The window stays, be it empty. */
void pane_remove(struct panes *panes, struct partial *partial);
/* Those without a key. */
void panes_remove_empty(struct panes *panes);
void panes_clear(struct panes *panes);

/* All of a pane's into `out` (pane->n of them), in no order. */
void pane_list(const struct pane *pane, struct partial **out);

#endif
