/* SPDX-License-Identifier: Apache-2.0
 *
 * The exactly-once sink against librdkafka's mock cluster: how transactions are formed, what each failure becomes, and
 * whom it believes what the cursor says. The fake host sees that DELIVERED comes in order, and after settle() has said
 * yes.
 *
 * The mock cluster keeps no transactions apart: what was written in one that is given up stays to be read, a cursor as
 * well. So where a record is to be refused, another one of the same transaction is rejected before it is sent: the sink
 * then waits for all answers before it writes the cursor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka.h"
#include "runtime/log.h"
#include "tests/unit/kafka/exact_scene.h"
#include "tests/unit/tap.h"

/* --- transactions ------------------------------------------------------------------------------------------------- */

static void test_by_number(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.interval_ms = NEVER_MS;
	scene->settings.transaction.max_messages = 10;
	up(scene);
	deliver(scene, 0, 30);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 30);
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 10);
	CU_ASSERT_EQUAL(cursor_at(scene, 1).seq, 20);
	CU_ASSERT_EQUAL(cursor_at(scene, 2).seq, 30);
	CU_ASSERT_EQUAL(cursor_at(scene, 0).writer, cursor_at(scene, 2).writer);
	check_once(scene, 30);
	CU_ASSERT_EQUAL(scene->fake->n_settles, 3);
	scene_end(scene);
}

/* Of eight that the window lets be in flight, six; two are there when they are committed, and the next is to be as large. */
static void test_by_window(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.interval_ms = NEVER_MS;
	scene->settings.max_in_flight = 8;
	up(scene);
	deliver(scene, 0, 18);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(cursor_at(scene, i).seq, 6 * (i + 1));
	check_once(scene, 18);
	scene_end(scene);
}

static void test_by_bytes(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.interval_ms = NEVER_MS;
	scene->settings.transaction.max_bytes = 1; /* each is larger */
	up(scene);
	deliver(scene, 0, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(cursor_at(scene, i).seq, i + 1);
	scene_end(scene);
}

static void test_by_time(void)
{
	struct scene *scene = scene_new();
	up(scene);
	deliver(scene, 0, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 3);
	check_once(scene, 3);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	scene_end(scene);
}

static void test_many(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 700;
	up(scene);
	deliver(scene, 0, 20000);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 20000);
	check_once(scene, 20000);
	scene_end(scene);
}

static bool asked(void *arg)
{
	return ((struct fake_host *)arg)->settle_waits;
}

static bool some_turns_later(void *arg)
{
	return ++*(unsigned *)arg == 200;
}

/* Time to do what must not be done, of which the first commit takes the most: two seconds. */
static void give_it_time(struct scene *scene)
{
	unsigned turns = 0;
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, some_turns_later, &turns));
}

/* Nothing is committed before the host has said yes; what comes meanwhile belongs to the next one. */
static void test_waits_for_settle(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 5;
	up(scene);
	scene->fake->hold_settle = true;
	deliver(scene, 0, 5);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, asked, scene->fake));
	deliver(scene, 5, 5);
	CU_ASSERT_TRUE(wait_for_records(scene, scene->reader, 5)); /* written, in an open transaction */
	give_it_time(scene);
	kafka_reader_poll(scene->cursors);
	CU_ASSERT_EQUAL(scene->cursors->n_records, 0);
	CU_ASSERT_EQUAL(scene->fake->n_ended, 0);
	CU_ASSERT_EQUAL(scene->fake->settle_seq, 5);
	fake_host_settle_once(scene->fake);
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 5);
	give_it_time(scene);
	CU_ASSERT_EQUAL(scene->fake->n_ended, 5); /* the next one is asked about, too */
	fake_host_settle(scene->fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 5);
	CU_ASSERT_EQUAL(cursor_at(scene, 1).seq, 10);
	check_once(scene, 10);
	scene_end(scene);
}

/* --- records that can never be written ----------------------------------------------------------------------------- */

