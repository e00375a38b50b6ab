/* SPDX-License-Identifier: Apache-2.0
 *
 * A line that `linkspan queue import` reads, from anywhere. What is taken must be a message that the journal takes, and be
 * the same one when it is written and read again.
 */
#include <errno.h>

#include "cli/message_json.h"
#include "tests/fuzz/fuzz.h"

static uint8_t *encode(const struct message *msg, size_t *ret_len)
{
	*ret_len = message_encoded_size(message_view(msg));
	fuzz_require(*ret_len > 0);
	uint8_t *bytes = malloc(*ret_len);
	fuzz_require(bytes != NULL);
	message_encode(message_view(msg), bytes);
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char wrong[200] = "", *line = NULL;
	size_t len = 0, one_len, two_len;
	struct message *msg = NULL, *again = NULL;
	struct message_json about, same;
	int r = message_json_read(slice_of(data, size), 1, &msg, &about, wrong, sizeof wrong);
	fuzz_require(r == 0 || (r == -EINVAL && *wrong));
	if (r < 0)
		return 0;
	fuzz_require(message_view(msg)->topic.data && message_view(msg)->order_key.data && message_view(msg)->qos <= 2);
	FILE *out = open_memstream(&line, &len);
	fuzz_require(out != NULL);
	message_json_write(out, message_view(msg), &about);
	fuzz_require(fclose(out) == 0);
	fuzz_require(message_json_read(slice_of(line, len), 2, &again, &same, wrong, sizeof wrong) == 0);
	uint8_t *one = encode(msg, &one_len), *two = encode(again, &two_len);
	fuzz_require(one_len == two_len && memcmp(one, two, one_len) == 0);
	free(one);
	free(two);
	free(line);
	message_unref(msg);
	message_unref(again);
	return 0;
}
