/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of names, and the way of a name and a value through them.
 */
#include "connectors/http/header_names.h"

#include <errno.h>
#include <strings.h>

#include "connectors/common/cloudevent.h"
#include "routing/header_text.h"

#define NAMES(list) list, sizeof(list) / sizeof((list)[0])

/* RFC 9110 §7.6.1, RFC 9112 §6: what frames a message and what is for one connection; and the host. */
static const char *const framing[] = {"connection", "content-length", "expect", "host", "http2-settings", "keep-alive",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"};

/* Whoever has shown us who it is has not shown it to those that we send to. */
static const char *const credentials[] = {"authorization", "cookie", "proxy-authenticate", "proxy-authorization",
	"set-cookie", "www-authenticate", "authentication-info"};

/* linkspan makes them. */
static const char *const ours[] = {"idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"};

/* Of a request and its answer, not of what it carries. */
static const char *const of_requests[] = {"content-type", "date", "forwarded", "from", "max-forwards", "origin",
	"range", "referer", "upgrade-insecure-requests", "user-agent", "via", "dnt", "priority", "alt-used"};
static const char *const of_requests_prefixes[] = {"accept", "access-control-", "if-", "sec-", "x-forwarded-"};

/* In the middle of any name they mean that the value opens something: x-gitlab-token, x-api-key. */
static const char *const secretive[] = {
	"token", "secret", "password", "api-key", "apikey", "credential", "authorization", "cookie"};

static bool equals(struct slice name, const char *text)
{
	return name.len == strlen(text) && strncasecmp((const char *)name.data, text, name.len) == 0;
}

static bool begins(struct slice name, const char *text)
{
	size_t len = strlen(text);
	return name.len >= len && strncasecmp((const char *)name.data, text, len) == 0;
}

static bool is_one_of(struct slice name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (equals(name, list[i]))
			return true;
	return false;
}

static bool begins_with_one_of(struct slice name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (begins(name, list[i]))
			return true;
	return false;
}

static bool is_secretive(struct slice name)
{
	for (size_t i = 0; i < sizeof secretive / sizeof secretive[0]; i++)
		for (size_t at = 0; at < name.len; at++)
			if (begins(slice_of(name.data + at, name.len - at), secretive[i]))
				return true;
	return false;
}

static bool is_of_requests(struct slice name)
{
	return is_one_of(name, NAMES(of_requests)) || begins_with_one_of(name, NAMES(of_requests_prefixes));
}

/* RFC 9110 §5.6.2 */
static bool is_token_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

/* A lower-case token. Absent: memory is out. */
static struct slice fit_name(struct slice name, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, name.len);
	if (!out)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < name.len; i++)
		out[i] = is_token_char(name.data[i]) ? lower(name.data[i]) : '-';
	return slice_of(out, name.len);
}

static bool is_control(uint8_t c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

static struct slice fit_value(struct slice value, struct arena *arena)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n_controls = 0, len = 0;
	for (size_t i = 0; i < value.len; i++)
		n_controls += is_control(value.data[i]);
	if (n_controls == 0)
		return value.data ? value : slice_str("");
	uint8_t *out = arena_alloc(arena, value.len + 2 * n_controls);
	if (!out)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		out[len++] = is_control(c) ? '%' : c;
		if (is_control(c)) {
			out[len++] = (uint8_t)digits[c >> 4];
			out[len++] = (uint8_t)digits[c & 15];
		}
	}
	return slice_of(out, len);
}

/* A header that a message has brought. The name is fit. */
static bool is_passed_on(bool cloudevents, struct slice name)
{
	if (name.len == 0 || is_one_of(name, NAMES(framing)) || is_one_of(name, NAMES(credentials)) ||
		is_of_requests(name))
		return false;
	if (cloudevents && equals(name, "ce-datacontenttype"))
		return false;
	return !is_one_of(name, NAMES(ours)) && !begins(name, "webhook-");
}

const char *header_names_check_set(struct slice name)
{
	if (name.len == 0)
		return "a header needs a name";
	for (size_t i = 0; i < name.len; i++)
		if (!is_token_char(name.data[i]))
			return "this cannot be the name of an HTTP header; letters, digits and - are right";
	if (equals(name, "content-type"))
		return "the content type is no header here; set it with content_type";
	if (equals(name, "host"))
		return "the host is that of the url; write it there";
	if (is_one_of(name, NAMES(framing)))
		return "this header belongs to the connection, and linkspan sets it itself; leave it out";
	if (is_one_of(name, NAMES(ours)))
		return "linkspan makes this header itself, the same in all attempts; leave it out";
	return NULL;
}

int header_names_fit(bool cloudevents, const struct message_field *field, bool set_by_mapping, struct arena *arena,
	struct message_field *ret_field, const char **ret_reason)
{
	struct message_field text;
	int err = header_text_encode(field, arena, &text);
	if (err == -EINVAL) {
		if (!set_by_mapping) {
			*ret_field = (struct message_field){{NULL, 0}, {NULL, 0}};
			return 0;
		}
		*ret_reason = "a header's name is not UTF-8, so it cannot be one of HTTP";
	}
	if (err)
		return err;
	const char *wrong = set_by_mapping ? header_names_check_set(text.name) : NULL;
	if (wrong) {
		*ret_reason = wrong;
		return -EINVAL;
	}
	struct message_field fit = {fit_name(text.name, arena), fit_value(text.value, arena)};
	if (!fit.name.data || !fit.value.data)
		return -ENOMEM;
	/* With `cloudevents` it is the event's and is encoded with that. */
	if (!cloudevents && cloudevent_attribute(fit.name).data &&
		cloudevent_percent_encode(text.value, arena, &fit.value) < 0)
		return -ENOMEM;
	if (!set_by_mapping && !is_passed_on(cloudevents, fit.name))
		fit = (struct message_field){{NULL, 0}, {NULL, 0}};
	*ret_field = fit;
	return 0;
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

bool header_names_kept(struct slice name)
{
	if (name.len == 0 || is_one_of(name, NAMES(framing)) || is_one_of(name, NAMES(credentials)) ||
		is_secretive(name))
		return false;
	if (equals(name, "user-agent") || equals(name, "from"))
		return true; /* who has made it */
	return !is_of_requests(name) && !equals(name, "idempotency-key");
}

int header_names_add(struct header_names *names, struct slice name, struct slice value)
{
	if (!header_names_kept(name))
		return 0;
	if (names->n == HEADER_NAMES_MAX_N || name.len + value.len > HEADER_NAMES_MAX_BYTES - names->bytes)
		return -E2BIG;
	struct slice copy =
		arena_copy(names->arena, slice_of(value.data ? value.data : (const uint8_t *)"", value.len));
	uint8_t *small = arena_alloc(names->arena, name.len);
	if (!copy.data || !small)
		return -ENOMEM;
	for (size_t i = 0; i < name.len; i++)
		small[i] = lower(name.data[i]);
	names->fields[names->n++] = (struct message_field){slice_of(small, name.len), copy};
	names->bytes += name.len + value.len;
	return 0;
}