static void test_local_rejects(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.interval_ms = NEVER_MS;
	scene->settings.transaction.max_messages = 10;
	up(scene);
	deliver(scene, 0, 4);
	deliver_bad(scene, 2);
	deliver_to(scene, "not/legal", "0", 0, 1);
	deliver(scene, 4, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 7);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_REJECTED, false), 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_host_delivery(scene->fake, 5)->reason, "the partition is no number"));
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 7)->outcome, OUTCOME_REJECTED);
	check_once(scene, 7);
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 10);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	scene_end(scene);
}

/* The cursor does not pass a dead letter that is not stored. */
static void test_reject_waits_for_settle(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 5;
	up(scene);
	deliver(scene, 0, 4);
	deliver_bad(scene, 1);
	/* The first question is about the end, answered with yes; the second follows the rejection. */
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->n_settles, 2);
	check_once(scene, 4);
	scene_end(scene);
}

static void hold_after_first(struct scene *scene)
{
	scene->fake->hold_settle = true;
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, asked, scene->fake));
	fake_host_settle_once(scene->fake); /* of the end */
}

static void test_dead_letter_not_stored(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 5;
	up(scene);
	deliver(scene, 0, 4);
	deliver_bad(scene, 1);
	hold_after_first(scene);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, asked, scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_REJECTED, false), 1);
	deliver(scene, 4, 5); /* a whole transaction, which has to wait */
	CU_ASSERT_TRUE(wait_for_records(scene, scene->reader, 4));
	give_it_time(scene);
	kafka_reader_poll(scene->cursors);
	CU_ASSERT_EQUAL(scene->cursors->n_records, 0);
	CU_ASSERT_EQUAL(scene->fake->n_ended, 1);
	fake_host_settle(scene->fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	check_once(scene, 9);
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 5);
	CU_ASSERT_EQUAL(cursor_at(scene, 1).seq, 10);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	scene_end(scene);
}

/* More than can be told at once. */
static void test_many_rejects(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 200;
	up(scene);
	deliver(scene, 0, 10);
	deliver_bad(scene, 150);
	deliver(scene, 10, 10);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_REJECTED, false), 150);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 20);
	check_once(scene, 20);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	scene_end(scene);
}

/* Every second one: so many done ranges could be more than the journal takes. They go on in small transactions. */
static void test_very_many_rejects(void)
{
	struct scene *scene = scene_new();
	up(scene);
	for (unsigned i = 0; i < 1500; i++) {
		deliver(scene, i, 1);
		deliver_bad(scene, 1);
	}
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_REJECTED, false), 1500);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 1500);
	CU_ASSERT_EQUAL(scene->fake->downs, 1);
	scene_end(scene);
}

static void test_all_rejected(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 5;
	up(scene);
	deliver_bad(scene, 5);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_REJECTED, false), 5);
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 5);
	scene_end(scene);
}

/* A refused batch: a new producer sends message by message, and only the one to blame is rejected. */
static void test_batch_refused(rd_kafka_resp_err_t err)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 21;
	scene->settings.linger_ms = 1000; /* they are one batch */
	up(scene);
	rd_kafka_mock_push_request_errors(scene->mock->cluster, KAFKA_PRODUCE_KEY, 2, err, err);
	deliver_bad(scene, 1);
	deliver(scene, 0, 20);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_REJECTED, false), 2);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 19);
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 2)->outcome, OUTCOME_REJECTED);
	CU_ASSERT(scene->fake->downs >= 1);
	CU_ASSERT_TRUE(wait_for_records(scene, scene->reader, 19));
	for (unsigned i = 1; i < 20; i++)
		CU_ASSERT(times_there(scene, i) >= 1);
	deliver(scene, 20, 21);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 40);
	scene_end(scene);
}

