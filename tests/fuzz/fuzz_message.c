/* SPDX-License-Identifier: Apache-2.0
 *
 * The message's encoding, as it might stand in a damaged journal. What is taken must be encoded again to a message that
 * says the same, and a view must never point outside of its message.
 */
#include <errno.h>
#include <string.h>

#include "message/message.h"
#include "tests/fuzz/fuzz.h"

static bool same(struct slice a, struct slice b)
{
	return (a.data != NULL) == (b.data != NULL) && slice_equal(a, b);
}

static bool fields_equal(const struct message_field *a, const struct message_field *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!same(a[i].name, b[i].name) || !same(a[i].value, b[i].value))
			return false;
	return true;
}

static bool views_equal(const struct message_view *a, const struct message_view *b)
{
	return same(a->topic, b->topic) && same(a->payload, b->payload) && same(a->content_type, b->content_type) &&
	       same(a->key, b->key) && same(a->order_key, b->order_key) && same(a->response_topic, b->response_topic) &&
	       same(a->correlation, b->correlation) && same(a->reject_reason, b->reject_reason) &&
	       a->n_headers == b->n_headers && a->n_params == b->n_params &&
	       fields_equal(a->headers, b->headers, a->n_headers) && fields_equal(a->params, b->params, a->n_params) &&
	       a->origin_ms == b->origin_ms && a->expires_ms == b->expires_ms && a->qos == b->qos &&
	       a->retain == b->retain && a->utf8_payload == b->utf8_payload;
}

/* Reads every byte that the view points at, so that a sanitizer sees them. */
static uint64_t touch(const struct message_view *view)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < view->n_headers; i++) {
		for (size_t k = 0; k < view->headers[i].name.len; k++)
			sum += view->headers[i].name.data[k];
		for (size_t k = 0; k < view->headers[i].value.len; k++)
			sum += view->headers[i].value.data[k];
	}
	for (size_t k = 0; k < view->payload.len; k++)
		sum += view->payload.data[k];
	return sum + (message_header(view, "site").data != NULL) + (message_param(view, "partition").data != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message *msg = NULL, *again = NULL;
	int err = message_decode(slice_of(data, size), &msg);
	fuzz_require(err == 0 || err == -EBADMSG);
	if (err)
		return 0;
	const struct message_view *view = message_view(msg);
	fuzz_require(touch(view) < UINT32_MAX);
	fuzz_require(view->qos <= 2 && message_memory(msg) > 0);
	size_t len = message_encoded_size(view);
	fuzz_require(len > 0 && len <= size + 23); /* what was missing is written: the attributes */
	uint8_t *bytes = malloc(len);
	fuzz_require(bytes != NULL);
	message_encode(view, bytes);
	fuzz_require(message_decode(slice_of(bytes, len), &again) == 0);
	free(bytes);
	fuzz_require(views_equal(view, message_view(again)));
	message_unref(msg);
	message_unref(again);
	return 0;
}
