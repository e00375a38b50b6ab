/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of messages is counted for ever and exactly: over restarts, crashes, rotations and damage. */
#include <stdlib.h>
#include <string.h>

#include "journal/state.h"
#include "message/endian.h"
#include "tests/unit/journal/rig.h"

/* What is in memory, and what of it is durable. */
struct model {
	uint64_t offered, totals[JOURNAL_N_TOTALS];
};

static uint64_t ended(const struct journal_outbox *box)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
		sum += i == JOURNAL_DROPPED_NEWEST ? 0 : box->totals[i];
	return sum;
}

static struct journal_outbox check(struct rig *rig)
{
	struct journal_outbox box = journal_outbox(rig->j, (uint32_t)rig->dest);
	CU_ASSERT_EQUAL(box.next_seq - 1, box.waiting + ended(&box));
	return box;
}

static void compare(struct rig *rig, const struct model *model)
{
	struct journal_outbox box = check(rig);
	CU_ASSERT_EQUAL(memcmp(box.totals, model->totals, sizeof model->totals), 0);
	CU_ASSERT_EQUAL(box.next_seq - 1 + box.totals[JOURNAL_DROPPED_NEWEST], model->offered);
}

static struct journal_change change_of(const struct rig *rig, enum journal_change_type type, uint64_t seq)
{
	return (struct journal_change){.type = type,
		.dest = (uint32_t)rig->dest,
		.seq = seq,
		.bytes = type == JOURNAL_DROPPED ? 1000 : 0,
		.count = type == JOURNAL_DROPPED ? 2 : 0,
		.blob = slice_str(type == JOURNAL_DEAD ? "rejected" : "")};
}

static void finish_one(struct rig *rig, struct model *model, uint64_t *random)
{
	struct journal_outbox box = journal_outbox(rig->j, (uint32_t)rig->dest);
	if (box.waiting == 0)
		return;
	uint64_t seq = box.oldest_undone + sim_random(random) % (box.next_seq - box.oldest_undone);
	while (journal_is_done(rig->j, (uint32_t)rig->dest, seq))
		seq = seq + 1 < box.next_seq ? seq + 1 : box.oldest_undone;
	enum journal_total why = (enum journal_total)(sim_random(random) % JOURNAL_N_TOTALS);
	if (why == JOURNAL_DROPPED_NEWEST)
		return;
	model->totals[why]++;
	if (why == JOURNAL_DEAD_LETTERED || (why == JOURNAL_DELIVERED && sim_random(random) % 2)) {
		enum journal_change_type type = why == JOURNAL_DELIVERED ? JOURNAL_FINISHED : JOURNAL_DEAD;
		CU_ASSERT_EQUAL_FATAL(rig_change(rig, change_of(rig, type, seq)), 0);
		return;
	}
	journal_finish(rig->j, (uint32_t)rig->dest, seq, 1, why);
}

static void one_step(struct rig *rig, struct model *model, uint64_t *random)
{
	static char text[3000];
	memset(text, 'x', sizeof text - 1);
	uint64_t what = sim_random(random) % 20;
	if (what < 8) {
		CU_ASSERT_EQUAL_FATAL(rig_append(rig, text + sim_random(random) % 2900, NULL), 0);
		model->offered++;
	} else if (what < 17) {
		finish_one(rig, model, random);
	} else if (what < 18) {
		CU_ASSERT_EQUAL_FATAL(rig_change(rig, change_of(rig, JOURNAL_DROPPED, 0)), 0);
		model->offered += 2;
		model->totals[JOURNAL_DROPPED_NEWEST] += 2;
	} else {
		rig_run(rig);
	}
}

/* Everything so far is durable. */
static void settle(struct rig *rig)
{
	uint64_t lsn;
	CU_ASSERT_EQUAL(journal_flush_done(rig->j, &lsn), 0);
	rig_run(rig);
}

/* Crashes lose what was not durable and no more; with segments of 1 MiB there are rotations between. */
static void test_restarts(void)
{
	struct rig rig;
	struct model model = {0}, durable = {0};
	uint64_t random = 11;
	rig_init(&rig);
	rig_open(&rig);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 150; i++)
			one_step(&rig, &model, &random);
		compare(&rig, &model);
		settle(&rig);
		durable = model;
		if (round % 3 == 0) {
			for (unsigned i = 0; i < 5; i++)
				if (sim_random(&random) % 2)
					finish_one(&rig, &model, &random);
			rig_crash(&rig);
			/* What the last finishes became is on disk with a frame that rode along, or is not. */
			rig_open(&rig);
			struct journal_outbox box = check(&rig);
			for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
				CU_ASSERT(box.totals[i] >= durable.totals[i] && box.totals[i] <= model.totals[i]);
			memcpy(model.totals, box.totals, sizeof model.totals);
		} else if (round % 3 == 1) {
			rig_close(&rig);
			rig_open(&rig);
		}
		compare(&rig, &model);
	}
	rig_fini(&rig);
}

