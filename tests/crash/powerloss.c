/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulated power loss: powerloss [STATES] [SEED]
 *
 * A journal in manual mode works on a simulated disk: random sets, DONEs, dead letters, state changes, and more than its
 * segments may hold, so that what waits goes to the overflow logs. Again and again the
 * machine loses power (all, none or some of the unsynced sectors survive) or the process dies, also right after a recovery.
 * After each, a model says what must be there:
 *   - every message whose lsn had become durable, or that a recovered journal has handed out, with the same bytes;
 *   - of what was not durable all of a set or nothing, and no set without the ones before it;
 *   - the state (open ids, positions, stages, subscriptions, numbers of streams, keys, last values) that exactly those sets make;
 *   - a DONE only where one was given, and always where its lsn was durable.
 * Then the negative controls: with fdatasync ignored, always, only while recovering or only for the overflow logs, the
 * same run must fail.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "runtime/log.h"
#include "journal/disk_simulated.h"

#define DESTS      3u
#define SOURCES    2u
#define IDS        16u
#define PARTITIONS 3u
#define STREAMS    200u
#define KEYS       200u
#define TOPICS     50u /* of last values */
#define MAX_SEQ    6000u
#define MAX_SETS   12000u
#define SEGMENT    (1024u * 1024)
#define BLOB_LEN   200u
#define KEY_TTL_MS (1000ull * 3600 * 1000) /* longer than any run */

struct record {
	uint64_t id;
	uint32_t len, bytes;
	uint32_t set;
	bool may_be_done, must_be_done;
	bool dead; /* when it is done it is by a dead letter */
	uint64_t done_lsn; /* of the flush that covers its DONE, 0 = none */
};

struct set {
	uint64_t lsn;
	struct journal_change change; /* type 0: none; blob never used: see value */
	uint64_t value;
	unsigned n_entries;
};

struct state {
	uint64_t open[SOURCES][IDS]; /* hash, 0 = not open */
	uint64_t position[SOURCES][PARTITIONS];
	uint64_t subscriptions[SOURCES];
	uint8_t stages[DESTS][MAX_SEQ];
	uint64_t sequence[STREAMS];
	uint64_t key[KEYS]; /* hash, 0 = not known */
	uint64_t last_value[DESTS][TOPICS]; /* 0 = none */
};

struct model {
	struct record records[DESTS][MAX_SEQ]; /* by seq */
	uint64_t next_seq[DESTS];
	uint64_t safe_seq[DESTS]; /* below: must survive */
	struct set sets[MAX_SETS]; /* since the last recovery */
	uint32_t n_sets, safe_sets; /* the first safe_sets must survive */
	struct state base; /* before sets[0] */
	uint64_t next_id;
};

enum control { CONTROL_SYNC, CONTROL_NO_SYNC, CONTROL_NO_RECOVERY_SYNC, CONTROL_NO_OVERFLOW_SYNC };

struct run {
	struct sim_disk *sim;
	struct loop *loop;
	struct journal *j;
	uint64_t durable;
	int dest[DESTS], source[SOURCES];
	struct model *model;
};

static uint64_t rng;
static enum control control;
static bool large; /* messages of such a size that segments fill up */
static bool dying; /* the journal at hand belongs to a machine that is gone: its callbacks mean nothing */
static unsigned long states;
static const char *failure; /* the first thing that was wrong */
static char detail[256];

#define FAIL(what, ...)                                                                                                \
	do {                                                                                                           \
		if (!failure) {                                                                                        \
			failure = what;                                                                                \
			snprintf(detail, sizeof detail, __VA_ARGS__);                                                  \
		}                                                                                                      \
	} while (0)

static uint64_t below(uint64_t n)
{
	return sim_random(&rng) % n;
}

static void fill(uint8_t *bytes, uint32_t len, uint64_t id)
{
	uint64_t state = id;
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i % 8 ? state >> i % 8 * 8 : sim_random(&state));
}

static void on_durable(void *ctx, uint64_t lsn)
{
	struct run *run = ctx;
	run->durable = lsn;
}

static void on_nothing(void *ctx)
{
	(void)ctx;
}

static void on_failed(void *ctx, int error)
{
	(void)ctx;
	FAIL("journal failed on a healthy disk", "error %d", error);
}

