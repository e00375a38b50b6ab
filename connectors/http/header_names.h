/* SPDX-License-Identifier: Apache-2.0
 *
 * Which headers cross: those of a message on their way into a request, and those of a request on their way into a message.
 * What frames a message, belongs to one connection or is a credential never does.
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_HEADER_NAMES_H
#define LINKSPAN_CONNECTORS_HTTP_HEADER_NAMES_H

#include "message/message.h"
#include "routing/arena.h"

/* --- out -------------------------------------------------------------------------------------------------------------- */

/* As struct connector, fit_header, for a sender: the name becomes a lower-case token of RFC 9110 §5.6.2 (`-` for what cannot
 * stand in one), control characters of the value %XX, values that are no text as routing/header_text.h says. A header
 * of a message that must not be passed on (credentials, framing, host, hop-by-hop, webhook-…, idempotency-key;
 * content-type, which a message has as a field) comes back with an absent name: it is left out. One that the mapping sets is
 * refused only if it frames the request or linkspan itself makes it. The value of a CloudEvent's attribute (ce-…) is
 * percent-encoded as the binding asks for, but with `cloudevents`: then the request is made of them.
 * A value may be empty: curl wants such a header as `name;`. */
int header_names_fit(bool cloudevents, const struct message_field *field, bool set_by_mapping, struct arena *arena,
	struct message_field *ret_field, const char **ret_reason) __attribute__((warn_unused_result));
/* May a mapping set a header of that name? NULL, or why not and what would be right, one static sentence. */
const char *header_names_check_set(struct slice name);

/* --- in --------------------------------------------------------------------------------------------------------------- */

/* Of one request: more is refused (431). */
#define HEADER_NAMES_MAX_N     64
#define HEADER_NAMES_MAX_BYTES (16u * 1024) /* names and values */

/* Does a request's header of that name (any case) become one of the message? Not: credentials (also any name with token,
 * secret, password, api-key in it), cookies, framing, hop-by-hop, host, conditions and wishes about the answer,
 * content-type, idempotency-key. */
bool header_names_kept(struct slice name);

/* Collects headers, in order. A zeroed one with an arena set is empty. */
struct header_names {
	struct arena *arena; /* borrowed; holds the copies */
	struct message_field fields[HEADER_NAMES_MAX_N];
	size_t n;
	size_t bytes;
};
/* Takes a copy of a header if it is kept, its name in lower case. 0; -E2BIG: more than a message takes; -ENOMEM. */
int header_names_add(struct header_names *names, struct slice name, struct slice value)
	__attribute__((warn_unused_result));

#endif
