/* SPDX-License-Identifier: Apache-2.0
 *
 * Three ways to the same number: SSE4.2, ARMv8 CRC, and eight tables of 256 entries. The choice and the
 * tables are made by a constructor, before any thread exists.
 */
#include "journal/crc32c.h"

#include <string.h>

#include "message/endian.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, bits reversed */

static uint32_t table[8][256];
static uint32_t (*chosen)(uint32_t crc, const void *data, size_t len) = crc32c_portable;

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *in = data;
	crc = ~crc;
	for (; len >= 8; in += 8, len -= 8) {
		uint32_t low = crc ^ get_u32(in), high = get_u32(in + 4);
		crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
		      table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
		      table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
	}
	while (len--)
		crc = crc >> 8 ^ table[0][(crc ^ *in++) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *in = data;
	uint64_t state = ~crc;
	for (; len >= 8; in += 8, len -= 8)
		state = _mm_crc32_u64(state, get_u64(in));
	uint32_t rest = (uint32_t)state;
	while (len--)
		rest = _mm_crc32_u8(rest, *in++);
	return ~rest;
}
#elif defined(__aarch64__)
__attribute__((target("+crc"))) static uint32_t crc32c_armv8(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *in = data;
	crc = ~crc;
	for (; len >= 8; in += 8, len -= 8)
		crc = __crc32cd(crc, get_u64(in));
	while (len--)
		crc = __crc32cb(crc, *in++);
	return ~crc;
}
#endif

__attribute__((constructor)) static void crc32c_choose(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][i] = crc;
	}
	for (int t = 1; t < 8; t++)
		for (uint32_t i = 0; i < 256; i++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("sse4.2"))
		chosen = crc32c_sse42;
#elif defined(__aarch64__)
	if (getauxval(AT_HWCAP) & HWCAP_CRC32)
		chosen = crc32c_armv8;
#endif
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return chosen(crc, data, len);
}
