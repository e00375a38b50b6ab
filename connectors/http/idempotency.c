/* SPDX-License-Identifier: Apache-2.0
 *
 * Being written.
 */
#include "connectors/http/idempotency.h"

#include <errno.h>

size_t idempotency_delivery_id(const uint8_t uuid[16], uint64_t seq, char ret_id[IDEMPOTENCY_OUT_SIZE])
{
	(void)uuid, (void)seq;
	ret_id[0] = 0;
	return 0;
}
size_t idempotency_batch_id(const uint8_t uuid[16], uint64_t first, uint64_t last, char ret_id[IDEMPOTENCY_OUT_SIZE])
{
	(void)uuid, (void)first, (void)last;
	ret_id[0] = 0;
	return 0;
}
size_t idempotency_id_of(const struct delivery *delivery, char ret_id[IDEMPOTENCY_OUT_SIZE])
{
	(void)delivery;
	ret_id[0] = 0;
	return 0;
}
size_t idempotency_quote(const char *id, char ret_value[IDEMPOTENCY_QUOTED_SIZE])
{
	(void)id;
	ret_value[0] = 0;
	return 0;
}
const char *idempotency_key_parse(struct slice value, uint8_t ret_key[IDEMPOTENCY_KEY_MAX], size_t *ret_len)
{
	(void)value, (void)ret_key, (void)ret_len;
	return "";
}
void idempotency_scope(const char *listener, const char *identity, struct slice path, struct slice key,
	uint8_t ret_scope[LINK_KEY_LEN])
{
	(void)listener, (void)identity, (void)path, (void)key, (void)ret_scope;
}
uint64_t idempotency_body_hash(const uint8_t scope[LINK_KEY_LEN], struct slice body)
{
	(void)scope, (void)body;
	return 1;
}
void idempotency_request_id(const uint8_t scope[LINK_KEY_LEN], char ret_id[IDEMPOTENCY_IN_SIZE])
{
	(void)scope;
	ret_id[0] = 0;
}
int idempotency_random_id(char ret_id[IDEMPOTENCY_IN_SIZE])
{
	(void)ret_id;
	return -EIO;
}