/* When a transaction is undone, later ones are ordered already, with their ends: all that is left becomes one. */
static void test_undone_before_others(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 3;
	scene->settings.linger_ms = 1000;
	up(scene);
	rd_kafka_mock_push_request_errors(scene->mock->cluster, KAFKA_PRODUCE_KEY, 2, RD_KAFKA_RESP_ERR_INVALID_RECORD,
		RD_KAFKA_RESP_ERR_INVALID_RECORD);
	deliver_bad(scene, 1);
	deliver(scene, 0, 8);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_REJECTED, false), 2);
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 2)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false) + count(scene, OUTCOME_DELIVERED, true), 7);
	/* The library has skipped sequence numbers, so that its next transaction fails, too. The mock cluster has no aborts: that one's
	 * cursor counts if it was written before, though its records are not there. */
	if (count(scene, OUTCOME_DELIVERED, true) == 0) {
		CU_ASSERT_TRUE(wait_for_records(scene, scene->reader, 7));
		CU_ASSERT(times_there(scene, 1) >= 1); /* of the transaction that was given up, too */
		for (unsigned i = 2; i < 8; i++)
			CU_ASSERT_EQUAL(times_there(scene, i), 1);
	}
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 9);
	scene_end(scene);
}

static bool nine_in_flight(void *arg)
{
	return ((struct fake_host *)arg)->n_in_flight == 9;
}

/* The same with orders that the worker has not come to, and a record that was alone in its batch. (The library has skipped
 * sequence numbers, so its next transaction fails, too; to the mock cluster that one's cursor counts if it was written.) */
static void test_undone_before_orders(void)
{
	struct scene *scene = scene_of(2); /* so that the cursor's record takes none of the answers below */
	scene->settings.transaction.max_messages = 3;
	scene->settings.linger_ms = 1000;
	scene->properties[scene->settings.properties.n++] =
		(struct config_text){.name = text_of("batch.size"), .value = text_of("1000")};
	up(scene);
	rd_kafka_mock_broker_push_request_error_rtts(scene->mock->cluster, 1, KAFKA_PRODUCE_KEY, 2,
		RD_KAFKA_RESP_ERR_NO_ERROR, 0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1000);
	deliver(scene, 0, 2);
	uint8_t large[2000] = {0};
	struct message_view view = {.topic = slice_str(TOPIC),
		.order_key = slice_str("k"),
		.payload = slice_of(large, sizeof large),
		.origin_ms = 1700000000123};
	fake_host_deliver(scene->fake, &view);
	CU_ASSERT_TRUE(wait_for_records(scene, scene->reader, 2)); /* it waits for the answers */
	deliver(scene, 2, 6);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, nine_in_flight, scene->fake));
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 3)->outcome, OUTCOME_REJECTED);
	uint64_t seq = cursor_at(scene, 0).seq;
	/* 6 would be the second one without the first; 4: the next producer's first three; 3: the first one's own, undone since, which
	 * counts to the mock cluster all the same. */
	CU_ASSERT(seq == 9 || seq == 4 || seq == 3);
	scene_end(scene);
}

static void test_batch_invalid(void)
{
	test_batch_refused(RD_KAFKA_RESP_ERR_INVALID_RECORD);
}

static void test_batch_too_large(void)
{
	test_batch_refused(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
}

static void test_too_large_for_us(void)
{
	struct scene *scene = scene_new();
	up(scene);
	struct message_view view = {.topic = slice_str(TOPIC), .order_key = slice_str("k"), .origin_ms = 1700000000123};
	view.payload.len = 2000000;
	uint8_t *large = calloc(1, view.payload.len);
	view.payload.data = large;
	fake_host_deliver(scene->fake, &view);
	deliver(scene, 0, 1);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 1)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 2)->outcome, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(scene->fake->downs, 0);
	check_once(scene, 1);
	free(large);
	scene_end(scene);
}

/* --- failures of the producer -------------------------------------------------------------------------------------- */

/* All is sent again, since the cursor has not moved. */
static void test_producer_lost_before_commit(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 6;
	up(scene);
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, KAFKA_PRODUCE_KEY, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
	deliver_bad(scene, 1);
	deliver(scene, 0, 5);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 5);
	CU_ASSERT(scene->fake->downs >= 1);
	CU_ASSERT_EQUAL(scene->fake->done_through, 0);
	CU_ASSERT_EQUAL(fake_host_delivery(scene->fake, 2)->sends, 2);
	check_once(scene, 5);
	CU_ASSERT_EQUAL(cursor_at(scene, 0).seq, 6);
	scene_end(scene);
}

