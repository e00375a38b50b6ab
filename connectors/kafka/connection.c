/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes one link of a sink and a source. Each part gets a host of its own, which passes on what it says. Where there are both, the
 * sink alone says whether the link is up: a source that cannot read must not hold up deliveries, and needs no link_up to
 * offer. The link has stopped when all parts have.
 *
 * Threads: the loop only.
 */
#include "connectors/kafka/connection.h"

#include <errno.h>
#include <stdlib.h>

#include "connectors/kafka/part.h"

struct part {
	struct link_host host; /* first: what the part calls */
	struct kafka_connection *conn;
	const struct kafka_part_ops *ops; /* NULL: there is no such part */
	struct link *link;
};

struct kafka_connection {
	struct link_host *host; /* the core's */
	struct part sink, source;
	unsigned running; /* parts that have not stopped */
};

static struct kafka_connection *connection_of(struct link *link)
{
	return (struct kafka_connection *)(void *)link;
}

static struct part *part_of(struct link_host *host)
{
	return (struct part *)(void *)host;
}

static struct link_host *core_of(struct link_host *host)
{
	return part_of(host)->conn->host;
}

/* --- what a part says ----------------------------------------------------------------------------------------- */

static bool speaks_for_the_link(struct link_host *host)
{
	const struct kafka_connection *conn = part_of(host)->conn;
	return !conn->sink.ops || part_of(host) == &conn->sink;
}

static enum offer_result part_offer(struct link_host *host, const struct offer *offer)
{
	struct link_host *core = core_of(host);
	return core->ops->offer(core, offer);
}

static void part_link_up(struct link_host *host, const struct sink_traits *traits)
{
	struct link_host *core = core_of(host);
	if (speaks_for_the_link(host))
		core->ops->link_up(core, traits);
}

static void part_link_down(struct link_host *host, const char *reason)
{
	struct kafka_connection *conn = part_of(host)->conn;
	if (!speaks_for_the_link(host))
		return;
	conn->host->ops->link_down(conn->host, reason);
	if (conn->source.ops && part_of(host) != &conn->source)
		conn->source.ops->receipts_lost(conn->source.link);
}

static void part_window(struct link_host *host, uint32_t max_in_flight)
{
	struct link_host *core = core_of(host);
	core->ops->window(core, max_in_flight);
}

static void part_alarm(struct link_host *host, const char *what)
{
	struct link_host *core = core_of(host);
	core->ops->alarm(core, what);
}

static void part_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct link_host *core = core_of(host);
	core->ops->outcome(core, seq, outcome);
}

static void part_delivered(struct link_host *host, const uint64_t *seqs, size_t n)
{
	struct link_host *core = core_of(host);
	core->ops->delivered(core, seqs, n);
}

static void part_stage(struct link_host *host, uint64_t seq, uint8_t stage)
{
	struct link_host *core = core_of(host);
	core->ops->stage(core, seq, stage);
}

static bool part_settle(struct link_host *host, uint64_t seq)
{
	struct link_host *core = core_of(host);
	return core->ops->settle(core, seq);
}

static void part_stopped(struct link_host *host)
{
	struct kafka_connection *conn = part_of(host)->conn;
	if (--conn->running == 0)
		conn->host->ops->stopped(conn->host); /* may free us */
}

static const struct link_host_ops part_host_ops = {
	.offer = part_offer,
	.link_up = part_link_up,
	.link_down = part_link_down,
	.window = part_window,
	.alarm = part_alarm,
	.outcome = part_outcome,
	.delivered = part_delivered,
	.stage = part_stage,
	.settle = part_settle,
	.stopped = part_stopped,
};

/* --- what the core says --------------------------------------------------------------------------------------- */

static int create_part(struct kafka_connection *conn, struct part *part, const struct kafka_part_ops *ops,
	const struct link_spec *spec)
{
	part->host.ops = &part_host_ops;
	part->conn = conn;
	int r = ops->create(spec, &part->host, &part->link);
	if (r < 0)
		return r;
	part->ops = ops;
	conn->running++;
	return 0;
}