static bool open_journal(struct run *run)
{
	struct journal_options options = {
		.disk = sim_disk_ops(run->sim),
		.loop = run->loop,
		.segment_bytes = SEGMENT,
		.max_bytes = 3 * SEGMENT,
		.manual = true,
		.max_sequences = STREAMS,
		.max_keys = KEYS,
		.on_durable = on_durable,
		.on_room = on_nothing,
		.on_failed = on_failed,
		.ctx = run,
	};
	sim_disk_ignore_sync(run->sim, control == CONTROL_NO_SYNC || control == CONTROL_NO_RECOVERY_SYNC);
	sim_disk_ignore_sync_below(run->sim, control == CONTROL_NO_OVERFLOW_SYNC ? "outbox/" : NULL);
	int r = journal_open(&options, &run->j);
	sim_disk_ignore_sync(run->sim, control == CONTROL_NO_SYNC);
	if (r < 0) {
		FAIL("journal_open failed", "error %d", r);
		return false;
	}
	char name[16];
	for (unsigned d = 0; d < DESTS; d++) {
		snprintf(name, sizeof name, "dest%u", d);
		run->dest[d] = journal_destination(run->j, name);
	}
	for (unsigned s = 0; s < SOURCES; s++) {
		snprintf(name, sizeof name, "source%u", s);
		run->source[s] = journal_source(run->j, name);
	}
	run->durable = journal_durable_lsn(run->j);
	return true;
}

/* --- the workload ------------------------------------------------------------------------------------------------- */

static uint64_t value_blob(uint8_t *out, uint64_t value)
{
	memcpy(out, &value, sizeof value);
	return sizeof value;
}

static void name_stream(uint16_t stream, uint8_t ret_name[JOURNAL_STREAM_LEN])
{
	memset(ret_name, 's', JOURNAL_STREAM_LEN);
	memcpy(ret_name, &stream, sizeof stream);
}

static void name_topic(uint16_t topic, char ret_name[8])
{
	snprintf(ret_name, 8, "t/%u", topic % 1000u);
}

/* 0: none any more. */
static size_t encode_value(uint16_t topic, uint64_t value, uint8_t ret_bytes[BLOB_LEN])
{
	char name[8];
	name_topic(topic, name);
	struct message_view view = {.topic = slice_str(name), .order_key = slice_str(name)};
	if (value)
		view.payload = slice_of((const uint8_t *)&value, sizeof value);
	message_encode(&view, ret_bytes);
	return message_encoded_size(&view);
}

static struct journal_change random_change(struct run *run, struct set *set, uint8_t *blob)
{
	struct journal_change change = {.source = (uint32_t)run->source[below(SOURCES)]};
	set->value = below(1000) + 1;
	switch (below(9)) {
	case 0:
		change.type = JOURNAL_OPEN;
		change.id = (uint16_t)(1 + below(IDS - 1));
		change.hash = set->value;
		break;
	case 1:
		change.type = JOURNAL_REL;
		change.id = (uint16_t)(1 + below(IDS - 1));
		break;
	case 2:
		change.type = JOURNAL_SESSION_RESET;
		break;
	case 3:
		change.type = JOURNAL_SUBSCRIPTIONS;
		change.blob = slice_of(blob, value_blob(blob, set->value));
		break;
	case 4:
		change.type = JOURNAL_POSITION;
		change.position = set->value;
		change.id = (uint16_t)below(PARTITIONS); /* for the model only */
		blob[0] = (uint8_t)('a' + change.id);
		change.blob = slice_of(blob, 1);
		break;
	case 5:
		change.type = JOURNAL_SEQUENCE;
		change.id = (uint16_t)below(STREAMS); /* for the model only */
		name_stream(change.id, blob);
		change.blob = slice_of(blob, JOURNAL_STREAM_LEN);
		if (!journal_sequence(run->j, blob, &change.position))
			FAIL("no room for a stream", "stream %u", change.id);
		set->value = ++change.position;
		break;
	case 7:
		change.type = JOURNAL_VALUE;
		change.dest = (uint32_t)run->dest[below(DESTS)];
		change.id = (uint16_t)below(TOPICS); /* for the model only */
		set->value = below(5) ? set->value : 0;
		change.blob = slice_of(blob, encode_value(change.id, set->value, blob));
		break;
	case 6:
		change.type = JOURNAL_KEY;
		change.id = (uint16_t)below(KEYS); /* for the model only */
		change.hash = set->value;
		change.position = loop_wall_ms(run->loop) + KEY_TTL_MS;
		name_stream(change.id, blob);
		change.blob = slice_of(blob, JOURNAL_KEY_LEN);
		break;
	default: {
		unsigned d = (unsigned)below(DESTS);
		uint64_t seq = run->model->next_seq[d] > 1 ? 1 + below(run->model->next_seq[d] - 1) : 0;
		if (!seq || run->model->records[d][seq].may_be_done)
			return (struct journal_change){0};
		change.type = JOURNAL_STAGE;
		change.dest = (uint32_t)run->dest[d];
		change.seq = seq;
		change.stage = (uint8_t)(1 + below(3));
		break;
	}
	}
	return change;
}

