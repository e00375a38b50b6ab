/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads and writes one header.
 */
#include "routing/hops.h"

#include <errno.h>
#include <stdbool.h>

#define MAX_DIGITS 9

static bool is_hops(const struct message_field *header)
{
	return slice_equal(header->name, slice_str(HOPS_HEADER));
}

static unsigned parse(struct slice text)
{
	unsigned value = 0;
	if (text.len == 0 || text.len > MAX_DIGITS)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		value = value * 10 + (text.data[i] - '0');
	}
	return value;
}

unsigned hops_received(const struct message_view *view)
{
	unsigned most = 0;
	for (size_t i = 0; i < view->n_headers; i++) {
		unsigned hops = is_hops(&view->headers[i]) ? parse(view->headers[i].value) : 0;
		most = hops > most ? hops : most;
	}
	return most;
}

int hops_write(struct message_view *view, unsigned hops, struct arena *arena)
{
	struct message_field *headers = arena_alloc(arena, (view->n_headers + 1) * sizeof *headers);
	if (!headers)
		return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < view->n_headers; i++)
		if (!is_hops(&view->headers[i]))
			headers[n++] = view->headers[i];
	if (n < MESSAGE_MAX_FIELDS)
		headers[n++] = (struct message_field){slice_str(HOPS_HEADER),
			hops == 1 ? slice_str("1") : slice_str(arena_printf(arena, "%u", hops))};
	view->headers = headers;
	view->n_headers = n;
	return 0;
}
