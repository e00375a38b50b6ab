/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds what mappings and connections declare against what their legs can keep (ARCHITECTURE.md, Delivery).
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
	if (map->delivery >= 0)
		return (struct wish){map->delivery, NULL};
	const struct connection_config *stronger = to->delivery >= from->delivery ? to : from;
	return (struct wish){stronger->delivery, stronger};
}

int loader_declared_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target)
{
	return wish_of(config, map, target).guarantee;
}

/* "read with qos: 2 …" when a higher QoS on the reading leg would do. */
static char *advice(
	const struct config *config, const struct mapping_config *map, const struct target_config *target, int wished)
{
	const struct connection_config *from = &config->connections[map->from_connection];
	const struct connector *connector = from->connector;
	for (int qos = map->from_qos + 1; qos <= 2; qos++) {
		bool allowed = !connector->check_qos || !connector->check_qos(from->settings, (uint8_t)qos);
		struct mapping_config other = *map;
		other.from_qos = qos;
		if (allowed && (int)mapping_guarantee(config, &other, target) >= wished)
			return memory_format("read with qos: %d, or declare %s", qos,
				guarantee_name(mapping_guarantee(config, map, target)));
	}
	return memory_format("declare %s, or change that leg", guarantee_name(mapping_guarantee(config, map, target)));
}

static char *describe_leg(const struct config *config, size_t connection, bool source, int qos, enum guarantee keeps)
{
	const struct connection_config *conn = &config->connections[connection];
	const char *verb = source ? "reading from" : "writing to";
	enum guarantee (*leg)(const void *, uint8_t) =
		source ? conn->connector->source_guarantee : conn->connector->sink_guarantee;
	if (leg(conn->settings, 0) == keeps && leg(conn->settings, 2) == keeps) /* qos means nothing to it */
		return memory_format(
			"%s '%s' (%s) keeps %s", verb, conn->name, conn->connector->name, guarantee_name(keeps));
	return memory_format("%s '%s' (%s) with qos %d keeps %s", verb, conn->name, conn->connector->name, qos,
		guarantee_name(keeps));
}

static void refuse(struct loader *loader, const struct mapping_config *map, const struct target_config *target,
	const struct wish *wish, const struct node *node)
{
	const struct config *config = &loader->own->config;
	enum guarantee source = mapping_source_guarantee(config, map),
		       sink = mapping_sink_guarantee(config, map, target);
	int to_qos = target->qos >= 0 ? target->qos : map->from_qos;
	char *in = describe_leg(config, map->from_connection, true, map->from_qos, source);
	char *out = describe_leg(config, target->connection, false, to_qos, sink);
	bool both = (int)source < wish->guarantee && (int)sink < wish->guarantee;
	char *why = both ? memory_format("%s and %s", in, out) : memory_text((int)source < wish->guarantee ? in : out);
	char *what = advice(config, map, target, wish->guarantee);
	if (wish->conn)
		report_mistake(loader->report, node->source, target->line, target->column,
			"connection '%s' declares delivery: %s, but in mapping '%s' %s; %s", wish->conn->name,
			guarantee_name((enum guarantee)wish->guarantee), map->name, why, what);
	else
		table_mistake(loader->report, node_get(node, "delivery"), 0, "delivery: %s cannot be kept: %s; %s",
			guarantee_name((enum guarantee)wish->guarantee), why, what);
	free(in);
	free(out);
	free(why);
	free(what);
}

void loader_check_guarantees(struct loader *loader, const struct mapping_config *map, const struct node *node)
{
	const struct config *config = &loader->own->config;
	for (size_t i = 0; i < map->n_targets; i++) {
		const struct target_config *target = &map->targets[i];
		struct wish wish = wish_of(config, map, target);
		if (wish.guarantee > (int)mapping_guarantee(config, map, target))
			refuse(loader, map, target, &wish, node);
	}
}
