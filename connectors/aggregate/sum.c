/* SPDX-License-Identifier: Apache-2.0
 *
 * Each addition leaves a rounded result and the exact error of it, which is a double too.
 */
#include "connectors/aggregate/sum.h"

#include <math.h>

void sum_add(struct sum *sum, double number)
{
	unsigned n = 0;
	for (unsigned i = 0; i < sum->n; i++) {
		double other = sum->parts[i];
		if (fabs(number) < fabs(other)) {
			double larger = other;
			other = number;
			number = larger;
		}
		double high = number + other, low = other - (high - number);
		if (low != 0)
			sum->parts[n++] = low;
		number = high;
	}
	sum->too_large |= !isfinite(number) || n == SUM_PARTS;
	if (sum->too_large)
		return;
	sum->parts[n++] = number;
	sum->n = n;
}

/* From the largest part on, until one is lost in rounding: what is below that decides a tie only. */
double sum_value(const struct sum *sum)
{
	unsigned n = sum->n;
	double high = 0, low = 0;
	if (sum->too_large)
		return INFINITY;
	while (n > 0 && low == 0) {
		double before = high, part = sum->parts[--n];
		high = before + part;
		low = part - (high - before);
	}
	if (n > 0 && ((low < 0 && sum->parts[n - 1] < 0) || (low > 0 && sum->parts[n - 1] > 0))) {
		double twice = low * 2, next = high + twice;
		if (next - high == twice)
			high = next;
	}
	return high;
}