/* The answer says no, but the cursor is there: nothing is sent a second time. */
static void test_commit_in_doubt(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 5;
	up(scene);
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, END_TXN_KEY, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
	deliver(scene, 0, 5);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, true), 5);
	CU_ASSERT_EQUAL(scene->fake->downs, 1);
	CU_ASSERT_EQUAL(scene->fake->done_through, 5);
	deliver(scene, 5, 5);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 5);
	check_once(scene, 10);
	scene_end(scene);
}

/* All of it again, in order: what is below the last one would be below the cursor. */
static void test_out_of_order(void)
{
	struct scene *scene = scene_new();
	up(scene);
	scene->fake->hold_settle = true;
	deliver(scene, 0, 3);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, asked, scene->fake));
	struct delivery again = {.seq = 2, .attempt = 1, .msg = fake_host_delivery(scene->fake, 2)->msg};
	scene->fake->connector->send(scene->fake->link, &again);
	CU_ASSERT_EQUAL(scene->fake->downs, 1);
	CU_ASSERT_STRING_EQUAL(scene->fake->last_down, "a message has come out of order");
	scene->fake->hold_settle = false;
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 3);
	scene_end(scene);
}

/* What may not be done is said, and tried again. */
static void test_init_refused(void)
{
	struct scene *scene = scene_new();
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, INIT_PID_KEY, 1, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_alarm(scene->fake));
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->fake->last_alarm, "Transactional Id authorization failed"));
	deliver(scene, 0, 3);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	check_once(scene, 3);
	scene_end(scene);
}

/* No record is refused then, so no report tells; the library does. */
static void test_topic_not_allowed(void)
{
	struct scene *scene = scene_new();
	up(scene);
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, ADD_PARTITIONS_KEY, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	deliver(scene, 0, 3);
	CU_ASSERT_TRUE(fake_host_run_until_alarm(scene->fake));
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->fake->last_alarm, "Topic authorization failed"));
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	check_once(scene, 3);
	scene_end(scene);
}

/* --- the cursor ---------------------------------------------------------------------------------------------------- */

static void test_next_process(void)
{
	struct scene *scene = scene_new();
	up(scene);
	deliver(scene, 0, 5);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	scene_stop(scene);
	scene->fake = fake_host_new_exact(&kafka_connector, &scene->settings);
	deliver(scene, 0, 8);
	fake_host_start(scene->fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->done_through, 5);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, true), 5);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 3);
	check_once(scene, 8);
	scene_end(scene);
}

/* The highest one counts, in whatever partition and behind whatever else; those of others and garbage do not. */
static void test_finds_its_cursor(void)
{
	struct scene *scene = scene_new();
	write_seq(scene, 3, OTHERS_WRITER, 1);
	write_seq(scene, 2, OTHERS_WRITER, 0);
	write_cursor(scene, "00000000000000000000000000000000", "v1 seq=7 writer=0000000000000001", 0);
	write_cursor(scene, KEY, "v1 seq=8 and no more", 0);
	write_cursor(scene, KEY "0", "v1 seq=9 writer=0000000000000001", 1);
	scene->fake = fake_host_new_exact(&kafka_connector, &scene->settings);
	deliver(scene, 0, 10);
	fake_host_start(scene->fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->done_through, 3);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 7);
	scene_end(scene);
}

/* Ours is far from the end. */
static void test_cursor_below_many(void)
{
	struct scene *scene = scene_new();
	write_seq(scene, 4, OTHERS_WRITER, 0);
	char errstr[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", scene->mock->brokers, errstr, sizeof errstr);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof errstr);
	for (unsigned i = 0; i < 2500; i++)
		CU_ASSERT_EQUAL(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(CURSORS), RD_KAFKA_V_PARTITION(0),
					RD_KAFKA_V_KEY("other", 5),
					RD_KAFKA_V_VALUE(text_of("v1 seq=9 writer=0000000000000001"), 32),
					RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
			0);
	CU_ASSERT_EQUAL(rd_kafka_flush(rk, 60000), 0);
	rd_kafka_destroy(rk);
	scene->fake = fake_host_new_exact(&kafka_connector, &scene->settings);
	deliver(scene, 0, 5);
	fake_host_start(scene->fake);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->done_through, 4);
	scene_end(scene);
}

