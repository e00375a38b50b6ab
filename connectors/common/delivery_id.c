/* SPDX-License-Identifier: Apache-2.0
 *
 * By hand: it is done for each message, and snprintf would be half of what making a request costs.
 */
#include "connectors/common/delivery_id.h"

#include <string.h>

#define UUID_LEN   16
#define BASE32_LEN 26 /* of a UUID, without padding */

static void write_base32(const uint8_t uuid[UUID_LEN], char out[BASE32_LEN + 1])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 §6 */
	for (unsigned i = 0; i < BASE32_LEN; i++) {
		unsigned bit = i * 5, byte = bit / 8;
		unsigned two = (unsigned)uuid[byte] << 8 | (byte + 1 < UUID_LEN ? uuid[byte + 1] : 0);
		out[i] = digits[two >> (11 - bit % 8) & 31];
	}
	out[BASE32_LEN] = '\0';
}

static size_t append_number(char *text, size_t len, uint64_t number)
{
	char digits[20];
	size_t n = 0;
	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	while (n > 0)
		text[len++] = digits[--n];
	text[len] = '\0';
	return len;
}

size_t delivery_id(const uint8_t uuid[16], uint64_t seq, char ret_id[DELIVERY_ID_SIZE])
{
	static const char prefix[] = "msg_";
	size_t len = sizeof prefix - 1;
	memcpy(ret_id, prefix, len);
	write_base32(uuid, ret_id + len);
	len += BASE32_LEN;
	ret_id[len++] = '.';
	return append_number(ret_id, len, seq);
}

size_t delivery_id_of_batch(const uint8_t uuid[16], uint64_t first, uint64_t last, char ret_id[DELIVERY_ID_SIZE])
{
	size_t len = delivery_id(uuid, first, ret_id);
	ret_id[len++] = '-';
	return append_number(ret_id, len, last);
}
