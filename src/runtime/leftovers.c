/* SPDX-License-Identifier: Apache-2.0
 *
 * Destinations that have messages waiting although the configuration does not write to them any more: at the start they are
 * dropped or drained, as told, or stop it. (A reload: reload_plan.c.)
 */
#include <errno.h>
#include <string.h>

#include "runtime/endpoint.h"
#include "runtime/log.h"

struct leftover_check {
	struct bridge *bridge;
	struct endpoint_setup *setups;
	const struct bridge_options *options;
	int result;
};

static struct endpoint_setup *setup_named(const struct leftover_check *check, const char *name)
{
	for (size_t i = 0; i < check->bridge->config->n_connections; i++)
		if (strcmp(check->setups[i].config->name, name) == 0)
			return &check->setups[i];
	return NULL;
}

static bool named_in(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void drop_leftover(struct leftover_check *check, const struct journal_outbox *box)
{
	/* Said before it is done: the name goes with the destination. */
	log_warn("destination_dropped", "destination=%s messages=%llu bytes=%llu", box->name,
		(unsigned long long)box->waiting, (unsigned long long)box->waiting_bytes);
	int r = journal_drop_destination(check->bridge->journal, box->dest);
	if (r < 0)
		check->result = r;
}

/* A destination that nothing writes to any more: its messages are dropped, drained or stop the start. */
static void check_leftover(const struct journal_outbox *box, void *arg)
{
	struct leftover_check *check = arg;
	struct endpoint_setup *setup = setup_named(check, box->name);
	if (!setup || !setup->is_sink)
		journal_limit_values(check->bridge->journal, box->dest, 1, 0); /* nobody can ask for them */
	if (box->waiting == 0 || (setup && setup->is_sink))
		return;
	if (named_in(check->options->drop, box->name)) {
		drop_leftover(check, box);
	} else if (setup && check->options->drain && setup->config->connector->can_sink) {
		setup->is_sink = true;
	} else {
		log_error("leftover_messages",
			"destination=%s messages=%llu what=\"%s has messages waiting, but no mapping writes to it any "
			"more. %s or start once with --drop %s to throw them away\"",
			box->name, (unsigned long long)box->waiting, box->name,
			setup ? "Start once with --drain to deliver them,"
			      : "Put the connection, or the mapping with aggregate, back into the file,",
			box->name);
		check->result = -EEXIST;
	}
}

int leftovers_check(struct bridge *bridge, struct endpoint_setup *setups, const struct bridge_options *options)
{
	struct leftover_check check = {.bridge = bridge, .setups = setups, .options = options};
	journal_outboxes(bridge->journal, check_leftover, &check);
	return check.result;
}
