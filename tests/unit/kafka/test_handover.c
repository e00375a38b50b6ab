/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks between a thread and the loop: order, bounds, what wakes whom, what is taken back.
 */
#include <stdlib.h>
#include <unistd.h>

#include "connectors/kafka/handover.h"
#include "tests/unit/tap.h"

static unsigned posted;

static void on_job(void *arg)
{
	(void)arg;
	posted++;
}

struct rig {
	struct loop *loop;
	struct loop_job job;
	struct kafka_handover handover;
};

static void rig_init(struct rig *rig, uint64_t max_inputs, uint64_t max_bytes)
{
	posted = 0;
	rig->loop = loop_new_simulated(1);
	loop_job_init(&rig->job, on_job, NULL);
	CU_ASSERT_EQUAL_FATAL(kafka_handover_init(&rig->handover, rig->loop, &rig->job, max_inputs, max_bytes), 0);
}

static void rig_fini(struct rig *rig)
{
	kafka_handover_fini(&rig->handover);
	loop_free(rig->loop);
}

static struct kafka_chunk *chunk_of(unsigned n, size_t bytes, uint64_t first)
{
	struct kafka_chunk *chunk = calloc(1, sizeof *chunk);
	chunk->n = n;
	chunk->bytes = bytes;
	for (unsigned i = 0; i < n; i++)
		chunk->inputs[i].next = first + i;
	return chunk;
}

static void free_all(struct kafka_chunk *chunks)
{
	while (chunks) {
		struct kafka_chunk *next = chunks->link;
		free(chunks);
		chunks = next;
	}
}

static bool is_awake(struct kafka_handover *handover)
{
	uint64_t before = 0;
	return read(handover->wake_fd, &before, sizeof before) == sizeof before;
}

static void test_order_and_bounds(void)
{
	struct rig rig;
	rig_init(&rig, 10, 1000);
	CU_ASSERT_FALSE(kafka_handover_full(&rig.handover));
	kafka_handover_push(&rig.handover, chunk_of(4, 10, 0));
	kafka_handover_push(&rig.handover, chunk_of(6, 10, 4));
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(posted, 1);
	CU_ASSERT_TRUE(kafka_handover_full(&rig.handover));
	struct kafka_chunk *first = kafka_handover_pop(&rig.handover);
	CU_ASSERT_TRUE_FATAL(first && first->inputs[0].next == 0);
	CU_ASSERT_TRUE(kafka_handover_full(&rig.handover)); /* popped is not returned */
	kafka_handover_return(&rig.handover, first);
	CU_ASSERT_FALSE(is_awake(&rig.handover)); /* 6 of 10: not yet half empty */
	CU_ASSERT_TRUE(kafka_handover_full(&rig.handover));
	struct kafka_chunk *second = kafka_handover_pop(&rig.handover);
	CU_ASSERT_TRUE_FATAL(second && second->inputs[0].next == 4);
	CU_ASSERT_PTR_NULL(kafka_handover_pop(&rig.handover));
	kafka_handover_return(&rig.handover, second);
	CU_ASSERT_TRUE(is_awake(&rig.handover));
	CU_ASSERT_FALSE(kafka_handover_full(&rig.handover));
	struct kafka_chunk *spent = kafka_handover_spent(&rig.handover);
	CU_ASSERT_TRUE(spent && spent->link && !spent->link->link);
	CU_ASSERT_PTR_NULL(kafka_handover_spent(&rig.handover));
	free_all(spent);
	rig_fini(&rig);
}

/* One record may be larger than the bound: it goes alone. */
static void test_bytes(void)
{
	struct rig rig;
	rig_init(&rig, 1000, 100);
	kafka_handover_push(&rig.handover, chunk_of(1, 5000, 0));
	CU_ASSERT_TRUE(kafka_handover_full(&rig.handover));
	kafka_handover_return(&rig.handover, kafka_handover_pop(&rig.handover));
	CU_ASSERT_TRUE(is_awake(&rig.handover));
	CU_ASSERT_FALSE(kafka_handover_full(&rig.handover));
	free_all(kafka_handover_spent(&rig.handover));
	rig_fini(&rig);
}

