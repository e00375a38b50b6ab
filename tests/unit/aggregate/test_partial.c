/* SPDX-License-Identifier: Apache-2.0 */
/* partial: exact sums, and what is known of a window's messages, in any order and groups. */
#include "connectors/aggregate/partial.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/tap.h"

#define ALL ((1u << AGGREGATE_RESULTS) - 1)

static double sum_of(const double *numbers, size_t n)
{
	struct sum sum = {.n = 0};
	for (size_t i = 0; i < n; i++)
		sum_add(&sum, numbers[i]);
	return sum_value(&sum);
}

static void test_sums(void)
{
	CU_ASSERT_EQUAL(sum_of(NULL, 0), 0);
	CU_ASSERT_EQUAL(sum_of((double[]){0.1, 0.2, 0.3, -0.6}, 4), 2.7755575615628914e-17);
	double tenths[10];
	for (size_t i = 0; i < 10; i++)
		tenths[i] = 0.1;
	CU_ASSERT_EQUAL(sum_of(tenths, 10), 1.0);
	CU_ASSERT_EQUAL(sum_of((double[]){1e100, 1, -1e100, 1e-100, 1e50, -1, -1e50}, 7), 1e-100);
	/* Halfway between two doubles: what is below decides. */
	CU_ASSERT_EQUAL(sum_of((double[]){0x1p53, 1, 0x1p-60}, 3), 0x1.0000000000001p53);
	CU_ASSERT_EQUAL(sum_of((double[]){0x1p53, 1, -0x1p-60}, 3), 0x1p53);
	CU_ASSERT(!isfinite(sum_of((double[]){1.7e308, 1.7e308, -1.7e308}, 3)));
}

static void test_any_order(void)
{
	double numbers[500];
	unsigned seed = 7;
	for (size_t i = 0; i < 500; i++)
		numbers[i] = ldexp((double)rand_r(&seed) - RAND_MAX / 2.0, (int)(rand_r(&seed) % 400) - 200);
	double expected = sum_of(numbers, 500);
	for (unsigned round = 0; round < 50; round++) {
		for (size_t i = 499; i > 0; i--) {
			size_t k = (size_t)rand_r(&seed) % (i + 1);
			double swapped = numbers[i];
			numbers[i] = numbers[k];
			numbers[k] = swapped;
		}
		CU_ASSERT_EQUAL(sum_of(numbers, 500), expected);
	}
}

/* --- partials ----------------------------------------------------------------------------------------------------- */

static struct message *a_message(double value)
{
	char text[40];
	snprintf(text, sizeof text, "%.17g", value);
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_str(text), .qos = 1};
	struct message *msg = message_new(&view);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	return msg;
}

