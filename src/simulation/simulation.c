/* SPDX-License-Identifier: Apache-2.0
 *
 * The bridge between its peers, and what the events are made of: what arrives is what the peers were sent; what does not is
 * known from what was taken in, by destination and seq.
 */
#include "simulation/simulation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/disk_simulated.h"
#include "journal/journal.h"
#include "runtime/bridge.h"
#include "runtime/figures.h"
#include "runtime/log.h"
#include "runtime/queue_watch.h"
#include "simulation/peer.h"

/* A disk of small segments: a large one would only cost time. Those hold fewer keys, and messages up to this. */
#define SEGMENT_BYTES (UINT64_C(4) * 1024 * 1024)
#define MAX_REFUSED   2000u
#define MAX_WHY       4000u
#define RANDOM_STATE  UINT64_C(0x6c696e6b7370616e)
#define BOOT_AGE_MS   UINT64_C(1000000) /* of the machine, at the beginning */
#define STOP_STEP_MS  1000u
#define STOP_SPARE_MS 5000u

static const uint8_t boot[LOOP_BOOT_LEN] = "simulated boot";

/* A message that was appended for a destination. */
struct taken {
	size_t connection;
	uint64_t seq;
	struct message *msg;
};

struct simulation {
	struct config config; /* a copy, with peers and some mappings only */
	struct peers *peers;
	struct loop *loop;
	struct sim_disk *disk;
	struct bridge *bridge;
	struct bridge_observer observer;
	bool stopped;
	bool gone; /* the process that speaks is dead */
	struct simulation_event *events;
	size_t n_events;
	struct taken *taken;
	size_t n_taken;
	char refused[MAX_REFUSED];
	char why[MAX_WHY]; /* the last warnings and errors */
	int error; /* what was observed could not be kept */
};

/* --- what is observed ---------------------------------------------------------------------------------------------- */