/* The producer is lost, and meanwhile there is another cursor than we have seen or left. */
static void check_fenced(struct scene *scene, uint64_t seq, uint64_t writer)
{
	write_seq(scene, seq, writer, 0);
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, KAFKA_PRODUCE_KEY, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
	size_t n = scene->fake->n_ended;
	deliver_bad(scene, 1);
	deliver(scene, 100, 20);
	CU_ASSERT_TRUE(fake_host_run_until_alarm(scene->fake));
	CU_ASSERT_PTR_NOT_NULL(strstr(scene->fake->last_alarm, "another process"));
	CU_ASSERT_FALSE(scene->fake->up);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false) + count(scene, OUTCOME_DELIVERED, true), n);
	CU_ASSERT_EQUAL(scene->fake->ups, 1);
	scene_end(scene);
}

static void test_fenced_by_new_writer(void)
{
	struct scene *scene = scene_new();
	up(scene);
	check_fenced(scene, 10, OTHERS_WRITER);
}

static void test_fenced_after_commit(void)
{
	struct scene *scene = scene_new();
	up(scene);
	deliver(scene, 0, 5);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	check_fenced(scene, 10, OTHERS_WRITER);
}

/* The process that had written before us goes on: what it counts as done are not our messages. */
static void test_fenced_by_the_one_before(void)
{
	struct scene *scene = scene_new();
	write_seq(scene, 2, OTHERS_WRITER, 0);
	scene->fake = fake_host_new_exact(&kafka_connector, &scene->settings);
	scene->fake->hold_settle = true; /* nothing of ours is committed */
	deliver(scene, 0, 2);
	fake_host_start(scene->fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->done_through, 2);
	scene->fake->hold_settle = false;
	check_fenced(scene, 10, OTHERS_WRITER);
}

/* Nobody has written since: the cursor that was there is still good, whoever has left it. */
static void test_not_fenced(void)
{
	struct scene *scene = scene_new();
	write_seq(scene, 2, OTHERS_WRITER, 0);
	scene->fake = fake_host_new_exact(&kafka_connector, &scene->settings);
	scene->settings.transaction.max_messages = 6;
	deliver(scene, 0, 2);
	fake_host_start(scene->fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(scene->fake));
	rd_kafka_mock_push_request_errors(
		scene->mock->cluster, KAFKA_PRODUCE_KEY, 1, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
	deliver_bad(scene, 1);
	deliver(scene, 0, 5);
	CU_ASSERT_TRUE(fake_host_run_until_ended(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->alarms, 0);
	CU_ASSERT_EQUAL(count(scene, OUTCOME_DELIVERED, false), 5);
	check_once(scene, 5);
	scene_end(scene);
}

/* --- stopping ------------------------------------------------------------------------------------------------------ */

static void test_stop_before_start(void)
{
	struct scene *scene = scene_new();
	scene->fake = fake_host_new_exact(&kafka_connector, &scene->settings);
	scene_end(scene);
}

static void test_stop_at_once(void)
{
	struct scene *scene = scene_new();
	scene_start(scene);
	scene_end(scene);
}

static void test_stop_with_brokers_away(void)
{
	struct scene *scene = scene_new();
	kafka_mock_down(scene->mock);
	scene_start(scene);
	scene_end(scene);
}

static void test_stop_while_gathering(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.interval_ms = NEVER_MS;
	up(scene);
	deliver(scene, 0, 50);
	CU_ASSERT_TRUE(wait_for_records(scene, scene->reader, 50));
	scene_stop(scene);
	kafka_reader_poll(scene->cursors);
	CU_ASSERT_EQUAL(scene->cursors->n_records, 0);
	scene_end(scene);
}

static void test_stop_while_settling(void)
{
	struct scene *scene = scene_new();
	up(scene);
	scene->fake->hold_settle = true;
	deliver(scene, 0, 5);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, asked, scene->fake));
	scene_end(scene);
}