static void do_append(struct run *run)
{
	static uint8_t payloads[3][70000];
	struct model *m = run->model;
	struct journal_entry entries[3];
	struct message_view views[3];
	uint64_t ids[3];
	uint8_t blob[BLOB_LEN];
	struct set *set = &m->sets[m->n_sets];
	if (m->n_sets + 1 >= MAX_SETS)
		return;
	*set = (struct set){0};
	unsigned n = (unsigned)below(4);
	for (unsigned i = 0; i < n; i++) {
		if (m->next_seq[i] + 1 >= MAX_SEQ)
			return;
		uint32_t len = (uint32_t)(below(40) == 0 ? below(sizeof payloads[0]) : below(large ? 12000 : 900));
		ids[i] = ++m->next_id;
		fill(payloads[i], len, ids[i]);
		views[i] = (struct message_view){
			.topic = slice_str("t"), .order_key = slice_str("k"), .payload = slice_of(payloads[i], len)};
		entries[i] = (struct journal_entry){.dest = (uint32_t)run->dest[i], .view = &views[i]};
	}
	set->change = below(2) || !n ? random_change(run, set, blob) : (struct journal_change){0};
	if (!n && !set->change.type)
		return;
	int r = journal_append(run->j, entries, n, &set->change, set->change.type ? 1 : 0, &set->lsn);
	if (r == -ENOSPC) /* no spare segment is ready: the workload steps on */
		return;
	if (r < 0) {
		FAIL("append failed", "error %d", r);
		return;
	}
	set->change.blob = (struct slice){NULL, 0};
	set->n_entries = n;
	for (unsigned i = 0; i < n; i++) {
		if (entries[i].seq != m->next_seq[i])
			FAIL("seq given twice or left out", "dest %u seq %llu, expected %llu", i,
				(unsigned long long)entries[i].seq, (unsigned long long)m->next_seq[i]);
		m->records[i][m->next_seq[i]++] = (struct record){.id = ids[i],
			.len = (uint32_t)views[i].payload.len,
			.bytes = entries[i].bytes,
			.set = m->n_sets};
	}
	m->n_sets++;
}

static void on_dead(int error, void *arg)
{
	struct record *rec = arg;
	if (error == 0 && !dying)
		rec->must_be_done = true;
}

static enum journal_total why_of(uint64_t seq, const struct record *rec)
{
	static const enum journal_total ends[] = {
		JOURNAL_DELIVERED, JOURNAL_EXPIRED, JOURNAL_DROPPED_OLDEST, JOURNAL_PURGED};
	return rec->dead ? JOURNAL_DEAD_LETTERED : ends[seq % 4];
}

static void do_finish(struct run *run, bool dead)
{
	struct model *m = run->model;
	unsigned d = (unsigned)below(DESTS);
	if (m->next_seq[d] <= 1)
		return;
	/* Only what is durable has been sent, only that can have an outcome. */
	uint64_t seq = 1 + below(m->next_seq[d] - 1);
	for (unsigned tries = 0; tries < 20 && m->records[d][seq].may_be_done; tries++)
		seq = 1 + below(m->next_seq[d] - 1);
	struct record *rec = &m->records[d][seq];
	if (rec->may_be_done || seq >= m->safe_seq[d])
		return;
	rec->may_be_done = true;
	if (!dead) {
		journal_finish(run->j, (uint32_t)run->dest[d], seq, rec->bytes, why_of(seq, rec));
		return;
	}
	rec->dead = true;
	static uint8_t payload[70000];
	fill(payload, rec->len, rec->id);
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("k"), .payload = slice_of(payload, rec->len)};
	struct message *msg = message_new(&view);
	struct journal_letter letter = {.dest = (uint32_t)run->dest[d],
		.seq = seq,
		.bytes = rec->bytes,
		.msg = msg,
		.reason = "refused",
		.attempts = 1};
	journal_dead_letter(run->j, &letter, on_dead, rec);
	message_unref(msg);
}

