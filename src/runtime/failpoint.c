/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of all fail points and the one that is armed. Each module that passes a point adds its name here.
 */
#include "runtime/failpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool failpoint_armed;

static const char *const names[] = {
	"coap.after_answer",
	"coap.after_offer",
	"coap.after_response",
	"coap.after_send",
	"coap.before_answer",
	"coap.before_offer",
	"coap.before_send",
	"http.after_batch",
	"http.after_offer",
	"http.after_response",
	"http.after_send",
	"http.before_answer",
	"http.before_batch",
	"http.before_offer",
	"http.before_send",
	"journal.after_dead_fdatasync",
	"journal.after_dead_replace",
	"journal.after_dead_sync_dir",
	"journal.after_group_fdatasync",
	"journal.after_group_write",
	"journal.after_id_fdatasync",
	"journal.after_id_rename",
	"journal.after_id_sync_dir",
	"journal.after_id_unlink",
	"journal.after_overflow_fdatasync",
	"journal.after_overflow_sync_dir",
	"journal.after_overflow_write",
	"journal.after_segment_header_write",
	"journal.after_spare_fdatasync",
	"journal.after_spare_rename",
	"journal.after_spare_sync_dir",
	"journal.after_spare_write",
	"journal.after_unlink",
	"journal.before_dead_fdatasync",
	"journal.before_dead_replace",
	"journal.before_dead_write",
	"journal.before_group_fdatasync",
	"journal.before_group_write",
	"journal.before_id_fdatasync",
	"journal.before_id_rename",
	"journal.before_id_unlink",
	"journal.before_id_write",
	"journal.before_overflow_fdatasync",
	"journal.before_overflow_sync_dir",
	"journal.before_overflow_write",
	"journal.before_segment_header_write",
	"journal.before_spare_fdatasync",
	"journal.before_spare_rename",
	"journal.before_spare_write",
	"journal.before_unlink",
	"journal.recovery_after_fdatasync",
	"journal.recovery_before_fdatasync",
	"kafka.after_begin",
	"kafka.after_commit",
	"kafka.after_cursor_read",
	"kafka.after_init",
	"kafka.after_offer",
	"kafka.after_offset_commit",
	"kafka.after_outcome",
	"kafka.after_produce",
	"kafka.before_commit",
	"kafka.before_cursor",
	"kafka.before_init",
	"kafka.before_offer",
	"kafka.before_offset_commit",
	"queue.after_requeue_durable",
	"queue.before_dead_remove",
};

static char armed_name[64];
static unsigned long remaining; /* guarded by mutex */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void failpoint_init(void)
{
	const char *spec = getenv("LINKSPAN_FAILPOINT");
	if (!spec || !*spec)
		return;
	const char *colon = strchr(spec, ':');
	size_t len = colon ? (size_t)(colon - spec) : strlen(spec);
	if (len >= sizeof armed_name)
		len = sizeof armed_name - 1;
	memcpy(armed_name, spec, len);
	armed_name[len] = '\0';
	remaining = colon ? strtoul(colon + 1, NULL, 10) : 1;
	failpoint_armed = remaining > 0;
}

void failpoint_hit(const char *name)
{
	if (strcmp(name, armed_name) != 0)
		return;
	pthread_mutex_lock(&mutex);
	bool now = --remaining == 0;
	pthread_mutex_unlock(&mutex);
	if (now)
		raise(SIGKILL);
}

const char *const *failpoint_names(size_t *ret_n)
{
	*ret_n = sizeof names / sizeof names[0];
	return names;
}