static void test_stop_while_asked(void)
{
	struct scene *scene = scene_new();
	scene->settings.transaction.max_messages = 5;
	up(scene);
	deliver(scene, 0, 4);
	deliver_bad(scene, 1);
	hold_after_first(scene);
	CU_ASSERT_TRUE(fake_host_run_until(scene->fake, asked, scene->fake));
	scene_end(scene);
}

static void test_stop_in_the_middle(void)
{
	struct scene *scene = scene_new();
	up(scene);
	kafka_mock_slow(scene->mock, 50);
	deliver(scene, 0, 5000);
	CU_ASSERT_TRUE(wait_for_records(scene, scene->reader, 1));
	kafka_mock_slow(scene->mock, 0);
	scene_end(scene);
}

/* A producer that cannot be made: an alarm, tries, and a stop between them. */
static void test_stop_while_waiting(void)
{
	struct scene *scene = scene_new();
	scene->settings.tls.ca = text_of("/nonexistent/ca.pem");
	scene_start(scene);
	CU_ASSERT_TRUE(fake_host_run_until_alarm(scene->fake));
	scene_end(scene);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a transaction ends with so many messages", test_by_number},
		{"a transaction ends with three quarters of the window", test_by_window},
		{"a transaction ends with so many bytes", test_by_bytes},
		{"a transaction ends in time", test_by_time},
		{"20,000 messages, once and in order", test_many},
		{"nothing is committed before the host lets it", test_waits_for_settle},
		{"records that cannot be are rejected, and the cursor passes them", test_local_rejects},
		{"the host is asked again after a rejection", test_reject_waits_for_settle},
		{"the cursor waits for the dead letter", test_dead_letter_not_stored},
		{"more rejected ones than can be told at once", test_many_rejects},
		{"so many rejected ones that transactions become small", test_very_many_rejects},
		{"nothing but rejected ones", test_all_rejected},
		{"a batch with an invalid record is taken apart", test_batch_invalid},
		{"a batch that is too large is taken apart", test_batch_too_large},
		{"undone while later ones are ordered", test_undone_before_others},
		{"undone while the worker has not come to later ones", test_undone_before_orders},
		{"larger than message.max.bytes is rejected", test_too_large_for_us},
		{"a producer lost before the commit: all again", test_producer_lost_before_commit},
		{"a commit in doubt: the cursor tells", test_commit_in_doubt},
		{"a message out of order: all again", test_out_of_order},
		{"transactions not allowed: an alarm, and again", test_init_refused},
		{"a topic that may not be written to", test_topic_not_allowed},
		{"the next process goes on behind the cursor", test_next_process},
		{"the highest cursor of all partitions counts", test_finds_its_cursor},
		{"a cursor below thousands of others", test_cursor_below_many},
		{"fenced by a new writer", test_fenced_by_new_writer},
		{"fenced after a commit of ours", test_fenced_after_commit},
		{"fenced by the one who was before us", test_fenced_by_the_one_before},
		{"an old cursor that has not moved fences nobody", test_not_fenced},
		{"stop before start", test_stop_before_start},
		{"stop while opening", test_stop_at_once},
		{"stop with brokers away", test_stop_with_brokers_away},
		{"stop while gathering", test_stop_while_gathering},
		{"stop while the host is asked", test_stop_while_settling},
		{"stop while a dead letter is not stored", test_stop_while_asked},
		{"stop in the middle", test_stop_in_the_middle},
		{"stop while waiting for the next try", test_stop_while_waiting},
		{NULL, NULL},
	};
	if (kafka_tools_unavailable()) {
		printf("1..0 # SKIP %s\n", kafka_tools_unavailable());
		return 0;
	}
	log_set_level(getenv("V") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	return tap_main("kafka exactly-once sink", tests);
}