static void do_flush(struct run *run)
{
	uint64_t lsn;
	if (journal_flush_done(run->j, &lsn) < 0)
		return;
	for (unsigned d = 0; d < DESTS; d++)
		for (uint64_t seq = 1; seq < run->model->next_seq[d]; seq++) {
			struct record *rec = &run->model->records[d][seq];
			if (rec->may_be_done && !rec->done_lsn && journal_is_done(run->j, (uint32_t)run->dest[d], seq))
				rec->done_lsn = lsn;
		}
}

/* What has become durable must survive from now on. */
static void note_durable(struct run *run)
{
	struct model *m = run->model;
	loop_sim_advance(run->loop, 0);
	while (m->safe_sets < m->n_sets && m->sets[m->safe_sets].lsn <= run->durable)
		m->safe_sets++;
	for (unsigned d = 0; d < DESTS; d++) {
		while (m->safe_seq[d] < m->next_seq[d] && m->records[d][m->safe_seq[d]].set < m->safe_sets)
			m->safe_seq[d]++;
		for (uint64_t seq = 1; seq < m->next_seq[d]; seq++)
			if (m->records[d][seq].done_lsn && m->records[d][seq].done_lsn <= run->durable)
				m->records[d][seq].must_be_done = true;
	}
}

static void work(struct run *run, unsigned steps)
{
	for (unsigned i = 0; i < steps && !failure; i++) {
		uint64_t dice = below(100);
		if (dice < 45)
			do_append(run);
		else if (dice < 75)
			journal_step(run->j);
		else if (dice < 90)
			do_finish(run, false);
		else if (dice < 92)
			do_finish(run, true);
		else if (dice < 95)
			do_flush(run);
		else
			loop_sim_advance(run->loop, 1100); /* the DONE timer */
		note_durable(run);
	}
}

/* --- the check ------------------------------------------------------------------------------------------------------ */

static void apply(struct state *state, const struct run *run, const struct set *set)
{
	const struct journal_change *change = &set->change;
	unsigned s = 0, d = 0;
	while (s + 1 < SOURCES && (uint32_t)run->source[s] != change->source)
		s++;
	while (d + 1 < DESTS && (uint32_t)run->dest[d] != change->dest)
		d++;
	switch ((int)change->type) {
	case JOURNAL_OPEN:
		state->open[s][change->id] = set->value;
		break;
	case JOURNAL_REL:
		state->open[s][change->id] = 0;
		break;
	case JOURNAL_SESSION_RESET:
		memset(state->open[s], 0, sizeof state->open[s]);
		state->subscriptions[s] = 0;
		break;
	case JOURNAL_SUBSCRIPTIONS:
		state->subscriptions[s] = set->value;
		break;
	case JOURNAL_POSITION:
		state->position[s][change->id] = set->value;
		break;
	case JOURNAL_STAGE:
		state->stages[d][change->seq] = change->stage;
		break;
	case JOURNAL_SEQUENCE:
		state->sequence[change->id] = set->value;
		break;
	case JOURNAL_KEY:
		state->key[change->id] = set->value;
		break;
	case JOURNAL_VALUE:
		state->last_value[d][change->id] = set->value;
		break;
	default:
		break;
	}
}

struct stage_reader {
	struct state *state;
	unsigned d;
};

static void read_stage(uint64_t seq, uint8_t stage, void *arg)
{
	struct stage_reader *reader = arg;
	if (seq < MAX_SEQ)
		reader->state->stages[reader->d][seq] = stage;
}

static void read_values(const struct run *run, unsigned d, uint64_t values[TOPICS])
{
	for (uint16_t i = 0; i < TOPICS; i++) {
		char name[8];
		name_topic(i, name);
		struct message *msg = journal_value(run->j, (uint32_t)run->dest[d], slice_str(name));
		if (msg && message_view(msg)->payload.len == sizeof values[i])
			memcpy(&values[i], message_view(msg)->payload.data, sizeof values[i]);
	}
}

