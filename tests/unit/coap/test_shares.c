/* SPDX-License-Identifier: Apache-2.0
 *
 * Shares of a room: what one may have at most, and many holders at random beside a plain table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/coap/shares.h"
#include "tests/unit/tap.h"

static struct shares *made(void)
{
	struct shares *shares = NULL;
	CU_ASSERT_EQUAL_FATAL(shares_new(&shares), 0);
	return shares;
}

static void one_leaves_a_ninth(void)
{
	struct shares *shares = made();
	uint32_t numbers[80];
	unsigned n = 0;
	while (n < 80 && shares_may_take(shares, slice_str("a"), 90 - n))
		numbers[n++] = shares_take(shares, slice_str("a"));
	CU_ASSERT_EQUAL(n, 80);
	CU_ASSERT(!shares_may_take(shares, slice_str("a"), 10));
	CU_ASSERT(shares_may_take(shares, slice_str("a"), 11));
	CU_ASSERT(shares_may_take(shares, slice_str("b"), 10));
	CU_ASSERT(shares_may_take(shares, slice_str(""), 1));
	CU_ASSERT(!shares_may_take(shares, slice_str("b"), 0));
	shares_give(shares, numbers[3]);
	CU_ASSERT(shares_may_take(shares, slice_str("a"), 10));
	shares_give(shares, 0);
	shares_free(shares);
	shares_free(NULL);
}

#define N_HOLDERS 500
#define N_TAKEN   2000

/* May it have one more exactly as long as it has less than eight times what is left? */
static unsigned wrong_about(const struct shares *shares, const char *name, unsigned n)
{
	return (shares_may_take(shares, slice_str(name), n / SHARES_FACTOR + 1) ? 0u : 1u) +
	       (shares_may_take(shares, slice_str(name), n / SHARES_FACTOR) ? 1u : 0u);
}

static void agree_with_a_table(void)
{
	struct shares *shares = made();
	unsigned counts[N_HOLDERS] = {0}, n_wrong = 0;
	struct {
		unsigned holder;
		uint32_t number;
	} taken[N_TAKEN] = {{0, 0}};
	char name[16];
	srandom(11);
	for (int i = 0; i < 100000; i++) {
		unsigned at = (unsigned)random() % N_TAKEN;
		if (taken[at].number) {
			shares_give(shares, taken[at].number);
			counts[taken[at].holder]--;
			taken[at].number = 0;
			continue;
		}
		/* Some of them often, and more and more of them. */
		unsigned holder = (unsigned)random() % (random() % 3 ? N_HOLDERS * ((unsigned)i + 1) / 100000 + 1 : 4);
		taken[at].holder = holder < N_HOLDERS ? holder : 0;
		snprintf(name, sizeof name, "%u", taken[at].holder);
		taken[at].number = shares_take(shares, slice_str(name));
		counts[taken[at].holder]++;
		n_wrong += taken[at].number == 0;
		n_wrong += wrong_about(shares, name, counts[taken[at].holder]);
	}
	for (unsigned i = 0; i < N_HOLDERS; i++) {
		snprintf(name, sizeof name, "%u", i);
		n_wrong += wrong_about(shares, name, counts[i]);
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	shares_free(shares);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"one holder leaves a ninth of the room to others", one_leaves_a_ninth},
		{"many steps agree with a plain table", agree_with_a_table},
		{NULL, NULL},
	};
	return tap_main("coap shares", tests);
}
