/* SPDX-License-Identifier: Apache-2.0
 *
 * What `linkspan queue` shows to people: the table of destinations, and messages one by one.
 */
#ifndef LINKSPAN_CLI_QUEUE_SHOW_H
#define LINKSPAN_CLI_QUEUE_SHOW_H

#include <stdio.h>

#include "cli/message_json.h"

void queue_show_head(FILE *out);
/* row: the JSON object of a destination. now_ms: since the epoch, for ages. */
void queue_show_row(FILE *out, struct slice row, uint64_t now_ms);
void queue_show_message(FILE *out, const struct message_view *view, const struct message_json *about, uint64_t now_ms);

/* A number of a JSON object; 0 if it is not there. */
uint64_t queue_show_number(struct slice object, const char *name);

#endif
