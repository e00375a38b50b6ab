/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions by topic and number, and by the names that the journal keeps.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/partitions.h"
#include "tests/unit/tap.h"

static void test_found_again(void)
{
	struct kafka_partitions partitions = {0};
	struct kafka_partition *first[200];
	for (int i = 0; i < 200; i++) {
		char topic[16];
		snprintf(topic, sizeof topic, "t.%d", i / 10);
		first[i] = kafka_partitions_get(&partitions, topic, i % 10);
		CU_ASSERT_PTR_NOT_NULL_FATAL(first[i]);
		CU_ASSERT_STRING_EQUAL(first[i]->topic, topic);
		CU_ASSERT_EQUAL(atomic_load(&first[i]->durable), -1);
	}
	CU_ASSERT_EQUAL(partitions.n, 200);
	for (int i = 0; i < 200; i++) { /* none moved while the table grew */
		CU_ASSERT_PTR_EQUAL(kafka_partitions_get(&partitions, first[i]->topic, first[i]->number), first[i]);
		CU_ASSERT_PTR_EQUAL(kafka_partitions_named(&partitions, slice_str(first[i]->name)), first[i]);
	}
	CU_ASSERT_EQUAL(partitions.n, 200);
	kafka_partitions_fini(&partitions);
}

static void test_names(void)
{
	struct kafka_partitions partitions = {0};
	char longest[KAFKA_MAX_TOPIC + 16];
	memset(longest, 'x', KAFKA_MAX_TOPIC);
	snprintf(longest + KAFKA_MAX_TOPIC, 16, "/%d", INT32_MAX);
	struct kafka_partition *partition = kafka_partitions_named(&partitions, slice_str(longest));
	CU_ASSERT_PTR_NOT_NULL_FATAL(partition);
	CU_ASSERT_EQUAL(partition->number, INT32_MAX);
	CU_ASSERT_EQUAL(partition->topic_len, KAFKA_MAX_TOPIC);
	CU_ASSERT_STRING_EQUAL(partition->name, longest);
	static const char *const bad[] = {"", "/", "a", "a/", "/0", "a/-1", "a/+1", "a/1x", "a/2147483648",
		"a/99999999999", "a b/1", "a/b/1", "../1"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NULL(kafka_partitions_named(&partitions, slice_str(bad[i])));
	CU_ASSERT_PTR_NULL(kafka_partitions_get(&partitions, "a", -1));
	CU_ASSERT_EQUAL(partitions.n, 1);
	kafka_partitions_fini(&partitions);
}

static void test_rewind(void)
{
	struct kafka_partitions partitions = {0};
	struct kafka_partition *read = kafka_partitions_get(&partitions, "a", 0);
	struct kafka_partition *fresh = kafka_partitions_get(&partitions, "a", 1);
	read->has_position = true;
	read->position = 7;
	read->fingerprint = 77;
	read->next = 50; /* handed over and taken back */
	read->state = fresh->state = KAFKA_PARTITION_READING;
	fresh->next = 20;
	fresh->known = true;
	kafka_partitions_rewind(&partitions);
	CU_ASSERT_TRUE(read->known && read->next == 7 && read->last_fingerprint == 77);
	CU_ASSERT_EQUAL(read->state, KAFKA_PARTITION_IDLE);
	CU_ASSERT_FALSE(fresh->known);
	kafka_partitions_fini(&partitions);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"found again, and where it was", test_found_again},
		{"names", test_names},
		{"what was not offered is read again", test_rewind},
		{NULL, NULL},
	};
	return tap_main("kafka partitions", tests);
}
