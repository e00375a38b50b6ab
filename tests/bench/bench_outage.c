/* SPDX-License-Identifier: Apache-2.0
 *
 * One of five destinations is away: bench_outage DIR GIB. The real bridge, router, journal and couriers on a real disk;
 * the links are scripted: one source offers as fast as it may, each message goes to five destinations that have it at
 * once. Phases, after as much traffic as makes the disk busy: all five there; one away, until GIB of messages have passed the journal; the one comes back and drains,
 * with nothing else going on; all five there again.
 *   ratio_others  rate of the four while the fifth is away, to that while all are there (before and after)
 *   ratio_drain   rate of the drain, messages a second, to the rate of one destination while all are there
 *   waiting_mib   what the overflow log had grown to; own_mib: what it should be, the messages that wait
 *   journal_mib   the most that journal/ had in files
 *   memory_mib    anonymous resident memory at the end of the outage and of the drain, less that before the outage: the more
 * Exit status 1 when a message is lost, doubled or out of order, when another destination has an overflow log, when the
 * journal grows or memory does.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "connectors/connector.h"
#include "journal/journal.h"
#include "runtime/bridge.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"

#define SINKS       5u
#define AWAY        (SINKS - 1)
#define KEYS        100u
#define PAYLOAD     1000u
#define OUTSTANDING 2000u
#define MIB         (1024.0 * 1024.0)
#define MAX_MEMORY  16.0 /* MiB more than before */

struct link {
	struct link_host *host;
	bool is_sink, up, paused;
	unsigned sink;
	uint64_t delivered;
	uint64_t last[KEYS]; /* number of the newest of each key */
};

enum phase { WARM_UP, BEFORE, OUTAGE, DRAIN, AFTER, ENDED };

static struct bench {
	const char *dir;
	struct loop *loop;
	struct bridge *bridge;
	struct link *source, *sinks[SINKS];
	struct loop_job offer_job;
	uint64_t offered, receipts, target;
	uint64_t lengths[ENDED]; /* messages of each phase */
	enum phase phase;
	double began, rates[ENDED];
	double journal_mib, waiting_mib, own_mib, memory[ENDED];
	unsigned made, wrong;
} b;

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double folder_mib(const char *name)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", b.dir, name);
	DIR *folder = opendir(path);
	double sum = 0;
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		struct stat info;
		snprintf(path, sizeof path, "%s/%s/%s", b.dir, name, entry->d_name);
		if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
			sum += (double)info.st_blocks * 512;
	}
	if (folder)
		closedir(folder);
	return sum / MIB;
}

static double memory_mib(void)
{
	char line[200];
	double kib = 0;
	FILE *status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof line, status))
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtod(line + 8, NULL);
	if (status)
		fclose(status);
	return kib / 1024;
}

static void complain(const char *what, double is, double allowed)
{
	fprintf(stderr, "outage: %s: %.1f, at most %.1f\n", what, is, allowed);
	b.wrong++;
}

/* --- phases ------------------------------------------------------------------------------------------------------- */

static void sample(void)
{
	double mib = folder_mib("journal");
	if (mib > b.journal_mib)
		b.journal_mib = mib;
}

static void end_phase(void)
{
	uint64_t messages = b.phase == DRAIN ? b.lengths[OUTAGE] : b.lengths[b.phase];
	b.rates[b.phase] = (double)messages / (now_s() - b.began);
	b.memory[b.phase] = memory_mib();
	sample();
	if (b.phase == OUTAGE) {
		struct journal_outbox box = journal_outbox(b.bridge->journal, b.bridge->endpoints[1 + AWAY].dest);
		b.own_mib = (double)box.waiting_bytes / MIB;
		b.waiting_mib = folder_mib("outbox/sink4");
		for (unsigned i = 0; i < AWAY; i++) {
			char name[32];
			snprintf(name, sizeof name, "outbox/sink%u", i);
			/* What was on its way when a segment was spilled may have gone along. */
			if (folder_mib(name) > 64)
				complain(name, folder_mib(name), 64);
		}
	}
	fprintf(stderr,
		"outage: phase %d: %.0f messages a second, %.1f MiB anonymous, journal %.0f MiB, overflow %.0f MiB\n",
		(int)b.phase, b.rates[b.phase], b.memory[b.phase], folder_mib("journal"), folder_mib("outbox/sink4"));
}

static void set_up(struct link *link, bool up)
{
	link->up = up;
	if (up)
		link->host->ops->link_up(link->host, &(struct sink_traits){.max_in_flight = 1000});
	else
		link->host->ops->link_down(link->host, "scripted");
}

