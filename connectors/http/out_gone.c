/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the table of keys, so that one that comes later is not forgotten.
 */
#include "connectors/http/out_gone.h"

#include <errno.h>

#include "message/buffer.h"
#include "message/siphash.h"

#define FORM       1
#define MOST_BYTES (4u * 1024 * 1024)

static int append_text(struct buffer *out, const char *text)
{
	return text ? buffer_append(out, slice_of(text, strlen(text) + 1)) : buffer_append(out, slice_of("\1", 1));
}

static int append_list(struct buffer *out, const struct config_list *list)
{
	int err = 0;
	for (size_t i = 0; i < list->n && !err; i++) {
		err = append_text(out, list->items[i].name);
		if (!err)
			err = append_text(out, list->items[i].value);
	}
	return err;
}

static int append_keys(struct buffer *out, const struct config_key *keys, const void *base);

static int append_value(struct buffer *out, const struct config_key *key, const void *value)
{
	switch (key->type) {
	case CONFIG_BOOL:
		return buffer_append(out, slice_of(value, sizeof(bool)));
	case CONFIG_INT:
		return buffer_append(out, slice_of(value, sizeof(int64_t)));
	case CONFIG_NUMBER:
		return buffer_append(out, slice_of(value, sizeof(double)));
	case CONFIG_DURATION:
	case CONFIG_SIZE:
		return buffer_append(out, slice_of(value, sizeof(uint64_t)));
	case CONFIG_ENUM:
		return buffer_append(out, slice_of(value, sizeof(int)));
	case CONFIG_LIST:
	case CONFIG_MAP:
		return append_list(out, value);
	case CONFIG_SECTION:
		return append_keys(out, key->children, value);
	default:
		return append_text(out, *(char *const *)value);
	}
}

/* Each with its name, so that a value cannot be taken for another key's. */
static int append_keys(struct buffer *out, const struct config_key *keys, const void *base)
{
	int err = 0;
	for (; keys->name && !err; keys++) {
		err = append_text(out, keys->name);
		if (!err)
			err = append_value(out, keys, (const char *)base + keys->offset);
	}
	return err;
}

int http_gone_blob(const struct http_settings *settings, const uint8_t uuid[16], uint8_t ret_blob[HTTP_GONE_SIZE])
{
	struct buffer text;
	buffer_init(&text, MOST_BYTES);
	int err = append_keys(&text, http_connection_keys, settings);
	if (!err) {
		ret_blob[0] = FORM;
		siphash(uuid, buffer_slice(&text), ret_blob + 1);
	}
	for (size_t i = 0; i < text.len; i++)
		((volatile uint8_t *)text.data)[i] = 0; /* it holds secrets */
	buffer_free(&text);
	return err;
}