static void read_state(const struct run *run, struct state *state)
{
	memset(state, 0, sizeof *state);
	for (unsigned s = 0; s < SOURCES; s++) {
		uint32_t source = (uint32_t)run->source[s];
		for (uint16_t id = 1; id < IDS; id++)
			if (!journal_id_open(run->j, source, id, &state->open[s][id]))
				state->open[s][id] = 0;
		for (unsigned p = 0; p < PARTITIONS; p++) {
			uint8_t name = (uint8_t)('a' + p);
			uint64_t position;
			if (journal_position(run->j, source, slice_of(&name, 1), &position))
				state->position[s][p] = position;
		}
		struct slice blob = journal_subscriptions(run->j, source);
		if (blob.len == sizeof(uint64_t))
			memcpy(&state->subscriptions[s], blob.data, sizeof(uint64_t));
	}
	for (unsigned d = 0; d < DESTS; d++) {
		struct stage_reader reader = {state, d};
		journal_stages(run->j, (uint32_t)run->dest[d], read_stage, &reader);
	}
	for (uint16_t i = 0; i < STREAMS; i++) {
		uint8_t name[JOURNAL_STREAM_LEN];
		name_stream(i, name);
		journal_sequence(run->j, name, &state->sequence[i]);
	}
	for (uint16_t i = 0; i < KEYS; i++) {
		uint8_t name[JOURNAL_KEY_LEN];
		uint64_t lsn;
		name_stream(i, name);
		if (!journal_key(run->j, name, &state->key[i], &lsn))
			state->key[i] = 0;
	}
	for (unsigned d = 0; d < DESTS; d++)
		read_values(run, d, state->last_value[d]);
}

/* Stages of what is done are of no interest to anybody: the journal may have forgotten them. */
static bool states_equal(const struct run *run, const struct state *a, const struct state *b, const struct model *m)
{
	if (memcmp(a->open, b->open, sizeof a->open) || memcmp(a->position, b->position, sizeof a->position) ||
		memcmp(a->subscriptions, b->subscriptions, sizeof a->subscriptions) ||
		memcmp(a->sequence, b->sequence, sizeof a->sequence) || memcmp(a->key, b->key, sizeof a->key) ||
		memcmp(a->last_value, b->last_value, sizeof a->last_value))
		return false;
	for (unsigned d = 0; d < DESTS; d++)
		for (uint64_t seq = 1; seq < m->next_seq[d]; seq++)
			if (a->stages[d][seq] != b->stages[d][seq] &&
				!journal_is_done(run->j, (uint32_t)run->dest[d], seq))
				return false;
	return true;
}

struct reading {
	const struct model *model;
	unsigned d;
	bool *seen;
	bool at_end, answered;
};

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct reading *reading = arg;
	static uint8_t wanted[70000];
	for (size_t i = 0; i < result->n_items; i++) {
		const struct journal_read *item = &result->items[i];
		const struct message_view *view = message_view(item->msg);
		if (item->seq >= MAX_SEQ || item->seq >= reading->model->next_seq[reading->d]) {
			FAIL("a message that was never appended", "dest %u seq %llu", reading->d,
				(unsigned long long)item->seq);
		} else {
			const struct record *rec = &reading->model->records[reading->d][item->seq];
			fill(wanted, rec->len, rec->id);
			if (!slice_equal(view->payload, slice_of(wanted, rec->len)))
				FAIL("wrong bytes", "dest %u seq %llu", reading->d, (unsigned long long)item->seq);
			if (item->bytes != rec->bytes)
				FAIL("wrong size", "dest %u seq %llu", reading->d, (unsigned long long)item->seq);
			reading->seen[item->seq] = true;
		}
		message_unref(item->msg);
	}
	reading->at_end = result->at_end;
	reading->answered = true;
}

static void read_back(struct run *run, unsigned d, bool *seen)
{
	struct reading reading = {.model = run->model, .d = d, .seen = seen};
	struct journal_reader *reader = journal_reader_new(run->j, (uint32_t)run->dest[d], 1, on_read, &reading);
	for (unsigned rounds = 0; !reading.at_end && rounds < 100000 && !failure; rounds++) {
		reading.answered = false;
		journal_reader_request(reader, 1 + below(300), 1 << 18);
		for (unsigned steps = 0; !reading.answered && steps < 1000; steps++) {
			journal_step(run->j);
			loop_sim_advance(run->loop, 0);
		}
		if (!reading.answered)
			FAIL("the reader never answered", "dest %u", d);
	}
	journal_reader_free(reader);
}