/* A drop is there exactly when the rest of its set is. */
static void test_drop_is_atomic(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	struct message_view view = {.topic = slice_str("a"), .order_key = slice_str("a")};
	struct journal_entry entry = {.dest = (uint32_t)rig.dest, .view = &view};
	struct journal_change changes[] = {
		{.type = JOURNAL_OPEN, .source = (uint32_t)rig.source, .id = 7, .hash = 70},
		change_of(&rig, JOURNAL_DROPPED, 0),
	};
	uint64_t lsn, hash;
	CU_ASSERT_EQUAL(journal_append(rig.j, &entry, 1, changes, 2, &lsn), 0);
	rig_run(&rig);
	changes[0].id = 8;
	CU_ASSERT_EQUAL(journal_append(rig.j, &entry, 1, changes, 2, &lsn), 0);
	struct sim_disk *image = sim_disk_fork(rig.sim); /* the second never became durable */
	rig_close(&rig);
	sim_disk_free(rig.sim);
	rig.sim = image;
	rig_open(&rig);
	CU_ASSERT_EQUAL(check(&rig).totals[JOURNAL_DROPPED_NEWEST], 2);
	CU_ASSERT(journal_id_open(rig.j, (uint32_t)rig.source, 7, &hash));
	CU_ASSERT_FALSE(journal_id_open(rig.j, (uint32_t)rig.source, 8, &hash));
	rig_fini(&rig);
}

/* A message in a damaged group is LOST, found at recovery or by the reader. */
static void test_damage(void)
{
	for (unsigned late = 0; late < 2; late++) {
		struct rig rig;
		rig_init(&rig);
		rig_open(&rig);
		rig_append(&rig, "before", NULL);
		rig_append(&rig, "the needle", NULL);
		rig_append(&rig, "behind", NULL);
		rig_run(&rig);
		rig_append(&rig, "next group", NULL);
		rig_run(&rig);
		char path[300];
		uint64_t offset;
		CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
		if (!late)
			rig_crash(&rig);
		sim_disk_flip(rig.sim, path, offset, 4);
		if (!late)
			rig_open(&rig);
		struct rig_read *read = rig_read_all(&rig, rig.dest, 1);
		CU_ASSERT_EQUAL(read->n, 3);
		rig_read_free(read);
		CU_ASSERT_EQUAL(check(&rig).totals[JOURNAL_LOST], 1);
		settle(&rig);
		rig_crash(&rig);
		rig_open(&rig);
		CU_ASSERT_EQUAL(check(&rig).totals[JOURNAL_LOST], 1);
		rig_fini(&rig);
	}
}

/* A whole group is gone, and nobody knows what was in it: the seqs that are left out are LOST too. */
static void test_seqs_left_out(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "before", NULL);
	rig_run(&rig);
	rig_append(&rig, "the needle", NULL);
	rig_run(&rig);
	CU_ASSERT_EQUAL(
		rig_change(&rig, (struct journal_change){JOURNAL_OPEN, .source = (uint32_t)rig.source, .id = 1}), 0);
	rig_run(&rig);
	char path[300];
	uint64_t offset;
	CU_ASSERT_FATAL(rig_find(&rig, "the needle", path, &offset));
	rig_crash(&rig);
	for (uint64_t at = offset / 4096 * 4096; at < offset + 40; at++)
		sim_disk_flip(rig.sim, path, at, 3);
	rig_open(&rig);
	struct journal_outbox box = check(&rig);
	CU_ASSERT(box.next_seq > 2);
	CU_ASSERT_EQUAL(box.waiting, 1);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_LOST], box.next_seq - 2);
	rig_close(&rig);
	rig_open(&rig);
	CU_ASSERT_EQUAL(check(&rig).totals[JOURNAL_LOST], box.totals[JOURNAL_LOST]);
	rig_fini(&rig);
}

static void test_dropped_destination(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_open(&rig);
	rig_append(&rig, "one", NULL);
	journal_finish(rig.j, (uint32_t)rig.dest, 1, 1, JOURNAL_EXPIRED);
	CU_ASSERT_EQUAL(journal_drop_destination(rig.j, (uint32_t)rig.dest), 0);
	rig_close(&rig);
	rig_open(&rig); /* the same name again is a new destination */
	struct journal_outbox box = check(&rig);
	CU_ASSERT_EQUAL(box.next_seq, 1);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_EXPIRED], 0);
	rig_fini(&rig);
}

