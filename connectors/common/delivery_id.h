/* SPDX-License-Identifier: Apache-2.0
 *
 * The id of a delivery, by which a receiver knows it again: made of what the journal keeps, so it is the same in all
 * attempts and after every restart, and needs no place of its own.
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_DELIVERY_ID_H
#define LINKSPAN_CONNECTORS_COMMON_DELIVERY_ID_H

#include <stddef.h>
#include <stdint.h>

/* `msg_`, 26 characters, two numbers; NUL included. */
#define DELIVERY_ID_SIZE 80

/* `msg_<destination uuid, base32>.<seq>`. Returns its length. */
size_t delivery_id(const uint8_t uuid[16], uint64_t seq, char ret_id[DELIVERY_ID_SIZE]);
/* Of a batch: `….<first>-<last>`. */
size_t delivery_id_of_batch(const uint8_t uuid[16], uint64_t first, uint64_t last, char ret_id[DELIVERY_ID_SIZE]);

#endif
