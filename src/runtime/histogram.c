/* SPDX-License-Identifier: Apache-2.0
 *
 * The scales.
 */
#include "runtime/histogram.h"

#define MS  UINT64_C(1000)
#define SEC (1000 * MS)
#define KIB UINT64_C(1024)

const struct histogram_scale histogram_short = {
	.bounds = {10, 25, 50, 100, 250, 500, 1 * MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
		500 * MS, 1 * SEC, 5 * SEC / 2, 5 * SEC, 10 * SEC},
	.per_unit = SEC,
};

const struct histogram_scale histogram_long = {
	.bounds = {100, 250, 500, 1 * MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS,
		1 * SEC, 5 * SEC / 2, 10 * SEC, 60 * SEC, 600 * SEC, 3600 * SEC, 24 * 3600 * SEC, 7 * 24 * 3600 * SEC},
	.per_unit = SEC,
};

const struct histogram_scale histogram_number = {
	.bounds = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000},
	.per_unit = 1,
};

const struct histogram_scale histogram_bytes = {
	.bounds = {4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, 1024 * KIB,
		2048 * KIB, 4096 * KIB},
	.per_unit = 1,
};
