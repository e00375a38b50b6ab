/* SPDX-License-Identifier: Apache-2.0
 *
 * Last values of a destination, between its courier, its link and the journal: a value is in one set with the DONE of its
 * message. What is too large for all that may be kept takes the place of the value before it as nothing, rather than
 * leave a wrong one.
 */
#include <errno.h>
#include <stdlib.h>

#include "runtime/endpoint.h"
#include "runtime/log.h"

/* False: none. */
static bool log_evicted(struct endpoint *end, uint64_t before)
{
	struct journal_values_stats stats = journal_values_stats(end->bridge->journal, end->dest);
	if (stats.evicted == before)
		return false;
	log_warn("last_values_evicted",
		"destination=%s count=%llu kept=%zu bytes=%zu what=\"there are more last values than last_values "
		"allows: "
		"those that were set least recently went\"",
		end->config->name, (unsigned long long)(stats.evicted - before), stats.n, stats.bytes);
	return true;
}

void keeping_open(struct endpoint *end)
{
	const struct connection_config *config = end->config;
	if (!end->is_sink || !end->connector->keeps_values)
		return;
	journal_limit_values(end->bridge->journal, end->dest, (size_t)config->last_values.max_entries,
		(size_t)config->last_values.max_bytes);
	(void)log_evicted(end, 0);
}

/* Its topic alone, in the form of an encoded message: it has no value any more. */
static struct message_view nothing_of(const struct message_view *view)
{
	return (struct message_view){.topic = view->topic, .order_key = view->topic, .origin_ms = view->origin_ms};
}

/* The set of both. *ret_bytes: to be freed. */
static int encode(struct endpoint *end, const struct message_view *view, uint8_t **ret_bytes, size_t *ret_len)
{
	size_t len = message_encoded_size(view);
	struct message_view value = *view;
	if (!view->payload.data) {
		value = nothing_of(view);
	} else if (!journal_value_fits(end->bridge->journal, end->dest, len)) {
		value = nothing_of(view);
		end->values_too_large++;
		log_warn("last_value_too_large",
			"destination=%s bytes=%zu what=\"it is not kept as the last value of its topic; raise "
			"last_values.max_bytes\"",
			end->config->name, len);
	}
	len = message_encoded_size(&value);
	uint8_t *bytes = malloc(len);
	if (!bytes)
		return -ENOMEM;
	message_encode(&value, bytes);
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
}

static void tell(const struct endpoint *end, struct slice topic)
{
	if (end->link && end->connector->value_changed)
		end->connector->value_changed(end->link, topic);
}

int keeping_value(void *ctx, const struct message_view *view, const struct journal_change *finished)
{
	struct endpoint *end = ctx;
	struct journal *j = end->bridge->journal;
	uint8_t *bytes;
	size_t len;
	int r = encode(end, view, &bytes, &len);
	if (r < 0)
		return r;
	struct journal_change changes[] = {
		*finished, {.type = JOURNAL_VALUE, .dest = end->dest, .blob = slice_of(bytes, len)}};
	uint64_t lsn, evicted = journal_values_stats(j, end->dest).evicted;
	r = journal_append(j, NULL, 0, changes, 2, &lsn);
	free(bytes);
	if (r < 0)
		return r;
	tell(end, view->topic);
	if (log_evicted(end, evicted))
		tell(end, (struct slice){NULL, 0});
	return 0;
}

struct message *keeping_last_value(struct link_host *host, struct slice topic)
{
	const struct endpoint *end = (const struct endpoint *)host;
	return end->is_sink ? journal_value(end->bridge->journal, end->dest, topic) : NULL;
}

void keeping_last_values(struct link_host *host, void (*fn)(struct message *msg, void *arg), void *arg)
{
	const struct endpoint *end = (const struct endpoint *)host;
	if (end->is_sink)
		journal_values(end->bridge->journal, end->dest, fn, arg);
}