/* --- CHECKPOINTs of other versions ------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *out, const struct frame *record)
{
	frame_encode(record, out);
	return out + frame_size(record);
}

/* A destination with ten seqs given of which three wait; totals: how many the TOTALS record has, -1: none. */
static void apply_checkpoint(struct state *state, int totals)
{
	static const uint64_t values[12] = {4, 1, 1, 9, 1, 0, 0, 0};
	uint8_t body[500], uuid[JOURNAL_UUID_LEN] = {1}, numbers[12 * 8];
	uint8_t *at = put(body, &(struct frame){.type = FRAME_BASE, .dest = 1});
	at = put(at, &(struct frame){
			     .type = FRAME_REGISTER, .name = slice_str("lake"), .uuid = slice_of(uuid, sizeof uuid)});
	at = put(at, &(struct frame){.type = FRAME_OUTBOX, .seq = 11, .last = 8, .count = 3, .bytes = 300});
	for (int i = 0; i < totals; i++)
		put_u64(numbers + i * 8, values[i]);
	if (totals >= 0)
		at = put(at, &(struct frame){.type = FRAME_TOTALS, .body = slice_of(numbers, (size_t)totals * 8)});
	struct frame checkpoint = {.type = FRAME_CHECKPOINT, .body = slice_of(body, (size_t)(at - body))};
	state_init(state);
	CU_ASSERT_EQUAL_FATAL(state_apply(state, &checkpoint), 0);
}

static void check_checkpoint(int totals, uint64_t delivered, uint64_t expired, uint64_t newest, uint64_t dead)
{
	struct state state;
	apply_checkpoint(&state, totals);
	const uint64_t *box = state_dest(&state, 0)->totals;
	CU_ASSERT_EQUAL(box[JOURNAL_DELIVERED], delivered);
	CU_ASSERT_EQUAL(box[JOURNAL_EXPIRED], expired);
	CU_ASSERT_EQUAL(box[JOURNAL_DROPPED_NEWEST], newest);
	CU_ASSERT_EQUAL(box[JOURNAL_DEAD_LETTERED], dead);
	state_fini(&state);
}

static void test_other_versions(void)
{
	check_checkpoint(-1, 7, 0, 0, 0);
	check_checkpoint(0, 7, 0, 0, 0);
	check_checkpoint(JOURNAL_N_TOTALS, 4, 1, 9, 1);
	check_checkpoint(2, 6, 1, 0, 0);
	check_checkpoint(12, 4, 1, 9, 1);
}

/* A DONE from before reasons were written, and one with a reason that we do not know. */
static void test_done_frames(void)
{
	struct state state;
	uint8_t range[16];
	put_u64(range, 8);
	put_u64(range + 8, 8);
	struct frame done = {.type = FRAME_DONE, .body = slice_of(range, sizeof range)};
	apply_checkpoint(&state, JOURNAL_N_TOTALS);
	CU_ASSERT_EQUAL(state_apply(&state, &done), 0);
	CU_ASSERT_EQUAL(state_apply(&state, &done), 0); /* counted once */
	put_u64(range, 9);
	put_u64(range + 8, 9);
	done.stage = 200;
	CU_ASSERT_EQUAL(state_apply(&state, &done), 0);
	put_u64(range, 10);
	put_u64(range + 8, 10);
	done.stage = JOURNAL_PURGED;
	CU_ASSERT_EQUAL(state_apply(&state, &done), 0);
	const struct state_dest *box = state_dest(&state, 0);
	CU_ASSERT_EQUAL(box->waiting, 0);
	CU_ASSERT_EQUAL(box->totals[JOURNAL_DELIVERED], 6);
	CU_ASSERT_EQUAL(box->totals[JOURNAL_PURGED], 1);
	state_fini(&state);
}

static const struct tap_test tests[] = {
	{"exact over restarts, crashes and rotations", test_restarts},
	{"a drop is durable with its set", test_drop_is_atomic},
	{"damage counts as lost", test_damage},
	{"so do seqs that are left out", test_seqs_left_out},
	{"a dropped destination begins anew", test_dropped_destination},
	{"CHECKPOINTs with no, fewer and more totals", test_other_versions},
	{"DONEs without and with unknown reasons", test_done_frames},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal totals", tests);
}
