/* SPDX-License-Identifier: Apache-2.0
 *
 * One walk over the headers.
 */
#include "connectors/http/in_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "message/utf8.h"

struct walk {
	struct in_head *head;
	const char *wrong;
	const char *expected; /* where the line before ended; NULL: the layout is not known */
	unsigned n_lengths, n_codings, n_hosts, n_authorizations, n_keys, n_ids;
};

static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_token_char((unsigned char)text[i]))
			return false;
	return len > 0;
}

static struct slice trimmed(const char *text, size_t len)
{
	while (len && (*text == ' ' || *text == '\t')) {
		text++;
		len--;
	}
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return slice_of(text, len);
}

static bool is_line_end(const char *at)
{
	return at[0] == '\0' && at[1] == '\0';
}

/* Does the line stand right behind the last one, with nothing but its colon and white space between name and value? */
static bool follows(struct walk *walk, const char *name, size_t name_len, const char *value, size_t value_len)
{
	if (!walk->expected)
		return true;
	if (!is_line_end(walk->expected) || name != walk->expected + 2)
		return false;
	if (value < name + name_len + 1)
		return false;
	for (const char *at = name + name_len + 1; at < value; at++)
		if (*at != ' ' && *at != '\t')
			return false;
	walk->expected = value + value_len;
	return true;
}

static inline bool named(const char *name, size_t len, const char *wanted)
{
	return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

static const char *read_length(struct walk *walk, struct slice value)
{
	if (walk->n_lengths++)
		return "the request has more than one Content-Length";
	if (value.len == 0 || value.len > 18)
		return "the request's Content-Length is no number that is possible";
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return "the request's Content-Length is no number";
		walk->head->length = walk->head->length * 10 + (value.data[i] - (unsigned)'0');
	}
	walk->head->has_length = true;
	return NULL;
}

static const char *read_coding(struct walk *walk, struct slice value)
{
	walk->head->chunked = true;
	if (walk->n_codings++ || !named((const char *)value.data, value.len, "chunked"))
		return "the request has another Transfer-Encoding than chunked";
	return NULL;
}

/* It becomes a property of a message, which is text. */
static const char *take_content_type(struct in_head *head, struct slice value)
{
	head->content_type = value;
	return utf8_valid(value) ? NULL : "the request's Content-Type is not UTF-8";
}

static const char *note(struct walk *walk, const char *name, size_t len, struct slice value)
{
	struct in_head *head = walk->head;
	if (named(name, len, "content-length"))
		return read_length(walk, value);
	if (named(name, len, "transfer-encoding"))
		return read_coding(walk, value);
	if (named(name, len, "host"))
		return walk->n_hosts++ ? "the request has more than one Host" : NULL;
	/* What is signed or compared must be what is used. */
	if (named(name, len, "authorization"))
		return walk->n_authorizations++ ? "the request has more than one Authorization" : NULL;
	if (named(name, len, "idempotency-key")) {
		head->idempotency_key = value;
		return walk->n_keys++ ? "the request has more than one Idempotency-Key" : NULL;
	}
	if (named(name, len, "webhook-id")) {
		head->webhook_id = value;
		return walk->n_ids++ ? "the request has more than one webhook-id" : NULL;
	}
	if (named(name, len, "expect"))
		head->expects = true;
	else if (named(name, len, "content-type"))
		return take_content_type(head, value);
	else if (named(name, len, "if-none-match"))
		head->none_match = value;
	return NULL;
}

static enum MHD_Result on_header(
	void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct walk *walk = arg;
	(void)kind;
	value = value ? value : "";
	if (!is_token(name, name_len))
		walk->wrong = "the request has a header whose name is no token";
	else if (!follows(walk, name, name_len, value, value_len))
		walk->wrong = "the request has a header line that is folded, or ends with a bare LF, or holds a NUL";
	for (size_t i = 0; i < value_len && !walk->wrong; i++)
		if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
			walk->wrong = "the request has a header with a control character";
	if (!walk->wrong)
		walk->wrong = note(walk, name, name_len, trimmed(value, value_len));
	return walk->wrong ? MHD_NO : MHD_YES;
}

static bool layout_is_known(void)
{
	const char *version = MHD_get_version();
	return strncmp(version, "0.9.75", 6) == 0 || strncmp(version, "0.9.76", 6) == 0;
}

const char *in_head_read(struct MHD_Connection *connection, const char *method, const char *version, const char *target,
	size_t target_len, struct in_head *ret_head)
{
	struct walk walk = {.head = ret_head};
	*ret_head = (struct in_head){.length = 0};
	if (layout_is_known()) {
		/* One space each, and no NUL within. */
		if (!target || target != method + strlen(method) + 1 || version != target + target_len + 1)
			return "the request's first line is malformed";
		walk.expected = version + strlen(version);
	}
	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &walk);
	if (walk.wrong)
		return walk.wrong;
	if (walk.expected && (!is_line_end(walk.expected) || !is_line_end(walk.expected + 2)))
		return "the request has a line that ends with a bare LF, or holds a NUL";
	if (walk.n_lengths && walk.n_codings)
		return "the request has both Content-Length and Transfer-Encoding";
	if (walk.n_codings && strcmp(version, MHD_HTTP_VERSION_1_1) != 0)
		return "the request has a Transfer-Encoding, which HTTP/1.0 does not know";
	return NULL;
}

struct slice in_head_value(struct MHD_Connection *connection, const char *name)
{
	const char *value = NULL;
	size_t len = 0;
	if (MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, name, strlen(name), &value, &len) != MHD_YES)
		return (struct slice){NULL, 0};
	return value ? trimmed(value, len) : slice_of("", 0);
}
