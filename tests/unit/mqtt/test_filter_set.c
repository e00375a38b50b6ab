/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of subscriptions and their blob.
 */
#include "connectors/mqtt/filter_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

static const struct filter_set_owner owner = {"edge", "mqtt://broker"};

static void put_entry(struct filter_set *set, struct filter_entry entry, const char *filter)
{
	entry.filter = (char *)(uintptr_t)filter; /* copied */
	CU_ASSERT_FATAL(filter_set_put(set, &entry) == 0);
}

static void put(struct filter_set *set, const char *filter, uint8_t qos)
{
	put_entry(set, (struct filter_entry){.qos = qos}, filter);
}

static void test_set(void)
{
	struct filter_set set = {0};
	char filter[16];
	for (int i = 0; i < 1000; i++) {
		snprintf(filter, sizeof filter, "f/%d", i * 7919 % 1000);
		put(&set, filter, 1);
	}
	put(&set, "f/500", 0);
	CU_ASSERT(set.n == 1000);
	CU_ASSERT(filter_set_find(&set, "f/500")->qos == 0);
	CU_ASSERT(filter_set_find(&set, "f/999")->qos == 1);
	CU_ASSERT(filter_set_find(&set, "f/1000") == NULL);
	filter_set_remove(&set, "f/500");
	filter_set_remove(&set, "nothing");
	CU_ASSERT(set.n == 999 && !filter_set_find(&set, "f/500"));
	filter_set_free(&set);
}

static void test_identifiers(void)
{
	struct filter_set set = {0}, copy = {0};
	CU_ASSERT(filter_set_next_identifier(&set) == 1 && filter_set_next_identifier(&set) == 2);
	put_entry(&set, (struct filter_entry){.qos = 1, .identifier = 2, .options = 0x18, .confirmed = true}, "a");
	CU_ASSERT(filter_set_copy(&set, &copy) == 0);
	filter_set_free(&set);
	CU_ASSERT(copy.n == 1 && copy.items[0].identifier == 2 && copy.items[0].options == 0x18);
	CU_ASSERT(filter_set_next_identifier(&copy) == 3);
	copy.last_identifier = FILTER_SET_MAX_IDENTIFIER;
	CU_ASSERT(filter_set_next_identifier(&copy) == 0); /* and not one of those that were */
	filter_set_free(&copy);
}

static void test_blob(void)
{
	struct filter_set set = {0}, back = {0};
	struct buffer blob;
	buffer_init(&blob, 1 << 20);
	set.last_identifier = 0x01020304;
	put(&set, "a/#", 1);
	put_entry(&set, (struct filter_entry){.confirmed = true, .options = 0x24, .identifier = 0x01020304}, "b");
	CU_ASSERT_FATAL(filter_set_encode(&set, &owner, &blob) == 0);
	CU_ASSERT_FATAL(filter_set_decode(buffer_slice(&blob), &owner, &back) == 0);
	CU_ASSERT(back.n == 2 && filter_set_find(&back, "b")->confirmed && !filter_set_find(&back, "a/#")->confirmed);
	CU_ASSERT(filter_set_find(&back, "a/#")->qos == 1 && filter_set_find(&back, "a/#")->identifier == 0);
	CU_ASSERT(filter_set_find(&back, "b")->options == 0x24);
	CU_ASSERT(filter_set_find(&back, "b")->identifier == 0x01020304 && back.last_identifier == 0x01020304);
	filter_set_free(&back);
	struct filter_set_owner other = {"edge", "mqtt://elsewhere"};
	CU_ASSERT(filter_set_decode(buffer_slice(&blob), &other, &back) == -ENOENT && back.n == 0);
	CU_ASSERT(filter_set_decode((struct slice){NULL, 0}, &owner, &back) == -ENOENT);
	/* Cut anywhere it is damaged or shorter, and never read past. */
	for (size_t len = 0; len < blob.len; len++) {
		uint8_t *cut = malloc(len + 1);
		memcpy(cut, blob.data, len);
		int r = filter_set_decode(slice_of(cut, len), &owner, &back);
		CU_ASSERT(r == -ENOENT || r == -EBADMSG || (r == 0 && back.n < 2));
		CU_ASSERT(r == 0 || back.last_identifier == 0);
		filter_set_free(&back);
		free(cut);
	}
	blob.data[0] = 3; /* a version of the future */
	CU_ASSERT(filter_set_decode(buffer_slice(&blob), &owner, &back) == -ENOENT);
	filter_set_free(&set);
	buffer_free(&blob);
}

static void test_blob_of_version_1(void)
{
	static const char blob[] = "\x01\0\x04"
				   "edge"
				   "\0\x0d"
				   "mqtt://broker"
				   "\x05\0\x03"
				   "a/#"
				   "\0\0\x01"
				   "b";
	struct filter_set back = {0};
	CU_ASSERT_FATAL(filter_set_decode(slice_of(blob, sizeof blob - 1), &owner, &back) == 0);
	CU_ASSERT(back.n == 2 && back.last_identifier == 0);
	CU_ASSERT(back.items[0].qos == 1 && back.items[0].confirmed && back.items[0].identifier == 0);
	CU_ASSERT(back.items[1].qos == 0 && !back.items[1].confirmed && back.items[1].options == 0);
	filter_set_free(&back);
}

static const struct tap_test tests[] = {
	{"put, find, remove", test_set},
	{"identifiers are used once", test_identifiers},
	{"the blob", test_blob},
	{"the blob of version 1", test_blob_of_version_1},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt filter set", tests);
}
