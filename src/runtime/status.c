/* SPDX-License-Identifier: Apache-2.0
 *
 * event=status: what each source and destination has done and has before it, on demand.
 */
#include <stdio.h>

#include "runtime/endpoint.h"
#include "runtime/log.h"

struct counter_text {
	char text[512];
	size_t len;
};

static void add_counter(const char *name, uint64_t value, void *arg)
{
	struct counter_text *counters = arg;
	size_t room = sizeof counters->text - counters->len;
	int n = snprintf(counters->text + counters->len, room, " %s=%llu", name, (unsigned long long)value);
	if (n > 0 && (size_t)n < room)
		counters->len += (size_t)n;
	else
		counters->text[counters->len] = '\0';
}

/* What has become of the destination's messages, over all restarts. */
static void log_totals(const struct endpoint *end, unsigned long request)
{
	struct counter_text text = {.len = 0};
	struct journal_outbox box = journal_outbox(end->bridge->journal, end->dest);
	add_counter("offered", box.next_seq - 1 + box.totals[JOURNAL_DROPPED_NEWEST], &text);
	add_counter("waiting", box.waiting, &text);
	for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
		add_counter(journal_total_name((enum journal_total)i), box.totals[i], &text);
	log_info("totals", "request=%lu destination=%s%s", request, end->config->name, text.text);
}

static void log_counters(const struct endpoint *end, unsigned long request)
{
	struct counter_text counters = {.len = 0};
	if (!end->connector->counters || !end->link)
		return;
	end->connector->counters(end->link, add_counter, &counters);
	log_info("status", "request=%lu connection=%s%s", request, end->config->name, counters.text);
}

void bridge_log_status(struct bridge *bridge)
{
	/* The number tells answers apart, and keeps equal ones from being taken for repeats. */
	unsigned long request = ++bridge->status_requests;
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		const struct endpoint *end = bridge->endpoints[i];
		if (end->is_source)
			log_info("status",
				"request=%lu source=%s taken=%llu unmatched=%llu looped=%llu refused=%llu paused=%s "
				"unacknowledged=%zu unnumbered=%llu dropped=%llu rounded=%llu left_out=%llu "
				"unlimited=%llu",
				request, end->config->name, (unsigned long long)end->taken,
				(unsigned long long)end->unmatched, (unsigned long long)end->looped,
				(unsigned long long)end->refused, end->paused ? "yes" : "no", end->receipts.count,
				(unsigned long long)end->unnumbered, (unsigned long long)end->dropped,
				(unsigned long long)end->rounded, (unsigned long long)end->left_out,
				(unsigned long long)end->unlimited);
		if (!end->courier)
			continue;
		struct courier_stats stats = courier_stats(end->courier);
		struct journal_outbox box = journal_outbox(bridge->journal, end->dest);
		log_info("status",
			"request=%lu destination=%s link=%s waiting=%llu waiting_bytes=%llu in_flight=%llu "
			"journalled=%llu "
			"delivered=%llu "
			"retried=%llu dead=%llu expired=%llu paused=%s replies=%llu replies_dropped=%llu",
			request, end->config->name, stats.link_is_up ? "up" : "down", (unsigned long long)box.waiting,
			(unsigned long long)box.waiting_bytes, (unsigned long long)stats.in_flight,
			(unsigned long long)box.next_seq - 1, (unsigned long long)stats.delivered,
			(unsigned long long)stats.retried, (unsigned long long)stats.dead,
			(unsigned long long)stats.expired, stats.paused ? "yes" : "no",
			(unsigned long long)end->replies,
			(unsigned long long)(end->replies_dropped + stats.replies_dropped));
		log_totals(end, request);
	}
	for (size_t i = 0; i < bridge->n_endpoints; i++)
		if (endpoint_is_used(bridge->endpoints[i]))
			log_counters(bridge->endpoints[i], request);
}
