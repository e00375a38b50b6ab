/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of everything in the journal. The processor's own
 * instruction is used where there is one, found out once at start.
 *
 * Any thread; no state.
 */
#ifndef LINKSPAN_JOURNAL_CRC32C_H
#define LINKSPAN_JOURNAL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, the value of the bytes before (0 at the beginning). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the processor's instruction: for tests, and for processors that have none. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