static void begin_phase(void)
{
	b.began = now_s();
	b.target = b.offered + b.lengths[b.phase];
	if (b.phase == OUTAGE)
		set_up(b.sinks[AWAY], false);
	if (b.phase == DRAIN)
		set_up(b.sinks[AWAY], true);
	if (b.phase == ENDED)
		bridge_stop(b.bridge);
	else
		loop_post(b.loop, &b.offer_job);
}

static bool is_complete(void)
{
	if (b.offered < b.target || b.receipts < b.offered)
		return false;
	for (unsigned i = 0; i < SINKS; i++)
		if (b.sinks[i]->up && b.sinks[i]->delivered < b.offered)
			return false;
	return true;
}

static void check_phase(void)
{
	while (b.phase < ENDED && is_complete()) {
		end_phase();
		b.phase++;
		begin_phase();
	}
}

static void offer_more(void *arg)
{
	static uint8_t payload[PAYLOAD];
	(void)arg;
	for (unsigned i = 0;
		i < 1000 && b.offered < b.target && b.offered - b.receipts < OUTSTANDING && !b.source->paused; i++) {
		char topic[32];
		snprintf(topic, sizeof topic, "a/%u", (unsigned)(b.offered % KEYS));
		memcpy(payload, &b.offered, sizeof b.offered);
		struct message_view view = {.topic = slice_str(topic), .payload = slice_of(payload, PAYLOAD), .qos = 1};
		struct offer offer = {.view = &view, .subscription = -1, .cookie = b.offered};
		if (b.source->host->ops->offer(b.source->host, &offer) != OFFER_TAKEN)
			return;
		b.offered++;
		if (b.offered % 100000 == 0)
			sample();
	}
	if (b.offered < b.target && b.offered - b.receipts < OUTSTANDING && !b.source->paused)
		loop_post(b.loop, &b.offer_job);
	check_phase();
}

/* --- the scripted links -------------------------------------------------------------------------------------------- */

static int fake_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof *link);
	if (!link)
		return -ENOMEM;
	link->host = host;
	link->is_sink = spec->is_sink;
	if (link->is_sink) {
		link->sink = b.made;
		b.sinks[b.made++] = link;
	} else {
		b.source = link;
	}
	*ret_link = link;
	return 0;
}

static void fake_start(struct link *link, const struct link_recovery *recovery)
{
	(void)recovery;
	set_up(link, true);
	if (!link->is_sink)
		begin_phase();
}

static void fake_pause(struct link *link)
{
	link->paused = true;
}

static void fake_resume(struct link *link)
{
	link->paused = false;
	loop_post(b.loop, &b.offer_job);
}

static void fake_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link, (void)receipt;
	b.wrong += cookie != b.receipts;
	b.receipts++;
}

static void fake_receipts_end(struct link *link)
{
	if (b.phase < ENDED && !link->paused)
		loop_post(b.loop, &b.offer_job);
}

static void fake_send(struct link *link, const struct delivery *delivery)
{
	uint64_t number;
	memcpy(&number, message_view(delivery->msg)->payload.data, sizeof number);
	uint64_t *last = &link->last[number % KEYS];
	/* Numbers of a key are KEYS apart: one more or less is a message that is lost, doubled or early. */
	if (number != (*last ? *last - 1 + KEYS : number % KEYS) && b.wrong++ < 10)
		fprintf(stderr, "outage: sink %u got %llu after %llu\n", link->sink, (unsigned long long)number,
			(unsigned long long)*last - 1);
	*last = number + 1;
	link->delivered++;
	link->host->ops->outcome(link->host, delivery->seq, &(struct outcome){.kind = OUTCOME_DELIVERED});
}

static void fake_send_end(struct link *link)
{
	if (link->delivered == b.offered)
		loop_post(b.loop, &b.offer_job);
}

static void fake_stop_intake(struct link *link)
{
	link->paused = true;
}

static void fake_stop(struct link *link, uint64_t linger_ms)
{
	(void)linger_ms;
	link->host->ops->stopped(link->host);
}

static void fake_destroy(struct link *link)
{
	free(link);
}

static enum guarantee fake_guarantee(const void *settings, uint8_t qos)
{
	(void)settings, (void)qos;
	return AT_LEAST_ONCE;
}

static const struct connector fake = {
	.name = "fake",
	.target_key = "topic",
	.can_source = true,
	.can_sink = true,
	.pipelined_order = true,
	.source_guarantee = fake_guarantee,
	.sink_guarantee = fake_guarantee,
	.create = fake_create,
	.start = fake_start,
	.pause = fake_pause,
	.resume = fake_resume,
	.receipt = fake_receipt,
	.receipts_end = fake_receipts_end,
	.send = fake_send,
	.send_end = fake_send_end,
	.stop_intake = fake_stop_intake,
	.stop = fake_stop,
	.destroy = fake_destroy,
};

