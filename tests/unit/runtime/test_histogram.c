/* SPDX-License-Identifier: Apache-2.0
 *
 * Every value falls into the first bucket whose bound it does not pass.
 */
#include "runtime/histogram.h"

#include "tests/unit/tap.h"

static const struct histogram_scale *const scales[] = {
	&histogram_short, &histogram_long, &histogram_number, &histogram_bytes};
#define N_SCALES (sizeof scales / sizeof scales[0])

static size_t n_bounds(const struct histogram_scale *scale)
{
	size_t n = 0;
	while (n < HISTOGRAM_MAX_BOUNDS && scale->bounds[n])
		n++;
	return n;
}

static void test_bounds(void)
{
	for (size_t s = 0; s < N_SCALES; s++) {
		size_t n = n_bounds(scales[s]);
		CU_ASSERT(n > 5);
		CU_ASSERT(scales[s]->per_unit > 0);
		for (size_t i = 1; i < n; i++)
			CU_ASSERT(scales[s]->bounds[i] > scales[s]->bounds[i - 1]);
	}
}

/* A bound itself belongs below it, as `le` says; one more belongs above. */
static void test_edges(void)
{
	for (size_t s = 0; s < N_SCALES; s++) {
		for (size_t i = 0; i < n_bounds(scales[s]); i++) {
			struct histogram histogram;
			histogram_init(&histogram, scales[s]);
			histogram_add(&histogram, scales[s]->bounds[i], 1);
			histogram_add(&histogram, scales[s]->bounds[i] + 1, 3);
			CU_ASSERT_EQUAL(histogram.counts[i], 1);
			CU_ASSERT_EQUAL(histogram.counts[i + 1], 3);
			CU_ASSERT_EQUAL(histogram.sum, 4 * scales[s]->bounds[i] + 3);
		}
	}
}

static void test_extremes(void)
{
	struct histogram histogram;
	histogram_init(&histogram, &histogram_long); /* has as many bounds as there may be */
	CU_ASSERT_EQUAL(n_bounds(&histogram_long), HISTOGRAM_MAX_BOUNDS);
	histogram_add(&histogram, 0, 5);
	histogram_add(&histogram, UINT64_MAX, 1);
	CU_ASSERT_EQUAL(histogram.counts[0], 5);
	CU_ASSERT_EQUAL(histogram.counts[HISTOGRAM_MAX_BOUNDS], 1);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"bounds increase", test_bounds},
		{"a bound belongs to its bucket", test_edges},
		{"nothing and more than everything", test_extremes},
		{NULL, NULL},
	};
	return tap_main("histogram", tests);
}
