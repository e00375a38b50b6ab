/* SPDX-License-Identifier: Apache-2.0
 *
 * A message as one line of JSON, for `linkspan queue export` and `import`: nothing of a message_view is lost on the way
 * there and back. Bytes are a string where they are UTF-8, else {"base64": "…"}; what is absent is left out, but for a
 * payload, which is null then (doc/control-protocol.md, Messages as JSON).
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_CLI_MESSAGE_JSON_H
#define LINKSPAN_CLI_MESSAGE_JSON_H

#include <stdio.h>

#include "message/message.h"

#define MESSAGE_JSON_MAX (MESSAGE_MAX_ENCODED * 2u) /* bytes of a line that are read */

/* What is said beside the message. */
struct message_json {
	char destination[256]; /* "": not said */
	uint64_t seq; /* 0: not said */
	bool dead; /* a dead letter: */
	char reason[256];
	uint64_t died_ms, attempts;
};

/* One line, with its newline. What cannot be written shows in ferror(out). */
void message_json_write(FILE *out, const struct message_view *view, const struct message_json *about);

/* 0 with a message, which is the caller's; -EINVAL: one sentence in wrong; -ENOMEM. origin_ms: for a line that does not
 * say it. */
int message_json_read(struct slice line, uint64_t origin_ms, struct message **ret_msg, struct message_json *ret_about,
	char *wrong, size_t wrong_size) __attribute__((warn_unused_result));

/* Bytes as a JSON value: a string, or {"base64": "…"}, or null for an absent slice. */
void message_json_bytes(FILE *out, struct slice bytes);

#endif
