/* SPDX-License-Identifier: Apache-2.0
 *
 * No acknowledgement for what is not durable: the real bridge, journal and MQTT link between a flapping broker and a disk
 * that is slow and forgets. A write is durable only after its fdatasync, and each fdatasync returns only when the broker
 * has read everything that linkspan was ready to say before it. At each PUBACK, PUBREC and PUBCOMP the power is cut, and
 * a journal is recovered from what the medium holds then: it must have the message, and the packet identifier open or
 * released. In the end each QoS 2 message must be there once.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "journal/journal.h"
#include "runtime/bridge.h"
#include "runtime/log.h"
#include "journal/disk_simulated.h"
#include "tests/unit/mqtt/fake_broker.h"
#include "tests/unit/tap.h"

#define MESSAGES    1000u
#define IDS         48u /* fewer than messages: each is used again and again */
#define QUIET_TURNS 4u /* a packet needs one or two to reach the broker */
#define DEADLINE_NS 60000000000u

/* --- a slow disk ------------------------------------------------------------------------------------------------------ */

static struct {
	struct disk disk;
	struct disk_ops ops;
	struct sim_disk *sim; /* under lock: it knows one thread */
	pthread_mutex_t lock;
	pthread_cond_t permitted;
	unsigned waiting, permits; /* fdatasyncs */
	bool slow;
} slow;

/* WITH_SIM(call) is the call's result, made under the lock. */
#define WITH_SIM(type, call)                                                                                           \
	pthread_mutex_lock(&slow.lock);                                                                                \
	struct disk *sim = sim_disk_ops(slow.sim);                                                                     \
	type result = (call);                                                                                          \
	pthread_mutex_unlock(&slow.lock);                                                                              \
	(void)disk;                                                                                                    \
	return result

static int slow_open(struct disk *disk, const char *path, int flags)
{
	WITH_SIM(int, sim->ops->open(sim, path, flags));
}

static int slow_close(struct disk *disk, int handle)
{
	WITH_SIM(int, sim->ops->close(sim, handle));
}

static ssize_t slow_pread(struct disk *disk, int handle, void *buf, size_t len, uint64_t offset)
{
	WITH_SIM(ssize_t, sim->ops->pread(sim, handle, buf, len, offset));
}

static int slow_pwrite(struct disk *disk, int handle, const void *buf, size_t len, uint64_t offset)
{
	WITH_SIM(int, sim->ops->pwrite(sim, handle, buf, len, offset));
}

static int slow_fdatasync(struct disk *disk, int handle)
{
	(void)disk;
	pthread_mutex_lock(&slow.lock);
	slow.waiting++;
	while (slow.slow && slow.permits == 0)
		pthread_cond_wait(&slow.permitted, &slow.lock);
	slow.waiting--;
	slow.permits -= slow.permits > 0;
	struct disk *sim = sim_disk_ops(slow.sim);
	int r = sim->ops->fdatasync(sim, handle);
	pthread_mutex_unlock(&slow.lock);
	return r;
}

static int64_t slow_size(struct disk *disk, int handle)
{
	WITH_SIM(int64_t, sim->ops->size(sim, handle));
}

static int slow_truncate(struct disk *disk, int handle, uint64_t size)
{
	WITH_SIM(int, sim->ops->truncate(sim, handle, size));
}

static int slow_rename(struct disk *disk, const char *from, const char *to)
{
	WITH_SIM(int, sim->ops->rename(sim, from, to));
}

static int slow_unlink(struct disk *disk, const char *path)
{
	WITH_SIM(int, sim->ops->unlink(sim, path));
}

static int slow_mkdir(struct disk *disk, const char *path)
{
	WITH_SIM(int, sim->ops->mkdir(sim, path));
}

static int slow_sync_dir(struct disk *disk, const char *path)
{
	WITH_SIM(int, sim->ops->sync_dir(sim, path));
}

static int slow_list(struct disk *disk, const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	(void)disk;
	/* fn may call the disk; nothing else runs while folders are listed. */
	struct disk *sim = sim_disk_ops(slow.sim);
	return sim->ops->list(sim, path, fn, arg);
}

static int slow_lock(struct disk *disk, const char *path)
{
	WITH_SIM(int, sim->ops->lock(sim, path));
}