/* Which sets survived: the first ret_sets. Checks that it is all or nothing and a prefix. */
static void check_sets(struct run *run, const uint64_t *next_seq, uint32_t *ret_least, uint32_t *ret_most)
{
	const struct model *m = run->model;
	uint32_t least = m->safe_sets, most = m->n_sets;
	for (unsigned d = 0; d < DESTS; d++) {
		if (next_seq[d] < m->safe_seq[d])
			FAIL("a durable message is lost", "dest %u seq %llu of %llu", d,
				(unsigned long long)next_seq[d], (unsigned long long)m->safe_seq[d]);
		if (next_seq[d] > m->next_seq[d])
			FAIL("messages out of nothing", "dest %u", d);
		for (uint64_t seq = 1; seq < m->next_seq[d]; seq++) {
			uint32_t set = m->records[d][seq].set;
			if (seq < next_seq[d] && seq >= m->safe_seq[d] && set + 1 > least)
				least = set + 1;
			if (seq >= next_seq[d] && set < most)
				most = set;
		}
	}
	if (least > most)
		FAIL("a set survived in part, or without the one before it", "sets %u and %u", least, most);
	*ret_least = least;
	*ret_most = most;
}

/* What is done, and nothing else, is counted, each for its reason. */
static void check_totals(struct run *run, unsigned d, uint64_t next_seq)
{
	uint64_t counts[JOURNAL_N_TOTALS] = {0};
	struct journal_outbox box = journal_outbox(run->j, (uint32_t)run->dest[d]);
	for (uint64_t seq = 1; seq < next_seq; seq++)
		if (journal_is_done(run->j, (uint32_t)run->dest[d], seq))
			counts[why_of(seq, &run->model->records[d][seq])]++;
	for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
		if (counts[i] != box.totals[i])
			FAIL("a total is wrong", "dest %u: %s %llu, not %llu", d,
				journal_total_name((enum journal_total)i), (unsigned long long)box.totals[i],
				(unsigned long long)counts[i]);
}

static void check_records(struct run *run, const uint64_t *next_seq)
{
	static bool seen[MAX_SEQ];
	const struct model *m = run->model;
	for (unsigned d = 0; d < DESTS && !failure; d++) {
		memset(seen, 0, sizeof seen);
		read_back(run, d, seen);
		for (uint64_t seq = 1; seq < next_seq[d] && !failure; seq++) {
			const struct record *rec = &m->records[d][seq];
			bool done = journal_is_done(run->j, (uint32_t)run->dest[d], seq);
			if (done && !rec->may_be_done)
				FAIL("a message is forgotten", "dest %u seq %llu", d, (unsigned long long)seq);
			if (!done && rec->must_be_done)
				FAIL("a durable DONE is forgotten", "dest %u seq %llu", d, (unsigned long long)seq);
			if (!done && !seen[seq])
				FAIL("a message cannot be read back", "dest %u seq %llu", d, (unsigned long long)seq);
		}
		check_totals(run, d, next_seq[d]);
	}
}

/* What the recovered journal holds is the truth from now on: it has been handed out. */
static void adopt(struct run *run, const uint64_t *next_seq, const struct state *state)
{
	struct model *m = run->model;
	m->base = *state;
	m->n_sets = m->safe_sets = 0;
	for (unsigned d = 0; d < DESTS; d++) {
		m->next_seq[d] = m->safe_seq[d] = next_seq[d];
		for (uint64_t seq = 1; seq < next_seq[d]; seq++) {
			struct record *rec = &m->records[d][seq];
			rec->set = 0;
			rec->done_lsn = 0;
			rec->may_be_done = journal_is_done(run->j, (uint32_t)run->dest[d], seq);
			/* It may have been read from a page cache that a later power cut empties: a DONE is a promise
			 * to nobody until it is synced, but recovery has synced what it accepted. */
			rec->must_be_done = rec->may_be_done;
			rec->dead &= rec->may_be_done;
		}
	}
}

