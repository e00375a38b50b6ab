/* SPDX-License-Identifier: Apache-2.0
 *
 * As in the reference implementation, with the constants of its 128-bit variant.
 */
#include "message/siphash.h"

#include "message/endian.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_rounds(struct sip *sip, unsigned n)
{
	for (; n; n--) {
		sip->v0 += sip->v1;
		sip->v1 = rotl(sip->v1, 13) ^ sip->v0;
		sip->v0 = rotl(sip->v0, 32);
		sip->v2 += sip->v3;
		sip->v3 = rotl(sip->v3, 16) ^ sip->v2;
		sip->v0 += sip->v3;
		sip->v3 = rotl(sip->v3, 21) ^ sip->v0;
		sip->v2 += sip->v1;
		sip->v1 = rotl(sip->v1, 17) ^ sip->v2;
		sip->v2 = rotl(sip->v2, 32);
	}
}

static void sip_word(struct sip *sip, uint64_t word)
{
	sip->v3 ^= word;
	sip_rounds(sip, 2);
	sip->v0 ^= word;
}

static uint64_t sip_finish(struct sip *sip)
{
	sip_rounds(sip, 4);
	return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

void siphash(const uint8_t key[SIPHASH_KEY_LEN], struct slice input, uint8_t ret_hash[SIPHASH_LEN])
{
	uint64_t k0 = get_u64(key), k1 = get_u64(key + 8);
	struct sip sip = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573};
	size_t whole = input.len & ~(size_t)7;
	for (size_t at = 0; at < whole; at += 8)
		sip_word(&sip, get_u64(input.data + at));
	uint64_t last = (uint64_t)input.len << 56;
	for (size_t i = whole; i < input.len; i++)
		last |= (uint64_t)input.data[i] << 8 * (i - whole);
	sip_word(&sip, last);
	sip.v2 ^= 0xee;
	put_u64(ret_hash, sip_finish(&sip));
	sip.v1 ^= 0xdd;
	put_u64(ret_hash + 8, sip_finish(&sip));
}