static int64_t slow_free_bytes(struct disk *disk)
{
	WITH_SIM(int64_t, sim->ops->free_bytes(sim));
}

static void slow_begin(void)
{
	slow.ops = (struct disk_ops){
		.open = slow_open,
		.close = slow_close,
		.pread = slow_pread,
		.pwrite = slow_pwrite,
		.fdatasync = slow_fdatasync,
		.size = slow_size,
		.truncate = slow_truncate,
		.rename = slow_rename,
		.unlink = slow_unlink,
		.mkdir = slow_mkdir,
		.sync_dir = slow_sync_dir,
		.list = slow_list,
		.lock = slow_lock,
		.free_bytes = slow_free_bytes,
	};
	slow.disk.ops = &slow.ops;
	slow.sim = sim_disk_new();
	slow.waiting = slow.permits = 0;
	slow.slow = false;
	pthread_mutex_init(&slow.lock, NULL);
	pthread_cond_init(&slow.permitted, NULL);
}

static void slow_set(bool is_slow)
{
	pthread_mutex_lock(&slow.lock);
	slow.slow = is_slow;
	pthread_cond_broadcast(&slow.permitted);
	pthread_mutex_unlock(&slow.lock);
}

/* True if one was waiting. */
static bool slow_permit(void)
{
	pthread_mutex_lock(&slow.lock);
	bool waits = slow.waiting > slow.permits;
	slow.permits += waits;
	pthread_cond_broadcast(&slow.permitted);
	pthread_mutex_unlock(&slow.lock);
	return waits;
}

/* --- what the medium holds ------------------------------------------------------------------------------------------ */

struct medium {
	unsigned copies[MESSAGES];
	bool open[IDS + 1];
	bool at_end;
};

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct medium *medium = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		struct slice payload = message_view(result->items[i].msg)->payload;
		char text[16] = "";
		memcpy(text, payload.data, payload.len < sizeof text ? payload.len : sizeof text - 1);
		unsigned number = (unsigned)strtoul(text, NULL, 10);
		CU_ASSERT_FATAL(number < MESSAGES);
		medium->copies[number]++;
		message_unref(result->items[i].msg);
	}
	medium->at_end = result->at_end;
}

static void on_open_id(uint16_t id, uint64_t hash, void *arg)
{
	struct medium *medium = arg;
	(void)hash;
	CU_ASSERT_FATAL(id <= IDS);
	medium->open[id] = true;
}

static void on_durable(void *ctx, uint64_t lsn)
{
	(void)ctx, (void)lsn;
}

static void on_nothing(void *ctx)
{
	(void)ctx;
}

static void on_failed(void *ctx, int error)
{
	(void)ctx, (void)error;
	CU_FAIL("a recovered journal failed");
}

/* Cuts the power, and recovers from what is left. */
static void look_at_medium(struct medium *ret_medium)
{
	uint64_t random = 1;
	pthread_mutex_lock(&slow.lock);
	struct sim_disk *left = sim_disk_power_loss(slow.sim, SIM_KEEP_NONE, &random);
	pthread_mutex_unlock(&slow.lock);
	struct loop *loop = loop_new_simulated(1700000000000);
	struct journal *j;
	struct journal_options options = {
		.disk = sim_disk_ops(left),
		.loop = loop,
		.segment_bytes = 1u << 20,
		.manual = true,
		.on_durable = on_durable,
		.on_room = on_nothing,
		.on_failed = on_failed,
	};
	CU_ASSERT_EQUAL_FATAL(journal_open(&options, &j), 0);
	*ret_medium = (struct medium){0};
	int source = journal_source(j, "a"), dest = journal_destination(j, "b");
	journal_open_ids(j, (uint32_t)source, on_open_id, ret_medium);
	struct journal_reader *reader = journal_reader_new(j, (uint32_t)dest, 1, on_read, ret_medium);
	while (!ret_medium->at_end) {
		journal_reader_request(reader, 1000, 1u << 20);
		while (journal_step(j))
			;
		loop_sim_advance(loop, 0);
	}
	journal_reader_free(reader);
	CU_ASSERT_EQUAL(journal_close(j), 0);
	loop_free(loop);
	sim_disk_free(left);
}

/* --- the broker's half ------------------------------------------------------------------------------------------------ */