/* --- assembly ------------------------------------------------------------------------------------------------------ */

static void on_stopped(void *ctx)
{
	(void)ctx;
	loop_stop(b.loop);
}

static void make_config(struct config *config)
{
	static char names[SINKS + 1][8], mapping[] = "all", filter[] = "a/#";
	static struct connection_config connections[SINKS + 1];
	static struct target_config targets[SINKS];
	static struct config_text text = {.value = filter};
	static struct mapping_config map;
	for (unsigned i = 0; i <= SINKS; i++) {
		snprintf(names[i], sizeof names[i], i ? "sink%u" : "source", i - 1);
		connections[i] = (struct connection_config){.name = names[i],
			.connector = &fake,
			.delivery = -1,
			.outbox = {.max_bytes = UINT64_MAX / 2,
				.backoff_min_ms = 1,
				.backoff_max_ms = 10,
				.lookahead = 10000,
				.dead_max_bytes = 1 << 20}};
	}
	for (unsigned i = 0; i < SINKS; i++)
		targets[i] = (struct target_config){.connection = i + 1, .qos = -1, .retain = -1};
	map = (struct mapping_config){.name = mapping,
		.filters = {&text, 1},
		.from_qos = 1,
		.max_outputs = 10,
		.delivery = -1,
		.targets = targets,
		.n_targets = SINKS};
	config->shutdown_timeout_ms = 1000;
	config->max_transform_bytes = config->max_message_bytes = 1 << 20;
	config->connections = connections;
	config->n_connections = SINKS + 1;
	config->mappings = &map;
	config->n_mappings = 1;
}

static void check_result(const struct bench *bench, double live)
{
	double journal_limit = 2 * JOURNAL_MAX_BYTES / MIB + 6 * JOURNAL_SEGMENT_BYTES / MIB;
	double more = bench->memory[OUTAGE] > bench->memory[DRAIN] ? bench->memory[OUTAGE] : bench->memory[DRAIN];
	more -= bench->memory[BEFORE];
	if (bench->journal_mib > journal_limit)
		complain("MiB in the journal's files", bench->journal_mib, journal_limit);
	if (bench->waiting_mib > bench->own_mib * 1.1 + 64)
		complain("MiB in the overflow log", bench->waiting_mib, bench->own_mib * 1.1 + 64);
	if (more > MAX_MEMORY)
		complain("MiB of memory more than before", more, MAX_MEMORY);
	if (folder_mib("outbox/sink4") > 1)
		complain("MiB of the overflow log left after the drain", folder_mib("outbox/sink4"), 1);
	printf("bench outage ratio_others=%.2f ratio_drain=%.2f waiting_mib=%.0f own_mib=%.0f journal_mib=%.0f "
	       "memory_mib=%.1f live_per_second=%.0f\n",
		bench->rates[OUTAGE] / live, bench->rates[DRAIN] / live, bench->waiting_mib, bench->own_mib,
		bench->journal_mib, more, live);
}

int main(int argc, char **argv)
{
	struct config config = {0};
	if (argc != 3) {
		fprintf(stderr, "usage: bench_outage DIR GIB\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_WARN);
	b.dir = argv[1];
	/* Five copies of each. */
	uint64_t messages = (uint64_t)(strtod(argv[2], NULL) * 1024 * MIB / (SINKS * (PAYLOAD + 70.0)));
	b.lengths[WARM_UP] = b.lengths[BEFORE] = b.lengths[AFTER] = messages / 10 > 150000 ? messages / 10 : 150000;
	b.lengths[OUTAGE] = messages;
	make_config(&config);
	config.data_dir = argv[1];
	struct disk *disk = disk_posix_new(argv[1]);
	b.loop = loop_new();
	loop_job_init(&b.offer_job, offer_more, NULL);
	struct bridge_options options = {.config = &config, .loop = b.loop, .disk = disk, .on_stopped = on_stopped};
	if (!disk || bridge_open(&options, &b.bridge) < 0)
		return 1;
	bridge_start(b.bridge);
	loop_run(b.loop);
	if (bridge_close(b.bridge) < 0)
		b.wrong++;
	loop_cancel(b.loop, &b.offer_job);
	loop_free(b.loop);
	disk_posix_free(disk);
	check_result(&b, (b.rates[BEFORE] + b.rates[AFTER]) / 2);
	return b.wrong != 0;
}