static void test_take_all(void)
{
	struct rig rig;
	rig_init(&rig, 4, 1000);
	kafka_handover_push(&rig.handover, chunk_of(3, 10, 0));
	kafka_handover_push(&rig.handover, chunk_of(3, 10, 3));
	struct kafka_chunk *held = kafka_handover_pop(&rig.handover);
	struct kafka_chunk *taken = kafka_handover_take_all(&rig.handover);
	CU_ASSERT_TRUE(taken && taken->inputs[0].next == 3 && !taken->link);
	CU_ASSERT_PTR_NULL(kafka_handover_pop(&rig.handover));
	CU_ASSERT_FALSE(kafka_handover_full(&rig.handover)); /* what was taken no longer counts */
	kafka_handover_push(&rig.handover, chunk_of(1, 10, 6));
	CU_ASSERT_TRUE(kafka_handover_full(&rig.handover));
	kafka_handover_return(&rig.handover, held);
	free_all(kafka_handover_take_all(&rig.handover));
	free_all(kafka_handover_spent(&rig.handover));
	free_all(taken);
	rig_fini(&rig);
}

static void test_orders_and_news(void)
{
	struct rig rig;
	rig_init(&rig, 4, 1000);
	kafka_handover_order_commit(&rig.handover);
	CU_ASSERT_TRUE(is_awake(&rig.handover));
	CU_ASSERT_TRUE(kafka_handover_orders(&rig.handover).commit);
	CU_ASSERT_FALSE(kafka_handover_orders(&rig.handover).commit);
	kafka_handover_up(&rig.handover, "cluster");
	kafka_handover_alarm(&rig.handover, "wrong");
	kafka_handover_recall(&rig.handover);
	struct kafka_news news = kafka_handover_news(&rig.handover);
	CU_ASSERT_TRUE(news.up && news.recall && !news.ended);
	CU_ASSERT_STRING_EQUAL(news.cluster, "cluster");
	CU_ASSERT_STRING_EQUAL(news.alarm, "wrong");
	news = kafka_handover_news(&rig.handover);
	CU_ASSERT_FALSE(news.up || news.recall || news.alarm[0]);
	kafka_handover_answer(&rig.handover, false);
	struct kafka_orders orders = kafka_handover_orders(&rig.handover);
	CU_ASSERT_TRUE(orders.dropped && !orders.settled);
	kafka_handover_recall(&rig.handover); /* the answer to the last one does not count */
	CU_ASSERT_FALSE(kafka_handover_orders(&rig.handover).dropped);
	kafka_handover_lost(&rig.handover, "first");
	kafka_handover_lost(&rig.handover, "second");
	kafka_handover_ended(&rig.handover);
	news = kafka_handover_news(&rig.handover);
	CU_ASSERT_TRUE(news.ended);
	CU_ASSERT_STRING_EQUAL(news.lost, "first");
	loop_sim_advance(rig.loop, 0);
	unsigned before = posted;
	kafka_handover_abandon(&rig.handover);
	kafka_handover_ended(&rig.handover);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(posted, before);
	rig_fini(&rig);
}

/* --- both at once ------------------------------------------------------------------------------------------------ */

#define MANY 200000u

static void *push_many(void *arg)
{
	struct kafka_handover *handover = arg;
	for (uint64_t next = 0; next < MANY;) {
		free_all(kafka_handover_spent(handover));
		if (kafka_handover_full(handover)) {
			kafka_handover_wait(handover, 60000);
			continue;
		}
		unsigned n = 1 + (unsigned)(next % KAFKA_CHUNK_INPUTS);
		n = next + n > MANY ? (unsigned)(MANY - next) : n;
		kafka_handover_push(handover, chunk_of(n, n, next));
		next += n;
	}
	return NULL;
}

static void test_two_threads(void)
{
	struct rig rig;
	rig_init(&rig, 2000, 1 << 20);
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, push_many, &rig.handover), 0);
	uint64_t next = 0;
	bool in_order = true;
	while (next < MANY) {
		struct kafka_chunk *chunk = kafka_handover_pop(&rig.handover);
		if (!chunk)
			continue;
		for (unsigned i = 0; i < chunk->n; i++)
			in_order &= chunk->inputs[i].next == next++;
		kafka_handover_return(&rig.handover, chunk);
	}
	CU_ASSERT_TRUE(in_order);
	pthread_join(thread, NULL);
	free_all(kafka_handover_spent(&rig.handover));
	rig_fini(&rig);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"in order, within bounds, woken when half empty", test_order_and_bounds},
		{"a record larger than the bound goes alone", test_bytes},
		{"what the loop has not popped is taken back", test_take_all},
		{"orders and news are taken once", test_orders_and_news},
		{"a thread and the loop at once", test_two_threads},
		{NULL, NULL},
	};
	return tap_main("kafka handover", tests);
}
