/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds what mappings and connections declare against what their legs can keep and what the outboxes of their destinations
 * throw away (ARCHITECTURE.md, Delivery).
 */
#include <stdlib.h>
#include <string.h>

#include "config/guarantee.h"
#include "config/loader.h"
#include "config/memory.h"

/* What is asked of one leg, and by whom. */
struct wish {
	int guarantee; /* -1: nothing is declared */
	const struct connection_config *conn; /* who declares it; NULL: the mapping */
};

/* The mapping's own word counts; else the stronger one of its two connections. */
static struct wish wish_of(
	const struct config *config, const struct mapping_config *map, const struct target_config *target)
{
	const struct connection_config *from = &config->connections[map->from_connection];
	const struct connection_config *to = &config->connections[target->connection];
	int declared = mapping_declared_guarantee(config, map, target);
	return (struct wish){declared, map->delivery >= 0 ? NULL : to->delivery >= from->delivery ? to : from};
}

struct leg {
	size_t connection;
	bool source;
	int qos;
	enum guarantee keeps;
};

/* "read with qos: 2 …" when a higher QoS on the reading leg would do. unexplained: there is no more to say of a leg. */
static char *advice(const struct config *config, const struct mapping_config *map, const struct target_config *target,
	int wished, bool unexplained)
{
	const struct connection_config *from = &config->connections[map->from_connection];
	const struct connector *connector = from->connector;
	for (int qos = map->from_qos + 1; qos <= 2; qos++) {
		bool allowed = !connector->check_qos || !connector->check_qos(from->settings, (uint8_t)qos);
		struct mapping_config other = *map;
		other.from_qos = qos;
		if (allowed && (int)mapping_legs_guarantee(config, &other, target) >= wished)
			return memory_format("read with qos: %d, or declare %s", qos,
				guarantee_name(mapping_legs_guarantee(config, map, target)));
	}
	return memory_format("declare %s%s", guarantee_name(mapping_legs_guarantee(config, map, target)),
		unexplained ? ", or change that leg" : "");
}

static enum guarantee leg_at(const struct connection_config *conn, const struct leg *leg, uint8_t qos)
{
	return leg->source ? conn->connector->source_guarantee(conn->settings, qos)
			   : conn->connector->sink_guarantee(conn->settings, qos, true); /* or nobody would ask */
}

/* reasons: what the connector says of it; empty when there is nothing that could be changed. */
static char *describe_leg(const struct config *config, const struct leg *leg, const char *reasons)
{
	const struct connection_config *conn = &config->connections[leg->connection];
	const char *verb = leg->source ? "reading from" : "writing to", *keeps = guarantee_name(leg->keeps);
	const char *because = *reasons ? " because " : "";
	if (leg_at(conn, leg, 0) == leg->keeps && leg_at(conn, leg, 2) == leg->keeps) /* qos means nothing to it */
		return memory_format(
			"%s '%s' (%s) keeps %s%s%s", verb, conn->name, conn->connector->name, keeps, because, reasons);
	return memory_format("%s '%s' (%s) with qos %d keeps %s%s%s", verb, conn->name, conn->connector->name, leg->qos,
		keeps, because, reasons);
}

/* What a leg lacks, appended to `why`. */
static void explain_leg(const struct config *config, const struct leg *leg, int wished, char **why, bool *unexplained)
{
	const struct connection_config *conn = &config->connections[leg->connection];
	char reasons[512] = "";
	if ((int)leg->keeps >= wished)
		return;
	if (conn->connector->explain_guarantee)
		conn->connector->explain_guarantee(conn->settings, leg->source, (uint8_t)leg->qos,
			(enum guarantee)wished, reasons, sizeof reasons);
	*unexplained |= !*reasons;
	char *text = describe_leg(config, leg, reasons);
	char *longer = memory_format("%s%s%s", *why, **why ? " and " : "", text);
	free(text);
	free(*why);
	*why = longer;
}

static void refuse(struct loader *loader, const struct mapping_config *map, const struct target_config *target,
	const struct wish *wish, const struct node *node)
{
	const struct config *config = &loader->own->config;
	struct leg in = {map->from_connection, true, map->from_qos, mapping_source_guarantee(config, map)};
	struct leg out = {target->connection, false, target->qos >= 0 ? target->qos : map->from_qos,
		mapping_sink_guarantee(config, map, target)};
	bool unexplained = false;
	char *why = memory_text("");
	/* Of a connection whose values are not all known, what is reported already is all that can be said. */
	if (!loader->connections.items[in.connection].failed)
		explain_leg(config, &in, wish->guarantee, &why, &unexplained);
	if (!loader->connections.items[out.connection].failed)
		explain_leg(config, &out, wish->guarantee, &why, &unexplained);
	char *what = advice(config, map, target, wish->guarantee, unexplained);
	if (*why && wish->conn)
		report_mistake(loader->report, node->source, target->line, target->column,
			"connection '%s' declares delivery: %s, but in mapping '%s' %s; %s", wish->conn->name,
			guarantee_name((enum guarantee)wish->guarantee), map->name, why, what);
	else if (*why)
		table_mistake(loader->report, node_get(node, "delivery"), 0, "delivery: %s cannot be kept: %s; %s",
			guarantee_name((enum guarantee)wish->guarantee), why, what);
	free(why);
	free(what);
}

