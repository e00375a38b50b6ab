/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the snapshot and words the answers.
 */
#include "admin/answers.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY (16u * 1024 * 1024)

static const char plain[] = "text/plain; charset=utf-8";

enum answers_path answers_find(const char *path)
{
	static const char *const paths[] = {"/metrics", "/healthz", "/readyz"};
	for (int i = 0; i < ANSWERS_UNKNOWN; i++)
		if (strcmp(path, paths[i]) == 0)
			return (enum answers_path)i;
	return ANSWERS_UNKNOWN;
}

/* --- the snapshot ------------------------------------------------------------------------------------------------ */

static uint64_t bytes_written(const struct answers *answers)
{
	return __atomic_load_n(&answers->disk->bytes_written, __ATOMIC_RELAXED);
}

void answers_note_wear(struct answers *answers)
{
	wear_note(&answers->wear, loop_now_ms(answers->loop), bytes_written(answers));
}

static double oldest_age(const struct answers *answers, const struct destination_figures *destination)
{
	if (destination->outbox.waiting == 0)
		return 0;
	if (destination->courier.oldest_ms == 0)
		return NAN;
	uint64_t wall_ms = loop_wall_ms(answers->loop);
	return wall_ms > destination->courier.oldest_ms ? (double)(wall_ms - destination->courier.oldest_ms) / 1000 : 0;
}

/* The caller frees snapshot->connections. -1: out of memory. */
static int take_snapshot(struct answers *answers, struct snapshot *snapshot)
{
	const struct bridge *bridge = answers->bridge;
	size_t n = bridge_connections(bridge);
	struct snapshot_connection *connections = calloc(n + 1, sizeof *connections);
	if (!connections)
		return -1;
	for (size_t i = 0; i < n; i++) {
		connections[i].figures = bridge_connection(bridge, i);
		if (connections[i].figures.is_destination)
			connections[i].oldest_age_s = oldest_age(answers, &connections[i].figures.destination);
	}
	answers_note_wear(answers);
	uint64_t written = bytes_written(answers);
	*snapshot = (struct snapshot){
		.process = {.started_s = answers->started_s},
		.journal = bridge_journal(bridge),
		.ready = bridge_why_unready(bridge) == NULL,
		.journal_failed = bridge_why_unhealthy(bridge) != NULL,
		.turns = loop_turns(answers->loop),
		.slow_turns = loop_slow_turns(answers->loop),
		.disk_free = answers->disk_free,
		.disk_size = answers->disk_size,
		.disk_written = written,
		.disk_written_last_day = wear_last_day(&answers->wear, written),
		.bridge = bridge,
		.connections = connections,
		.n_connections = n,
	};
	snapshot->not_durable = snapshot->journal.appended_lsn - snapshot->journal.durable_lsn;
	process_read(&snapshot->process);
	return 0;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static struct answer begin(unsigned status, const char *content_type)
{
	struct answer answer = {.status = status, .content_type = content_type};
	buffer_init(&answer.body, MAX_BODY);
	return answer;
}

/* What does not fit is left out. */
static void __attribute__((format(printf, 2, 3))) say(struct answer *answer, const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof line && buffer_append(&answer->body, slice_of(line, (size_t)n)) < 0)
		return;
}

static struct answer failure(const char *why)
{
	struct answer answer = begin(503, plain);
	say(&answer, "%s\n", why);
	return answer;
}

struct answer answers_metrics(struct answers *answers, enum exposition_format format)
{
	struct snapshot snapshot;
	if (!answers->bridge)
		return failure("not started yet");
	if (take_snapshot(answers, &snapshot) < 0)
		return failure("out of memory");
	struct answer answer = begin(200, exposition_content_type(format));
	int r = exposition_write(format, metrics, &snapshot, &answer.body);
	free(snapshot.connections);
	if (r == 0)
		return answer;
	/* Half of it would be taken for the whole. */
	buffer_free(&answer.body);
	return failure("out of memory");
}

struct answer answers_health(const struct answers *answers)
{
	const char *why = answers->bridge ? bridge_why_unhealthy(answers->bridge) : NULL;
	if (why)
		return failure(why);
	struct answer answer = begin(200, plain);
	say(&answer, "ok\n");
	return answer;
}

static bool all_links_up(const struct bridge *bridge)
{
	for (size_t i = 0; i < bridge_connections(bridge); i++) {
		struct connection_figures conn = bridge_connection(bridge, i);
		if (conn.used && !conn.link_is_up)
			return false;
	}
	return true;
}

struct answer answers_ready(const struct answers *answers, bool strict)
{
	const struct bridge *bridge = answers->bridge;
	const char *why = bridge ? bridge_why_unready(bridge) : "not started yet";
	if (!why && strict && !all_links_up(bridge))
		why = "a link is down";
	struct answer answer = begin(why ? 503 : 200, plain);
	say(&answer, "%s%s\n", why ? "not ready: " : "ready", why ? why : "");
	for (size_t i = 0; bridge && i < bridge_connections(bridge); i++) {
		struct connection_figures conn = bridge_connection(bridge, i);
		if (conn.used)
			say(&answer, "link %s %s\n", conn.name, conn.link_is_up ? "up" : "down");
	}
	return answer;
}

struct answer answers_unknown(void)
{
	struct answer answer = begin(404, plain);
	say(&answer, "there are /metrics, /healthz and /readyz\n");
	return answer;
}
