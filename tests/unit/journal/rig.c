/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's test rig.
 */
#define _GNU_SOURCE /* memmem */
#include "tests/unit/journal/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"

static char *lines[4096];
static size_t n_lines;

static void keep_line(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	if (n_lines < sizeof lines / sizeof lines[0])
		lines[n_lines++] = strdup(line);
}

void rig_forget_log(void)
{
	while (n_lines)
		free(lines[--n_lines]);
}

unsigned rig_logged(const char *text)
{
	unsigned n = 0;
	for (size_t i = 0; i < n_lines; i++)
		n += strstr(lines[i], text) != NULL;
	return n;
}

void rig_init(struct rig *rig)
{
	*rig = (struct rig){.sim = sim_disk_new(), .loop = loop_new_simulated(1700000000000)};
	rig_forget_log();
	log_set_sink(keep_line, NULL);
}

void rig_fini(struct rig *rig)
{
	if (rig->j)
		rig_close(rig);
	loop_free(rig->loop);
	sim_disk_free(rig->sim);
	log_set_sink(NULL, NULL);
	rig_forget_log();
}

static void on_durable(void *ctx, uint64_t lsn)
{
	((struct rig *)ctx)->durable = lsn;
}

static void on_room(void *ctx)
{
	((struct rig *)ctx)->rooms++;
}

static void on_failed(void *ctx, int error)
{
	((struct rig *)ctx)->failed = error;
}

int rig_try_open(struct rig *rig)
{
	struct journal_options options = {.disk = sim_disk_ops(rig->sim),
		.loop = rig->loop,
		.segment_bytes = RIG_SEGMENT,
		.max_bytes = rig->max_bytes,
		.strict = rig->strict,
		.manual = true,
		.min_free = rig->min_free,
		.max_sequences = rig->max_sequences,
		.max_keys = rig->max_keys,
		.on_durable = on_durable,
		.on_room = on_room,
		.on_failed = on_failed,
		.ctx = rig};
	return journal_open(&options, &rig->j);
}

void rig_open(struct rig *rig)
{
	CU_ASSERT_EQUAL_FATAL(rig_try_open(rig), 0);
	rig->dest = journal_destination(rig->j, "lake");
	rig->source = journal_source(rig->j, "plant");
	CU_ASSERT_FATAL(rig->dest >= 0 && rig->source >= 0);
	rig_run(rig);
}

void rig_close(struct rig *rig)
{
	CU_ASSERT_EQUAL(journal_close(rig->j), 0);
	rig->j = NULL;
}

void rig_crash(struct rig *rig)
{
	struct sim_disk *image = sim_disk_fork(rig->sim);
	struct journal *j = rig->j;
	rig->j = NULL;
	int ignored = journal_close(j);
	(void)ignored;
	sim_disk_free(rig->sim);
	rig->sim = image;
	rig->failed = 0;
}

void rig_run(struct rig *rig)
{
	while (journal_step(rig->j))
		loop_sim_advance(rig->loop, 0);
	loop_sim_advance(rig->loop, 0);
}

int rig_append_bytes(struct rig *rig, const void *bytes, size_t len, struct journal_entry *ret_entry)
{
	struct message_view view = {.topic = slice_str("plant/a"),
		.order_key = slice_str("plant/a"),
		.payload = slice_of(bytes, len),
		.origin_ms = 1600000000000};
	struct journal_entry entry = {.dest = (uint32_t)rig->dest, .view = &view};
	uint64_t lsn;
	int r = journal_append(rig->j, &entry, 1, NULL, 0, &lsn);
	if (r == 0 && ret_entry)
		*ret_entry = entry;
	return r;
}

int rig_append(struct rig *rig, const char *payload, struct journal_entry *ret_entry)
{
	return rig_append_bytes(rig, payload, strlen(payload), ret_entry);
}

int rig_change(struct rig *rig, struct journal_change change)
{
	uint64_t lsn;
	return journal_append(rig->j, NULL, 0, &change, 1, &lsn);
}

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct rig_read *read = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		CU_ASSERT_FATAL(read->n < RIG_MAX_READ);
		read->seqs[read->n++] = result->items[i].seq;
		message_unref(read->last);
		read->last = result->items[i].msg;
		read->last_bytes = result->items[i].bytes;
	}
	read->next_seq = result->next_seq;
	read->at_end = result->at_end;
}

struct rig_read *rig_read_all(struct rig *rig, int dest, uint64_t from_seq)
{
	struct rig_read *read = calloc(1, sizeof *read);
	struct journal_reader *reader = journal_reader_new(rig->j, (uint32_t)dest, from_seq, on_read, read);
	CU_ASSERT_FATAL(read && reader);
	for (unsigned tries = 0; tries < 10000 && !read->at_end; tries++) {
		journal_reader_request(reader, 7, 64 * 1024);
		rig_run(rig);
	}
	CU_ASSERT(read->at_end);
	journal_reader_free(reader);
	return read;
}

void rig_read_free(struct rig_read *read)
{
	message_unref(read->last);
	free(read);
}

bool rig_find(struct rig *rig, const char *text, char path[300], uint64_t *ret_offset)
{
	char **names = sim_disk_names(rig->sim, "journal");
	uint8_t *bytes = malloc(RIG_SEGMENT);
	bool found = false;
	for (size_t i = 0; names[i] && !found; i++) {
		snprintf(path, 300, "journal/%s", names[i]);
		sim_disk_read(rig->sim, path, 0, bytes, RIG_SEGMENT);
		const uint8_t *at = memmem(bytes, RIG_SEGMENT, text, strlen(text));
		found = at != NULL;
		if (found)
			*ret_offset = (uint64_t)(at - bytes);
	}
	free(bytes);
	sim_disk_free_names(names);
	return found;
}