/* At the key of the outbox that throws messages away. */
static void refuse_policy(struct loader *loader, const struct mapping_config *map, const struct target_config *target,
	const struct wish *wish, const char *key)
{
	const struct connection_config *to = &loader->own->config.connections[target->connection];
	const struct node *node = loader->connections.items[target->connection].value;
	const char *declared = guarantee_name((enum guarantee)wish->guarantee);
	char *who =
		wish->conn && wish->conn == to
			? memory_format("connection '%s' declares delivery: %s", to->name, declared)
		: wish->conn
			? memory_format("connection '%s', from which mapping '%s' writes to it, declares delivery: %s",
				  wish->conn->name, map->name, declared)
			: memory_format("mapping '%s' declares delivery: %s", map->name, declared);
	node = node_get(node_get(node, "outbox"), key);
	if (strcmp(key, "ttl") == 0)
		table_mistake(loader->report, node, 0,
			"ttl: what has waited longer is thrown away, but %s; leave ttl out, or declare at-most-once",
			who);
	else
		table_mistake(loader->report, node, 0,
			"when_full: %s throws messages away, but %s; write block or dead_letter, or declare "
			"at-most-once",
			when_full_name((enum when_full)to->outbox.when_full), who);
	free(who);
}

/* Each outbox is refused once, by the first mapping that wants more of it. */
static void check_policies(struct loader *loader, const struct mapping_config *map, const struct target_config *target,
	const struct wish *wish)
{
	struct loader_entry *to = &loader->connections.items[target->connection];
	const struct outbox_config *outbox = &loader->own->config.connections[target->connection].outbox;
	if (wish->guarantee <= AT_MOST_ONCE || to->failed || to->outbox_refused)
		return;
	if (outbox_drops_when_full(outbox))
		refuse_policy(loader, map, target, wish, "when_full");
	if (outbox_drops_old(outbox))
		refuse_policy(loader, map, target, wish, "ttl");
	to->outbox_refused = outbox_drops_when_full(outbox) || outbox_drops_old(outbox);
}

static bool sends_batches(const struct connection_config *to)
{
	return to->connector->batching && to->connector->batching(to->settings).max_messages > 1;
}

/* Why everything goes there in the order of seq; NULL: it need not. */
static const char *order_reason(const struct config *config, size_t connection)
{
	const struct connection_config *to = &config->connections[connection];
	if (sends_batches(to))
		return "is sent batches, which hold messages in the order in which they came";
	if (to->connector->exactly_once_in_order && connection_sends_exactly_once(config, connection))
		return "keeps exactly-once, for which its messages go out in the order in which they came";
	return NULL;
}

/* What would go out in another order than that of seq. */
static void check_order(struct loader *loader, const struct mapping_config *map, const struct target_config *target,
	const struct node *node)
{
	const struct config *config = &loader->own->config;
	const struct connection_config *to = &config->connections[target->connection];
	struct loader_entry *entry = &loader->connections.items[target->connection];
	const char *reason = entry->failed ? NULL : order_reason(config, target->connection);
	if (!reason)
		return;
	char *other = sends_batches(to) ? memory_format("leave '%s' without batches", to->name)
					: memory_format("let '%s' be at-least-once", to->name);
	if (map->priority != MESSAGE_DEFAULT_PRIORITY)
		table_mistake(loader->report, node_get(node, "priority"), 0,
			"priority: '%s' %s; leave priority out, or %s", to->name, reason, other);
	if (to->outbox.drain == DRAIN_LIVE_FIRST && !entry->order_refused)
		table_mistake(loader->report, node_get(node_get(entry->value, "outbox"), "drain"), 0,
			"drain: '%s' %s; write oldest_first, or %s", to->name, reason, other);
	entry->order_refused = true;
	free(other);
}

void loader_check_guarantees(struct loader *loader, const struct mapping_config *map, const struct node *node)
{
	const struct config *config = &loader->own->config;
	for (size_t i = 0; i < map->n_targets; i++) {
		const struct target_config *target = &map->targets[i];
		struct wish wish = wish_of(config, map, target);
		if (wish.guarantee > (int)mapping_legs_guarantee(config, map, target))
			refuse(loader, map, target, &wish, node);
		check_policies(loader, map, target, &wish);
		check_order(loader, map, target, node);
	}
}