enum sent_state { UNSENT, PUBLISHED, RECEIVED, COMPLETE };

static struct {
	struct loop *loop;
	struct fake_broker broker, nobody;
	struct bridge *bridge;
	struct config *config;
	enum sent_state state[MESSAGES];
	bool released[MESSAGES]; /* PUBREL sent at least once */
	int by_id[IDS + 1]; /* the message, or -1 */
	uint16_t id[MESSAGES];
	unsigned next, complete, drops, acks, looks;
	size_t seen; /* of broker.packets */
	bool ready; /* the newest connection has its subscriptions */
	bool stopped;
	uint64_t random;
} scene;

static uint8_t qos_of(unsigned number)
{
	return number % 3 == 0 ? 1 : 2;
}

static void publish(unsigned number, bool dup)
{
	char payload[16];
	snprintf(payload, sizeof payload, "%u", number);
	struct mqtt_packet packet = {
		.type = MQTT_PUBLISH,
		.publish = {.topic = slice_str("t"),
			.payload = slice_str(payload),
			.qos = qos_of(number),
			.dup = dup,
			.packet_id = scene.id[number]},
	};
	fake_broker_send(&scene.broker, &packet);
	scene.state[number] = PUBLISHED;
}

static void release(unsigned number)
{
	fake_broker_answer(&scene.broker, MQTT_PUBREL, scene.id[number], 0);
	scene.released[number] = true;
}

/* A new connection to the session: everything again, in the order of its first time. */
static void resume(void)
{
	for (unsigned i = 0; i < scene.next; i++) {
		if (scene.state[i] == PUBLISHED)
			publish(i, true);
		else if (scene.state[i] == RECEIVED)
			release(i);
	}
}

static void finish(unsigned number)
{
	scene.state[number] = COMPLETE;
	scene.by_id[scene.id[number]] = -1;
	scene.complete++;
}

static void check_ack(const struct broker_packet *packet, const struct medium *medium)
{
	CU_ASSERT_FATAL(packet->packet_id >= 1 && packet->packet_id <= IDS);
	int number = scene.by_id[packet->packet_id];
	CU_ASSERT_FATAL(number >= 0);
	CU_ASSERT(packet->reason < 0x80 || packet->type == MQTT_PUBCOMP);
	CU_ASSERT_FATAL(medium->copies[number] > 0);
	scene.acks++;
	if (packet->type == MQTT_PUBACK) {
		CU_ASSERT_EQUAL_FATAL(qos_of((unsigned)number), 1);
		finish((unsigned)number);
	} else if (packet->type == MQTT_PUBREC) {
		CU_ASSERT_EQUAL_FATAL(qos_of((unsigned)number), 2);
		CU_ASSERT_FATAL(medium->open[packet->packet_id]);
		scene.state[number] = RECEIVED;
	} else {
		CU_ASSERT_FATAL(scene.released[number]);
		CU_ASSERT_FALSE_FATAL(medium->open[packet->packet_id]);
		finish((unsigned)number);
	}
}

/* True when something came. */
static bool take_packets(void)
{
	size_t first = scene.seen, n = scene.broker.n_packets;
	struct medium medium;
	bool looked = false;
	for (; scene.seen < n; scene.seen++) {
		const struct broker_packet *packet = &scene.broker.packets[scene.seen];
		if (packet->type == MQTT_SUBSCRIBE || (packet->type == MQTT_CONNECT && scene.broker.session_present)) {
			scene.ready = scene.broker.session_present = true;
			resume();
		}
		if (packet->type != MQTT_PUBACK && packet->type != MQTT_PUBREC && packet->type != MQTT_PUBCOMP)
			continue;
		if (!looked)
			look_at_medium(&medium);
		scene.looks += !looked;
		looked = true;
		check_ack(packet, &medium);
	}
	return n > first;
}

