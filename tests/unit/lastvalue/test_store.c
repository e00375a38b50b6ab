/* SPDX-License-Identifier: Apache-2.0 */
/* store: last values against a model. */
#include "lastvalue/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/disk_simulated.h"
#include "tests/unit/tap.h"

#define TOPICS 400u

static struct message *message_of(unsigned topic, const char *payload)
{
	char name[16];
	snprintf(name, sizeof name, "t/%u", topic);
	struct message_view view = {.topic = slice_str(name), .order_key = slice_str(name)};
	if (payload)
		view.payload = slice_str(payload);
	struct message *msg = message_new(&view);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	return msg;
}

static void set(struct last_values *values, unsigned topic, const char *payload)
{
	struct message *msg = message_of(topic, payload);
	CU_ASSERT_EQUAL(last_values_set(values, msg, message_encoded_size(message_view(msg))), 0);
	message_unref(msg);
}

static bool has(const struct last_values *values, unsigned topic, const char *payload)
{
	char name[16];
	snprintf(name, sizeof name, "t/%u", topic);
	struct message *msg = last_values_get(values, slice_str(name));
	return payload ? msg && slice_equal(message_view(msg)->payload, slice_str(payload)) : !msg;
}

static void test_model(void)
{
	static unsigned model[TOPICS], set_at[TOPICS]; /* payload; when it was set; 0: none */
	struct last_values values = {.n = 0};
	uint64_t random = 5;
	char text[16];
	for (unsigned round = 1; round <= 20000; round++) {
		unsigned topic = (unsigned)(sim_random(&random) % TOPICS), dice = (unsigned)(sim_random(&random) % 10);
		snprintf(text, sizeof text, "%u", round);
		if (dice == 0) { /* the oldest goes */
			unsigned oldest = TOPICS;
			for (unsigned i = 0; i < TOPICS; i++)
				if (model[i] && (oldest == TOPICS || set_at[i] < set_at[oldest]))
					oldest = i;
			CU_ASSERT_EQUAL(last_values_evict(&values), oldest < TOPICS);
			if (oldest < TOPICS)
				model[oldest] = 0;
		} else {
			set(&values, topic, dice == 1 ? NULL : text);
			model[topic] = dice == 1 ? 0 : round;
			set_at[topic] = round;
		}
		if (round % 1000)
			continue;
		size_t n = 0, bytes = 0;
		for (unsigned i = 0; i < TOPICS; i++) {
			snprintf(text, sizeof text, "%u", model[i]);
			CU_ASSERT(has(&values, i, model[i] ? text : NULL));
			n += model[i] != 0;
		}
		unsigned before = 0;
		bool in_order = true; /* in which they were set */
		for (const struct last_value *value = values.oldest; value; value = value->newer) {
			struct slice payload = message_view(value->msg)->payload;
			snprintf(text, sizeof text, "%.*s", (int)payload.len, (const char *)payload.data);
			unsigned at = (unsigned)strtoul(text, NULL, 10);
			in_order &= at > before;
			before = at;
			bytes += message_encoded_size(message_view(value->msg));
		}
		CU_ASSERT(in_order);
		CU_ASSERT_EQUAL(values.n, n);
		CU_ASSERT_EQUAL(values.bytes, bytes);
	}
	last_values_clear(&values);
	CU_ASSERT(values.n == 0 && values.bytes == 0);
}

static void test_empty(void)
{
	struct last_values values = {.n = 0};
	CU_ASSERT(has(&values, 1, NULL));
	CU_ASSERT(!last_values_evict(&values));
	set(&values, 1, NULL); /* there is none to remove */
	CU_ASSERT_EQUAL(values.n, 0);
	set(&values, 1, ""); /* empty is not null */
	CU_ASSERT(has(&values, 1, ""));
	/* The same message again. */
	struct message *msg = message_ref(values.oldest->msg);
	CU_ASSERT_EQUAL(last_values_set(&values, msg, values.bytes), 0);
	message_unref(msg);
	CU_ASSERT(values.n == 1 && has(&values, 1, ""));
	CU_ASSERT(last_values_evict(&values));
	CU_ASSERT_EQUAL(values.evicted, 1);
	last_values_clear(&values);
}

static const struct tap_test tests[] = {
	{"against a model", test_model},
	{"nothing, and empty", test_empty},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("last values", tests);
}