static struct partial *a_partial(void)
{
	struct partial *partial = partial_new(slice_str("k"), 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(partial);
	return partial;
}

static void add(struct partial *partial, unsigned bits, uint64_t seq, double value)
{
	struct message *msg = a_message(value);
	CU_ASSERT_EQUAL(partial_add(partial, bits, seq, msg, (struct slice){NULL, 0}), 0);
	message_unref(msg);
}

/* Writes it as a message, and adds that to another one. */
static void fold_into(struct partial *from, struct partial *to, unsigned bits, uint64_t seq)
{
	struct arena arena = {.blocks = NULL};
	struct partial_frame frame = {1234, -5}, seen;
	struct message_view view;
	CU_ASSERT_EQUAL_FATAL(partial_write(from, bits, &frame, &arena, &view), 0);
	struct message *msg = message_new(&view);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	struct slice state = message_param(message_view(msg), MESSAGE_AGGREGATE_STATE);
	CU_ASSERT(partial_read_frame(bits, state, &seen));
	CU_ASSERT(seen.end_ms == 1234 && seen.shift_ms == -5);
	CU_ASSERT_EQUAL(partial_add(to, bits, seq, msg, state), 0);
	message_unref(msg);
	partial_free(from);
	arena_free(&arena);
}

static char *result_of(struct partial *partial, unsigned bits)
{
	struct arena arena = {.blocks = NULL};
	struct message_view view;
	CU_ASSERT_EQUAL_FATAL(partial_result(partial, bits, 1, 2, &arena, &view), 0);
	char *text = strndup((const char *)view.payload.data, view.payload.len);
	arena_free(&arena);
	partial_free(partial);
	return text;
}

static const double values[] = {0.1, -3, 1e-9, 2.5, 1e16, 0.1, 7, 7.5};

/* The first three are written after the next two, and come last of all. */
static char *in_groups(unsigned bits)
{
	struct partial *first = a_partial(), *second = a_partial(), *rest = a_partial(), *all = a_partial();
	for (uint64_t i = 0; i < 3; i++)
		add(first, bits, 10 + i, values[i]);
	for (uint64_t i = 3; i < 5; i++)
		add(second, bits, 10 + i, values[i]);
	for (uint64_t i = 5; i < 8; i++)
		add(rest, bits, 10 + i, values[i]);
	fold_into(second, rest, bits, 30);
	fold_into(rest, all, bits, 40);
	fold_into(first, all, bits, 41);
	CU_ASSERT_EQUAL(all->n_seqs, 2);
	return result_of(all, bits);
}

static void test_groups(void)
{
	static const char list[] = "\"list\":[0.10000000000000001,-3,1.0000000000000001e-09,2.5,10000000000000000,"
				   "0.10000000000000001,7,7.5],";
	for (unsigned with_list = 0; with_list < 2; with_list++) {
		unsigned bits = with_list ? ALL : ALL & ~(1u << AGGREGATE_LIST);
		struct partial *plain = a_partial();
		for (uint64_t i = 0; i < 8; i++)
			add(plain, bits, 10 + i, values[i]);
		char expected[500], *got = result_of(plain, bits), *grouped = in_groups(bits);
		snprintf(expected, sizeof expected,
			"{\"last\":7.5,\"min\":-3,\"max\":1e+16,\"mean\":1250000000000001.8,\"count\":8,%s"
			"\"start\":1,\"end\":2}",
			with_list ? list : "");
		CU_ASSERT_STRING_EQUAL(got, expected);
		CU_ASSERT_STRING_EQUAL(grouped, expected);
		free(got);
		free(grouped);
	}
}

static void add_with_qos(struct partial *partial, uint64_t seq, uint8_t qos)
{
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_str("1"), .qos = qos};
	struct message *msg = message_new(&view);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	CU_ASSERT_EQUAL(partial_add(partial, 1u << AGGREGATE_COUNT, seq, msg, (struct slice){NULL, 0}), 0);
	message_unref(msg);
}

static void test_qos(void)
{
	struct partial *folded = a_partial(), *whole = a_partial();
	struct arena arena = {.blocks = NULL};
	struct message_view view;
	add_with_qos(folded, 1, 2);
	add_with_qos(folded, 2, 0);
	fold_into(folded, whole, 1u << AGGREGATE_COUNT, 3);
	add_with_qos(whole, 4, 1);
	CU_ASSERT_EQUAL(partial_result(whole, 1u << AGGREGATE_COUNT, 1, 2, &arena, &view), 0);
	CU_ASSERT_EQUAL(view.qos, 2);
	arena_free(&arena);
	partial_free(whole);
}

static void test_bad_states(void)
{
	static const char *const bad[] = {"", "x", "63", "63 1 0 0 1 1 0x0p+0 0x0p+0 0", "63 1 0 1 1 1 nan 0 0",
		"63 1 0 1 1 1 0 0 99", "63 1 0 1 1 1 0 0 2 1", "99999999999999999999999 1 0 1 1 1 0 0 0",
		"16 1 0 1 1 1 0 0 0"};
	struct partial *partial = a_partial();
	struct message *msg = a_message(1);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_EQUAL(partial_add(partial, ALL, 1, msg, slice_str(bad[i])), -EINVAL);
	CU_ASSERT(partial->n_seqs == 0 && partial->n_items == 0 && partial->count == 0);
	message_unref(msg);
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = slice_str("\"x\"")};
	msg = message_new(&view);
	CU_ASSERT_EQUAL(partial_add(partial, ALL, 1, msg, (struct slice){NULL, 0}), -EINVAL);
	message_unref(msg);
	partial_free(partial);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"sums", test_sums},
		{"sums in any order", test_any_order},
		{"groups in any order", test_groups},
		{"the highest QoS of all, also of those that were folded", test_qos},
		{"states that are none", test_bad_states},
		{NULL, NULL},
	};
	return tap_main("partial results", tests);
}
