/* SPDX-License-Identifier: Apache-2.0
 *
 * How long to wait before the next try to reach a cluster.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_BACKOFF_H
#define LINKSPAN_CONNECTORS_KAFKA_BACKOFF_H

#include <stdint.h>

/* After so many failures in a row: milliseconds, with full jitter, up to a minute. */
uint64_t kafka_backoff_ms(unsigned failures);

#endif
