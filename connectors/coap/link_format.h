/* SPDX-License-Identifier: Apache-2.0
 *
 * What /.well-known/core lists, in the CoRE Link Format (RFC 6690), and which links a request's query asks for (§4.1).
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_LINK_FORMAT_H
#define LINKSPAN_CONNECTORS_COAP_LINK_FORMAT_H

#include "message/buffer.h"

struct link_format_link {
	struct slice path; /* a topic that begins with "/", not percent-encoded */
	struct slice rt; /* resource types, blanks between them; absent or empty: none */
	struct slice title; /* the same */
	int content_format; /* ct; negative: none */
	bool observable;
};

/* NULL if it can stand there, else what is wrong and what would be right, one static sentence. */
const char *link_format_check_rt(struct slice rt); /* §2: relation types, one blank between two */
const char *link_format_check_title(struct slice title);

/* Appends the link, with a comma before it if there is one before. 0; -ENOBUFS: it would pass the buffer's limit, and nothing
 * has been appended; -ENOMEM; -EINVAL: rt or title cannot stand there. */
int link_format_append(struct buffer *out, const struct link_format_link *link) __attribute__((warn_unused_result));

/* Does the link have what one Uri-Query option asks for? `name=value`, `name=prefix*`: href, rt, title, ct; rt by each of its
 * values. A bare `name`: does it have that attribute? Several options: all of them. */
bool link_format_matches(const struct link_format_link *link, struct slice query);

#endif