static int one_more(void **items, size_t n, size_t size)
{
	if (n & (n - 1)) /* grows at powers of two */
		return 0;
	void *grown = realloc(*items, (n ? 2 * n : 1) * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	return 0;
}

static size_t find_connection(const struct simulation *simulation, const char *name)
{
	size_t i = 0;
	while (i < simulation->config.n_connections && strcmp(simulation->config.connections[i].name, name) != 0)
		i++;
	return i;
}

/* Takes the message and the reason. */
static void add_event(
	struct simulation *simulation, size_t connection, enum test_outcome outcome, struct message *msg, char *reason)
{
	if (one_more((void **)&simulation->events, simulation->n_events, sizeof *simulation->events) < 0) {
		message_unref(msg);
		free(reason);
		simulation->error = -ENOMEM;
		return;
	}
	simulation->events[simulation->n_events++] = (struct simulation_event){connection, outcome, msg, reason};
}

static void on_arrival(void *ctx, size_t connection, struct message *msg)
{
	add_event(ctx, connection, TEST_ARRIVED, message_ref(msg), NULL);
}

static void on_refused(void *ctx, size_t connection, const struct message_view *view)
{
	struct simulation *simulation = ctx;
	size_t len = strlen(simulation->refused);
	snprintf(simulation->refused + len, sizeof simulation->refused - len,
		"linkspan refused what came to '%s' under %.*s\n", simulation->config.connections[connection].name,
		(int)(view->topic.len < 200 ? view->topic.len : 200), (const char *)view->topic.data);
}

static void on_output(struct simulation *simulation, const struct queue_watched_output *output)
{
	size_t connection = find_connection(simulation, output->destination);
	struct message *msg = message_new(output->view);
	if (!msg)
		simulation->error = -ENOMEM;
	if (!output->seq) { /* it found no room, and was never in the outbox */
		add_event(simulation, connection, TEST_DROPPED, msg, NULL);
		return;
	}
	if (one_more((void **)&simulation->taken, simulation->n_taken, sizeof *simulation->taken) < 0) {
		message_unref(msg);
		simulation->error = -ENOMEM;
		return;
	}
	simulation->taken[simulation->n_taken++] = (struct taken){connection, output->seq, msg};
}

static void on_taken(void *ctx, const struct queue_watched *message)
{
	const struct simulation *simulation = ctx;
	for (size_t i = 0; i < message->n_outputs && !simulation->gone; i++)
		on_output(ctx, &message->outputs[i]);
}

static void on_dropped(void *ctx, const char *destination, uint64_t seq, const char *what, const char *reason)
{
	struct simulation *simulation = ctx;
	size_t connection = find_connection(simulation, destination), i = simulation->n_taken;
	if (simulation->gone)
		return;
	while (i > 0 && (simulation->taken[i - 1].connection != connection || simulation->taken[i - 1].seq != seq))
		i--;
	struct message *msg = i ? message_ref(simulation->taken[i - 1].msg) : NULL;
	enum test_outcome outcome = strcmp(what, "expired") == 0       ? TEST_EXPIRED
				    : strcmp(what, "dead letter") == 0 ? TEST_DEAD_LETTER
								       : TEST_DROPPED;
	add_event(simulation, connection, outcome, msg,
		outcome == TEST_DEAD_LETTER ? strdup(reason ? reason : "") : NULL);
}

/* For when it cannot go on: the newest lines. */
static void on_log(enum log_level level, const char *line, void *arg)
{
	struct simulation *simulation = arg;
	size_t len = strlen(simulation->why), more = strlen(line) + 1;
	if (level > LOG_LEVEL_WARN || more >= sizeof simulation->why)
		return;
	if (len + more >= sizeof simulation->why)
		len = 0;
	snprintf(simulation->why + len, sizeof simulation->why - len, "%s\n", line);
}

/* --- a process ------------------------------------------------------------------------------------------------------ */

static void on_stopped(void *ctx)
{
	((struct simulation *)ctx)->stopped = true;
}

/* All that has nothing to wait for. */
static void run(struct simulation *simulation)
{
	do
		loop_sim_advance(simulation->loop, 0);
	while (bridge_step(simulation->bridge));
}

/* The next timer, if it is due until then. */
static bool go_on(struct simulation *simulation, uint64_t until_ms)
{
	uint64_t delay_ms, now_ms = loop_now_ms(simulation->loop);
	if (!loop_sim_next(simulation->loop, &delay_ms) || delay_ms > until_ms - now_ms)
		return false;
	loop_sim_advance(simulation->loop, delay_ms);
	run(simulation);
	return true;
}

static int begin(struct simulation *simulation, uint64_t wall_ms, uint64_t now_ms)
{
	struct bridge_options options = {
		.config = &simulation->config,
		.disk = sim_disk_ops(simulation->disk),
		.on_stopped = on_stopped,
		.ctx = simulation,
		.manual = true,
		.observer = &simulation->observer,
	};
	simulation->loop = loop_new_simulated(wall_ms);
	if (!simulation->loop)
		return -ENOMEM;
	loop_sim_boot(simulation->loop, boot, now_ms);
	options.loop = simulation->loop;
	simulation->stopped = false;
	int r = bridge_open(&options, &simulation->bridge);
	if (r < 0)
		return r;
	bridge_start(simulation->bridge);
	run(simulation);
	return 0;
}

/* Ends the process and frees what it had, and its disk. Nobody hears of it. */
static void end(struct simulation *simulation)
{
	simulation->gone = true;
	peers_leave(simulation->peers);
	if (simulation->bridge)
		bridge_stop(simulation->bridge);
	uint64_t patience_ms = simulation->config.shutdown_timeout_ms + STOP_SPARE_MS;
	for (uint64_t ms = 0; simulation->bridge && !simulation->stopped && ms < patience_ms; ms += STOP_STEP_MS) {
		loop_sim_advance(simulation->loop, STOP_STEP_MS);
		run(simulation);
	}
	int ignored = simulation->bridge ? bridge_close(simulation->bridge) : 0;
	(void)ignored; /* the disk is thrown away */
	simulation->bridge = NULL;
	if (simulation->loop)
		loop_free(simulation->loop);
	simulation->loop = NULL;
	sim_disk_free(simulation->disk);
	simulation->disk = NULL;
	peers_revive(simulation->peers);
	simulation->gone = false;
}

int simulation_restart(struct simulation *simulation)
{
	uint64_t wall_ms = loop_wall_ms(simulation->loop), now_ms = loop_now_ms(simulation->loop);
	struct sim_disk *image = sim_disk_fork(simulation->disk);
	end(simulation);
	simulation->disk = image;
	return begin(simulation, wall_ms, now_ms);
}

/* --- opening -------------------------------------------------------------------------------------------------------- */

static int copy_config(struct simulation *simulation, const struct config *config, const char *mapping)
{
	struct config *copy = &simulation->config;
	*copy = *config;
	copy->connections = calloc(config->n_connections + 1, sizeof *copy->connections);
	copy->mappings = calloc(config->n_mappings + 1, sizeof *copy->mappings);
	copy->n_mappings = 0;
	if (!copy->connections || !copy->mappings)
		return -ENOMEM;
	memcpy(copy->connections, config->connections, config->n_connections * sizeof *copy->connections);
	/* One that aggregates is two of the same name. */
	for (size_t i = 0; i < config->n_mappings; i++)
		if (!mapping || strcmp(config->mappings[i].name, mapping) == 0)
			copy->mappings[copy->n_mappings++] = config->mappings[i];
	if (copy->journal.segment_bytes > SEGMENT_BYTES)
		copy->journal.segment_bytes = SEGMENT_BYTES;
	copy->journal.min_free_bytes = 0;
	copy->journal.linger_ms = 0;
	return 0;
}

static int open_all(struct simulation *simulation, const struct config *config, const char *mapping)
{
	struct peers_options options = {.on_arrival = on_arrival, .on_refused = on_refused, .ctx = simulation};
	simulation->observer = (struct bridge_observer){on_taken, on_dropped, simulation};
	int r = copy_config(simulation, config, mapping);
	if (r < 0)
		return r;
	simulation->peers = peers_new(simulation->config.connections, simulation->config.n_connections, &options);
	if (!simulation->peers)
		return -ENOMEM;
	simulation->disk = sim_disk_new();
	return begin(simulation, SIMULATION_BEGINS_MS, BOOT_AGE_MS);
}

int simulation_open(
	const struct config *config, const char *mapping, struct simulation **ret_simulation, char **ret_why)
{
	struct simulation *simulation = calloc(1, sizeof *simulation);
	*ret_why = NULL;
	if (!simulation)
		return -ENOMEM;
	log_set_level(LOG_LEVEL_WARN);
	log_set_sink(on_log, simulation);
	journal_simulate_random(RANDOM_STATE);
	int r = open_all(simulation, config, mapping);
	if (r < 0) {
		*ret_why = strdup(simulation->why);
		simulation_close(simulation);
		return r;
	}
	*ret_simulation = simulation;
	return 0;
}

void simulation_close(struct simulation *simulation)
{
	if (!simulation)
		return;
	if (simulation->peers)
		end(simulation);
	peers_free(simulation->peers);
	simulation_forget(simulation);
	for (size_t i = 0; i < simulation->n_taken; i++)
		message_unref(simulation->taken[i].msg);
	free(simulation->taken);
	free(simulation->events);
	free(simulation->config.connections);
	free(simulation->config.mappings);
	free(simulation);
	journal_simulate_random(0);
	log_set_sink(NULL, NULL);
}

/* --- what is done --------------------------------------------------------------------------------------------------- */

static int give(struct simulation *simulation, const struct test_given *given, struct message_field *headers)
{
	for (size_t i = 0; i < given->headers.n; i++)
		headers[i] = (struct message_field){
			slice_str(given->headers.items[i].name), slice_str(given->headers.items[i].value)};
	struct message_view view = {
		.topic = slice_str(given->topic),
		.payload = test_given_payload(given),
		.content_type = slice_str(given->content_type),
		.key = slice_str(given->key),
		.headers = headers,
		.n_headers = given->headers.n,
		.expires_ms = given->expires_in_ms,
		.qos = (uint8_t)given->qos,
		.retain = given->retain,
	};
	return peer_give(simulation->peers, given->from, &view);
}

int simulation_give(struct simulation *simulation, const struct test_given *given)
{
	struct message_field *headers = calloc(given->headers.n + 1, sizeof *headers);
	int r = headers ? give(simulation, given, headers) : -ENOMEM;
	free(headers);
	run(simulation);
	return r < 0 ? r : simulation->error;
}

int simulation_answer(struct simulation *simulation, const struct test_answers *answers)
{
	return peer_answer(simulation->peers, answers->connection, answers->items, answers->n);
}

void simulation_link(struct simulation *simulation, size_t connection, bool up)
{
	peer_set_up(simulation->peers, connection, up);
	run(simulation);
}

void simulation_wait(struct simulation *simulation, uint64_t ms)
{
	uint64_t until_ms = loop_now_ms(simulation->loop) + ms;
	while (go_on(simulation, until_ms))
		;
	loop_sim_advance(simulation->loop, until_ms - loop_now_ms(simulation->loop));
	run(simulation);
}

/* How many messages wait there for something that will come. */
static uint64_t waiting_for(const struct simulation *simulation, size_t connection)
{
	struct connection_figures figures = bridge_connection(simulation->bridge, connection);
	uint64_t unanswered = peer_unanswered(simulation->peers, connection);
	if (!figures.is_destination || !peer_is_up(simulation->peers, connection) ||
		figures.destination.outbox.waiting <= unanswered)
		return 0;
	return figures.destination.outbox.waiting - unanswered;
}

/* The connection for which something waits; SIZE_MAX: none. */
static size_t find_waiting(const struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->config.n_connections; i++)
		if (waiting_for(simulation, i))
			return i;
	return SIZE_MAX;
}

