/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions by topic and number, and by the names that the journal keeps.
 */
#include <stdio.h>
#include <stdlib.h>
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
		CU_ASSERT_EQUAL(kafka_partition_durable(first[i]).next, -1);
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

static void test_places(void)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);
	rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add(list, "a", 0);
	static const struct kafka_place places[] = {
		{0, 0, 0}, {7, 0, 0}, {INT64_MAX, 0x0123456789abcdef, 0}, {8, UINT64_MAX, 0}};
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		free(element->metadata);
		element->metadata = NULL;
		element->metadata_size = 0;
		kafka_place_write(places[i], element);
		CU_ASSERT_EQUAL((element->metadata == NULL), (places[i].fingerprint == 0));
		struct kafka_place place = kafka_place_read(element);
		CU_ASSERT_TRUE(place.next == places[i].next && place.fingerprint == places[i].fingerprint);
	}
	char *ours = element->metadata; /* any byte of it changed, or a byte less: not ours */
	for (size_t i = 0; i < element->metadata_size; i++) {
		char was = ours[i];
		ours[i] = 'G';
		CU_ASSERT_EQUAL(kafka_place_read(element).fingerprint, 0);
		ours[i] = '\0';
		CU_ASSERT_EQUAL(kafka_place_read(element).fingerprint, 0);
		ours[i] = was;
	}
	element->metadata_size--;
	CU_ASSERT_TRUE(kafka_place_read(element).next == 8 && kafka_place_read(element).fingerprint == 0);
	element->offset = RD_KAFKA_OFFSET_INVALID;
	CU_ASSERT_EQUAL(kafka_place_read(element).next, -1);
	rd_kafka_topic_partition_list_destroy(list);
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
		{"a place as a group keeps it", test_places},
		{"what was not offered is read again", test_rewind},
		{NULL, NULL},
	};
	return tap_main("kafka partitions", tests);
}
