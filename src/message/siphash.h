/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-2-4 with 128 bits of output (Aumasson and Bernstein): a keyed hash whose collisions nobody who lacks the key
 * can look for, and the same for a key in every process. Pure; any thread.
 */
#ifndef LINKSPAN_MESSAGE_SIPHASH_H
#define LINKSPAN_MESSAGE_SIPHASH_H

#include "message/slice.h"

#define SIPHASH_KEY_LEN 16
#define SIPHASH_LEN     16

void siphash(const uint8_t key[SIPHASH_KEY_LEN], struct slice input, uint8_t ret_hash[SIPHASH_LEN]);

#endif