int kafka_connection_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct kafka_connection *conn = calloc(1, sizeof *conn);
	if (!conn)
		return -ENOMEM;
	conn->host = host;
	const struct kafka_part_ops *sink = spec->sink_exactly_once ? &kafka_exact_part : &kafka_idempotent_part;
	int r = 0;
	/* A connection that no mapping names is a sink that gets nothing: it shows whether the cluster lets us in. */
	if (spec->is_sink || spec->n_subscriptions == 0)
		r = create_part(conn, &conn->sink, sink, spec);
	if (r == 0 && spec->n_subscriptions > 0)
		r = create_part(conn, &conn->source, &kafka_source_part, spec);
	if (r < 0) {
		kafka_connection_destroy((struct link *)(void *)conn);
		return r;
	}
	*ret_link = (struct link *)(void *)conn;
	return 0;
}

void kafka_connection_start(struct link *link, const struct link_recovery *recovery)
{
	struct kafka_connection *conn = connection_of(link);
	if (conn->sink.ops)
		conn->sink.ops->start(conn->sink.link, recovery);
	if (conn->source.ops)
		conn->source.ops->start(conn->source.link, recovery);
}

void kafka_connection_pause(struct link *link)
{
	struct kafka_connection *conn = connection_of(link);
	if (conn->source.ops)
		conn->source.ops->pause(conn->source.link);
}

void kafka_connection_resume(struct link *link)
{
	struct kafka_connection *conn = connection_of(link);
	if (conn->source.ops)
		conn->source.ops->resume(conn->source.link);
}

void kafka_connection_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	struct kafka_connection *conn = connection_of(link);
	conn->source.ops->receipt(conn->source.link, cookie, receipt);
}

void kafka_connection_receipts_end(struct link *link)
{
	struct kafka_connection *conn = connection_of(link);
	conn->source.ops->receipts_end(conn->source.link);
}

void kafka_connection_send(struct link *link, const struct delivery *delivery)
{
	struct kafka_connection *conn = connection_of(link);
	conn->sink.ops->send(conn->sink.link, delivery);
}

void kafka_connection_send_end(struct link *link)
{
	struct kafka_connection *conn = connection_of(link);
	conn->sink.ops->send_end(conn->sink.link);
}

void kafka_connection_settled(struct link *link)
{
	struct kafka_connection *conn = connection_of(link);
	if (conn->sink.ops->settled)
		conn->sink.ops->settled(conn->sink.link);
}

void kafka_connection_counters(
	const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct kafka_connection *conn = (const struct kafka_connection *)(const void *)link;
	if (conn->sink.ops && conn->sink.ops->counters)
		conn->sink.ops->counters(conn->sink.link, fn, arg);
	if (conn->source.ops && conn->source.ops->counters)
		conn->source.ops->counters(conn->source.link, fn, arg);
}

void kafka_connection_stop_intake(struct link *link)
{
	struct kafka_connection *conn = connection_of(link);
	if (conn->source.ops)
		conn->source.ops->stop_intake(conn->source.link);
}

void kafka_connection_stop(struct link *link, uint64_t linger_ms)
{
	(void)linger_ms; /* the cluster is told nothing that it could miss */
	struct kafka_connection *conn = connection_of(link);
	const struct part sink = conn->sink, source = conn->source; /* the last to stop may free conn */
	if (source.ops)
		source.ops->stop(source.link);
	if (sink.ops)
		sink.ops->stop(sink.link);
}

void kafka_connection_destroy(struct link *link)
{
	struct kafka_connection *conn = connection_of(link);
	if (conn->source.ops)
		conn->source.ops->destroy(conn->source.link);
	if (conn->sink.ops)
		conn->sink.ops->destroy(conn->sink.link);
	free(conn);
}

struct link *kafka_connection_sink(struct link *link)
{
	return connection_of(link)->sink.link;
}
