/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes indented JSON. Members have a name, items of an array and the outermost value have none (NULL). Commas,
 * line breaks and escapes are done here; that what is opened is closed is the caller's.
 */
#ifndef LINKSPAN_CONFIG_JSON_WRITER_H
#define LINKSPAN_CONFIG_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
	FILE *out;
	unsigned depth;
	bool filled; /* the collection that is open has a member */
	bool compact; /* on one line */
};

void json_open(struct json_writer *json, const char *name, char bracket); /* '{' or '[' */
void json_close(struct json_writer *json, char bracket);
void json_text(struct json_writer *json, const char *name, const char *text); /* UTF-8 */
void json_int(struct json_writer *json, const char *name, int64_t number);
void json_number(struct json_writer *json, const char *name, const char *digits); /* as they are */
void json_bool(struct json_writer *json, const char *name, bool value);

#endif