static void check(struct run *run, bool keep)
{
	static struct state found, expected;
	uint64_t next_seq[DESTS];
	uint32_t least, most;
	struct model *m = run->model;
	for (unsigned d = 0; d < DESTS; d++)
		next_seq[d] = journal_outbox(run->j, (uint32_t)run->dest[d]).next_seq;
	check_sets(run, next_seq, &least, &most);
	if (failure)
		return;
	check_records(run, next_seq);
	read_state(run, &found);
	expected = m->base;
	bool equal = false;
	for (uint32_t i = 0; i <= most && !equal; i++) {
		equal = i >= least && states_equal(run, &expected, &found, m);
		if (i < most && !equal)
			apply(&expected, run, &m->sets[i]);
	}
	if (!equal)
		FAIL("the state is not that of the surviving sets", "sets %u to %u", least, most);
	if (keep && !failure)
		adopt(run, next_seq, &found);
	states++;
}

/* Opens a journal on what one power cut leaves, and looks. */
static void check_state(const struct run *run, enum sim_loss loss)
{
	struct run after = {.sim = sim_disk_power_loss(run->sim, loss, &rng), .model = run->model};
	after.loop = loop_new_simulated(1700000000000);
	if (open_journal(&after)) {
		check(&after, false);
		journal_close(after.j);
	}
	loop_free(after.loop);
	sim_disk_free(after.sim);
}

static void check_states(const struct run *run, unsigned n)
{
	check_state(run, SIM_KEEP_ALL);
	check_state(run, SIM_KEEP_NONE);
	for (unsigned i = 0; i < n && !failure; i++)
		check_state(run, SIM_KEEP_SOME);
}

/* The machine or the process dies; the run goes on with what is left. */
static void crash(struct run *run)
{
	bool power = below(2);
	struct sim_disk *left =
		power ? sim_disk_power_loss(run->sim, (enum sim_loss)below(3), &rng) : sim_disk_fork(run->sim);
	dying = true;
	journal_close(run->j); /* on the old disk, which is thrown away */
	loop_free(run->loop);
	dying = false;
	sim_disk_free(run->sim);
	run->sim = left;
	run->loop = loop_new_simulated(1700000000000);
	run->j = NULL;
	if (open_journal(run))
		check(run, true);
}

static void run_seed(unsigned long wanted)
{
	static struct model model;
	large = below(3) == 0;
	memset(&model, 0, sizeof model);
	for (unsigned d = 0; d < DESTS; d++)
		model.next_seq[d] = model.safe_seq[d] = 1;
	struct run run = {.sim = sim_disk_new(), .loop = loop_new_simulated(1700000000000), .model = &model};
	if (!open_journal(&run))
		return;
	for (unsigned round = 0; round < 12 && !failure && states < wanted; round++) {
		work(&run, 20 + (unsigned)below(150));
		check_states(&run, 8);
		crash(&run);
		if (!failure)
			check_states(&run, 3); /* right after a recovery */
	}
	if (run.j)
		journal_close(run.j);
	loop_free(run.loop);
	sim_disk_free(run.sim);
}

/* Power loss is no damage. */
static void watch(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	if (control == CONTROL_SYNC && !dying && strstr(line, "event=journal_damage"))
		FAIL("damage is reported", "%.200s", line);
}

static void campaign(enum control mode, unsigned long wanted, uint64_t seed)
{
	control = mode;
	states = 0;
	failure = NULL;
	while (states < wanted && !failure) {
		rng = seed;
		run_seed(wanted);
		if (!failure)
			seed++;
	}
	if (failure)
		printf("# %s: %s (seed %llu, state %lu)\n", failure, detail, (unsigned long long)seed, states);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		[CONTROL_SYNC] = "every fdatasync in place",
		[CONTROL_NO_SYNC] = "without any fdatasync it is noticed",
		[CONTROL_NO_RECOVERY_SYNC] = "without the fdatasync of recovery it is noticed",
		[CONTROL_NO_OVERFLOW_SYNC] = "without the fdatasync of the overflow logs it is noticed",
	};
	unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	int failures = 0;
	if (!getenv("POWERLOSS_LOG"))
		log_set_sink(watch, NULL);
	for (int mode = CONTROL_SYNC; mode <= CONTROL_NO_OVERFLOW_SYNC; mode++) {
		campaign((enum control)mode, wanted, seed);
		bool good = mode == CONTROL_SYNC ? !failure : failure != NULL;
		failures += !good;
		printf("%sok %d - power loss: %s (%lu states)\n", good ? "" : "not ", mode + 1, names[mode], states);
		fflush(stdout);
	}
	printf("1..4\n");
	return failures;
}