bool simulation_settle(struct simulation *simulation, char **ret_what)
{
	uint64_t until_ms = loop_now_ms(simulation->loop) + SIMULATION_PATIENCE_MS;
	size_t connection;
	while ((connection = find_waiting(simulation)) != SIZE_MAX && go_on(simulation, until_ms))
		;
	if (connection == SIZE_MAX)
		return true;
	char text[300];
	uint64_t n = waiting_for(simulation, connection);
	snprintf(text, sizeof text,
		"it does not come to rest: after %llu days of simulated time %llu message%s for '%s' still wait%s\n",
		(unsigned long long)(SIMULATION_PATIENCE_MS / 1000 / 86400), (unsigned long long)n, n == 1 ? "" : "s",
		simulation->config.connections[connection].name, n == 1 ? "s" : "");
	*ret_what = strdup(text);
	return false;
}

/* --- what has happened ----------------------------------------------------------------------------------------------- */

const struct simulation_event *simulation_events(const struct simulation *simulation, size_t *ret_n)
{
	*ret_n = simulation->n_events;
	return simulation->events;
}

const char *simulation_refused(const struct simulation *simulation)
{
	return simulation->refused[0] ? simulation->refused : NULL;
}

void simulation_forget(struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->n_events; i++) {
		message_unref(simulation->events[i].msg);
		free(simulation->events[i].reason);
	}
	simulation->n_events = 0;
	simulation->refused[0] = '\0';
}
