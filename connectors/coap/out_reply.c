/* SPDX-License-Identifier: Apache-2.0
 *
 * Options become headers as text; those that hold no text are left out.
 */
#include "connectors/coap/out_reply.h"

#include <coap3/coap.h>
#include <errno.h>
#include <stdio.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/out_verdict.h"
#include "connectors/coap/path.h"

#define MOST_HEADERS 5u

static int append_location(const coap_pdu_t *pdu, struct buffer *target)
{
	coap_opt_iterator_t iterator;
	coap_opt_t *option;
	int err = 0;
	coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
	while (!err && (option = coap_option_next(&iterator))) {
		struct slice value = slice_of(coap_opt_value(option), coap_opt_length(option));
		if (iterator.number == COAP_OPTION_LOCATION_PATH)
			err = coap_target_add_path(target, value);
		else if (iterator.number == COAP_OPTION_LOCATION_QUERY)
			err = coap_target_add_query(target, value);
	}
	return err;
}

/* Absent: there is none, or it is too long. */
static int find_location(const coap_pdu_t *pdu, struct arena *arena, struct slice *ret_text)
{
	struct buffer target;
	*ret_text = slice_of(NULL, 0);
	buffer_init(&target, COAP_TOPIC_MAX);
	int err = pdu ? append_location(pdu, &target) : 0;
	if (!err && target.len > 0) {
		*ret_text = arena_copy(arena, buffer_slice(&target));
		err = ret_text->data ? 0 : -ENOMEM;
	}
	buffer_free(&target);
	return err == -ENOBUFS ? 0 : err;
}

static const char *hex(struct slice bytes, struct arena *arena)
{
	char text[2 * 8 + 1] = "";
	for (size_t i = 0; i < bytes.len && i < 8; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
	return arena_printf(arena, "%s", text);
}

static void add(struct message_field *fields, size_t *n, const char *name, struct slice value)
{
	fields[(*n)++] = (struct message_field){slice_str(name), value};
}

static int make_headers(
	const struct coap_call_response *response, struct arena *arena, struct message_field *fields, size_t *n)
{
	char code[COAP_CODE_SIZE];
	struct slice location;
	coap_code_print(response->code, code);
	add(fields, n, COAP_CODE_HEADER, slice_str(arena_printf(arena, "%s", code)));
	if (response->cut)
		add(fields, n, COAP_CUT_HEADER, slice_str("true"));
	int err = find_location(response->pdu, arena, &location);
	if (location.data)
		add(fields, n, COAP_LOCATION_HEADER, location);
	if (response->etag.len)
		add(fields, n, COAP_ETAG_HEADER, slice_str(hex(response->etag, arena)));
	if (response->has_max_age)
		add(fields, n, COAP_MAX_AGE_HEADER, slice_str(arena_printf(arena, "%u", response->max_age_s)));
	return err;
}

static int find_type(const struct coap_call_response *response, struct arena *arena, struct slice *ret_type)
{
	char text[CONTENT_FORMAT_SIZE];
	*ret_type = slice_of(NULL, 0);
	if (response->format < 0)
		return 0;
	*ret_type = arena_copy(arena, content_format_type((uint16_t)response->format, text));
	return ret_type->data ? 0 : -ENOMEM;
}

int coap_reply_make(
	const struct coap_call_response *response, uint64_t wall_ms, struct arena *arena, struct message_view *ret_view)
{
	struct message_field *fields = arena_alloc(arena, MOST_HEADERS * sizeof *fields);
	struct slice content_type;
	size_t n = 0;
	if (!fields)
		return -ENOMEM;
	int err = make_headers(response, arena, fields, &n);
	if (!err)
		err = find_type(response, arena, &content_type);
	if (err)
		return err;
	*ret_view = (struct message_view){
		.topic = slice_str(""),
		.payload = response->payload,
		.content_type = content_type,
		.headers = fields,
		.n_headers = n,
		.origin_ms = wall_ms,
	};
	return 0;
}
