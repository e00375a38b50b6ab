/* SPDX-License-Identifier: Apache-2.0
 *
 * What the admin listener says: /metrics, /healthz, /readyz. Knows nothing of sockets. The loop only; none of it blocks.
 */
#ifndef LINKSPAN_ADMIN_ANSWERS_H
#define LINKSPAN_ADMIN_ANSWERS_H

#include "admin/exposition.h"
#include "admin/wear.h"
#include "journal/disk.h"

/* Whoever owns it fills in the borrowed parts and keeps disk_free and disk_size up to date. */
struct answers {
	struct loop *loop;
	const struct disk *disk;
	const struct bridge *bridge; /* NULL: not opened yet */
	double started_s; /* since the epoch */
	double disk_free, disk_size; /* bytes; NAN: not known */
	struct wear wear;
};

struct answer {
	unsigned status; /* of HTTP */
	const char *content_type;
	struct buffer body; /* the caller frees it; empty: out of memory */
};

enum answers_path { ANSWERS_METRICS, ANSWERS_HEALTH, ANSWERS_READY, ANSWERS_UNKNOWN };

enum answers_path answers_find(const char *path);

/* Counts what was written to the disk into its hour. */
void answers_note_wear(struct answers *answers);

struct answer answers_metrics(struct answers *answers, enum exposition_format format);
/* 200 as long as the journal can make something durable. */
struct answer answers_health(const struct answers *answers);
/* 200 when what is offered is taken. A link that is down is listed and changes nothing, as linkspan is there to bridge
 * just that: with strict it does. */
struct answer answers_ready(const struct answers *answers, bool strict);
struct answer answers_unknown(void);

#endif
