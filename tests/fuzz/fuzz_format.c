/* SPDX-License-Identifier: Apache-2.0
 *
 * A payload in any format, from anywhere: the first byte says which. What is taken must be one JSON value, and be the same one after
 * it has been written in that format and read again; and whatever JSON there is must become CBOR that reads back.
 */
#include <errno.h>

#include "routing/arena.h"
#include "routing/format.h"
#include "routing/json.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES (1u << 20)

static struct arena arena;

/* CBOR has floating-point numbers in one form, JSON in many: so what has been through CBOR once stays the same. */
static struct slice through_cbor(struct slice json)
{
	struct slice cbor, again;
	const char *reason = NULL;
	int err = format_from_json(FORMAT_CBOR, json, &arena, &cbor, &reason);
	fuzz_require(err == 0 || (err == -EINVAL && reason));
	if (err)
		return (struct slice){NULL, 0};
	fuzz_require(format_to_json(FORMAT_CBOR, cbor, 8 * MAX_BYTES, &arena, &again, &reason) == 0);
	fuzz_require(!json_check(again, NULL));
	return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice json, payload, again;
	const char *reason = NULL;
	if (size == 0)
		return 0;
	arena_reset(&arena);
	enum format format = data[0] % FORMATS;
	struct slice input = slice_of(data + 1, size - 1);
	int err = format_to_json(format, input, MAX_BYTES, &arena, &json, &reason);
	fuzz_require(err == 0 || (err == -EINVAL && reason));
	if (err || (format == FORMAT_JSON && json_check(json, NULL)))
		return 0;
	fuzz_require(!json_check(json, NULL));
	struct slice once = through_cbor(json);
	if (once.data) {
		struct slice twice = through_cbor(once);
		fuzz_require(slice_equal(once, twice));
	}
	if (format == FORMAT_CBOR || format == FORMAT_JSON)
		return 0;
	fuzz_require(format_from_json(format, json, &arena, &payload, &reason) == 0);
	fuzz_require(slice_equal(payload, input));
	fuzz_require(format_to_json(format, payload, MAX_BYTES, &arena, &again, &reason) == 0);
	fuzz_require(slice_equal(json, again));
	return 0;
}
