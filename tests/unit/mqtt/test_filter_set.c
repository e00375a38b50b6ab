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

static void put(struct filter_set *set, const char *filter, uint8_t qos)
{
	CU_ASSERT_FATAL(filter_set_put(set, filter, qos, false) == 0);
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

static void test_reduce(void)
{
	struct filter_set set = {0};
	put(&set, "a/#", 1);
	put(&set, "a/+", 1);
	put(&set, "a/b/c", 1);
	put(&set, "a/low", 0); /* another qos: it stays */
	put(&set, "$share/g/a/b", 1);
	put(&set, "$share/g/a/#", 1);
	put(&set, "b/+", 1);
	put(&set, "b/x", 1);
	put(&set, "c", 1);
	filter_set_reduce(&set);
	static const char *const left[] = {"$share/g/a/#", "$share/g/a/b", "a/#", "a/low", "b/+", "c"};
	CU_ASSERT_FATAL(set.n == sizeof left / sizeof left[0]);
	for (size_t i = 0; i < set.n; i++)
		CU_ASSERT_STRING_EQUAL(set.items[i].filter, left[i]);
	filter_set_free(&set);
	/* Filters that mean the same must not remove each other. */
	put(&set, "#", 1);
	put(&set, "+/#", 1);
	filter_set_reduce(&set);
	CU_ASSERT(set.n >= 1);
	filter_set_free(&set);
	filter_set_reduce(&set);
	CU_ASSERT(set.n == 0);
	filter_set_free(&set);
}

static void test_blob(void)
{
	struct filter_set set = {0}, back = {0};
	struct buffer blob;
	buffer_init(&blob, 1 << 20);
	put(&set, "a/#", 1);
	CU_ASSERT(filter_set_put(&set, "b", 0, true) == 0);
	CU_ASSERT_FATAL(filter_set_encode(&set, &owner, &blob) == 0);
	CU_ASSERT_FATAL(filter_set_decode(buffer_slice(&blob), &owner, &back) == 0);
	CU_ASSERT(back.n == 2 && filter_set_find(&back, "b")->confirmed && !filter_set_find(&back, "a/#")->confirmed);
	CU_ASSERT(filter_set_find(&back, "a/#")->qos == 1);
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
		filter_set_free(&back);
		free(cut);
	}
	blob.data[0] = 2; /* a version of the future */
	CU_ASSERT(filter_set_decode(buffer_slice(&blob), &owner, &back) == -ENOENT);
	filter_set_free(&set);
	buffer_free(&blob);
}

static const struct tap_test tests[] = {
	{"put, find, remove", test_set},
	{"a filter that another one covers", test_reduce},
	{"the blob", test_blob},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt filter set", tests);
}
