/* SPDX-License-Identifier: Apache-2.0
 *
 * The time that a message says, as milliseconds since the epoch. Devices write it in many ways; those that can be told
 * from each other are read:
 *
 *     1764112345, 1764112345.678   seconds (below 10^11: until the year 5138)
 *     1764112345678                milliseconds (below 10^14), then microseconds (below 10^17), then nanoseconds
 *     1.764112345678e9             the same with an exponent, as in JSON
 *     2026-11-25T22:58:34.123Z     RFC 3339, with any number of decimals and any offset; lower case and a space for T
 *                                  are taken as well
 *
 * What is finer than a millisecond is cut off. Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_TIMESTAMP_H
#define LINKSPAN_CONNECTORS_KAFKA_TIMESTAMP_H

#include "message/slice.h"

/* Times before that come from clocks that have not been set. */
#define KAFKA_FIRST_YEAR_MS INT64_C(1577836800000) /* 2020 */

/* False if it is none of those. Times before the epoch are negative. */
bool kafka_timestamp_read(struct slice text, int64_t *ret_ms);

#endif