/* Something that a broker may do. */
static void act(void)
{
	uint64_t dice = sim_random(&scene.random);
	if (!scene.ready || !scene.broker.connection)
		return;
	if (dice % 64 == 0) {
		scene.ready = false;
		scene.drops++;
		fake_broker_drop(&scene.broker);
		return;
	}
	if (dice % 2 == 0 && scene.next < MESSAGES) {
		uint16_t id = (uint16_t)(1 + (dice >> 8) % IDS);
		if (scene.by_id[id] >= 0)
			return;
		scene.by_id[id] = (int)scene.next;
		scene.id[scene.next] = id;
		publish(scene.next++, false);
	}
	unsigned number = scene.next ? (unsigned)((dice >> 32) % scene.next) : 0;
	if (scene.next && scene.state[number] == RECEIVED && !scene.released[number])
		release(number);
	if (scene.next == MESSAGES) /* no more, so that all come to their end */
		for (unsigned i = 0; i < MESSAGES; i++)
			if (scene.state[i] == RECEIVED && !scene.released[i])
				release(i);
}

/* --- the test --------------------------------------------------------------------------------------------------------- */

static void on_stopped(void *ctx)
{
	(void)ctx;
	scene.stopped = true;
}

static void load_configuration(void)
{
	char path[256];
	snprintf(path, sizeof path, "%s/linkspan.yaml", tap_tempdir());
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	const char *keys = "reconnect_min: 1ms, reconnect_max: 2ms";
	fprintf(file,
		"data_dir: %s\njournal: {segment_size: 1MiB}\nconnections:\n"
		"  a: {type: mqtt, url: \"mqtt://127.0.0.1:%u\", client_id: a, %s}\n"
		"  b: {type: mqtt, url: \"mqtt://127.0.0.1:%u\", client_id: b, %s}\n"
		"mappings:\n  - name: all\n    from: {connection: a, topic: t, qos: 2}\n"
		"    to: {connection: b, topic: t}\n",
		tap_tempdir(), scene.broker.port, keys, scene.nobody.port, keys);
	fclose(file);
	CU_ASSERT_EQUAL_FATAL(config_load(path, stderr, &scene.config, NULL), 0);
}

static void test_no_acknowledgement_before_it_is_durable(void)
{
	slow_begin();
	scene.loop = loop_new();
	scene.random = 7;
	for (unsigned i = 0; i <= IDS; i++)
		scene.by_id[i] = -1;
	fake_broker_open(&scene.broker, scene.loop, NULL, NULL, NULL);
	fake_broker_open(&scene.nobody, scene.loop, NULL, NULL, NULL);
	scene.nobody.silent = true; /* so that everything waits in the outbox */
	load_configuration();
	struct bridge_options options = {
		.config = scene.config, .loop = scene.loop, .disk = &slow.disk, .on_stopped = on_stopped};
	CU_ASSERT_EQUAL_FATAL(bridge_open(&options, &scene.bridge), 0);
	bridge_start(scene.bridge);
	slow_set(true);
	uint64_t deadline = uv_hrtime() + DEADLINE_NS;
	unsigned quiet = 0;
	while (scene.complete < MESSAGES && uv_hrtime() < deadline) {
		uv_run(loop_uv(scene.loop), UV_RUN_NOWAIT);
		quiet = take_packets() ? 0 : quiet + 1;
		act();
		if (quiet >= QUIET_TURNS && slow_permit())
			quiet = 0;
	}
	CU_ASSERT_EQUAL(scene.complete, MESSAGES);
	CU_ASSERT(scene.drops > 10);
	struct medium medium;
	look_at_medium(&medium);
	for (unsigned i = 0; i < MESSAGES; i++) {
		CU_ASSERT(medium.copies[i] >= 1);
		CU_ASSERT(medium.copies[i] == 1 || qos_of(i) == 1);
	}
	printf("# %u acknowledgements, %u recoveries, %u connections cut\n", scene.acks, scene.looks, scene.drops);
	slow_set(false);
	bridge_stop(scene.bridge);
	while (!scene.stopped)
		uv_run(loop_uv(scene.loop), UV_RUN_ONCE);
	CU_ASSERT_EQUAL(bridge_close(scene.bridge), 0);
	config_free(scene.config);
	fake_broker_close(&scene.broker);
	fake_broker_close(&scene.nobody);
	loop_free(scene.loop);
	sim_disk_free(slow.sim);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"no acknowledgement before it is durable", test_no_acknowledgement_before_it_is_durable},
		{NULL, NULL},
	};
	log_set_level(LOG_LEVEL_ERROR);
	return tap_main("acknowledgements", tests);
}
