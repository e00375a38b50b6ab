/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON, two spaces a level, or on one line.
 */
#include "config/json_writer.h"

#include <inttypes.h>

static void json_quoted(struct json_writer *json, const char *text)
{
	fputc('"', json->out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(json->out, "\\%c", c);
		else if (c < ' ')
			fprintf(json->out, "\\u%04x", c);
		else
			fputc(c, json->out);
	}
	fputc('"', json->out);
}

static void json_begin(struct json_writer *json, const char *name)
{
	if (json->filled)
		fputc(',', json->out);
	if (json->depth && !json->compact)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	if (name) {
		json_quoted(json, name);
		fputs(": ", json->out);
	}
	json->filled = true;
}

void json_open(struct json_writer *json, const char *name, char bracket)
{
	json_begin(json, name);
	fputc(bracket, json->out);
	json->depth++;
	json->filled = false;
}

void json_close(struct json_writer *json, char bracket)
{
	json->depth--;
	if (json->filled && !json->compact)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	fputc(bracket, json->out);
	json->filled = true;
	if (json->depth == 0)
		fputc('\n', json->out);
}

void json_text(struct json_writer *json, const char *name, const char *text)
{
	json_begin(json, name);
	json_quoted(json, text);
}

void json_int(struct json_writer *json, const char *name, int64_t number)
{
	json_begin(json, name);
	fprintf(json->out, "%" PRId64, number);
}

void json_number(struct json_writer *json, const char *name, const char *digits)
{
	json_begin(json, name);
	fputs(digits, json->out);
}

void json_bool(struct json_writer *json, const char *name, bool value)
{
	json_begin(json, name);
	fputs(value ? "true" : "false", json->out);
}
