/* SPDX-License-Identifier: Apache-2.0
 *
 * Inserting the environment and files into scalars.
 */
#include "config/interpolate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/memory.h"
#include "config/suggest.h"

struct insertion {
	struct node *node;
	struct report *report;
	const char *text; /* as written */
	char *out;
	size_t len, room; /* out is followed by zeros */
};

static void append(struct insertion *in, const char *text, size_t len)
{
	if (in->len + len >= in->room) {
		in->room = (in->len + len + 1) * 2;
		char *larger = memory_zero(in->room);
		if (in->out)
			memcpy(larger, in->out, in->len);
		free(in->out);
		in->out = larger;
	}
	memcpy(in->out + in->len, text, len);
	in->len += len;
}

static void append_secret(struct insertion *in, const char *text)
{
	report_add_secret(in->report, text);
	in->node->interpolated = true;
	append(in, text, strlen(text));
}

static void complain(struct insertion *in, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void complain(struct insertion *in, const char *at, const char *format, ...)
{
	int line, column;
	node_place(in->node, in->text, (size_t)(at - in->text), &line, &column);
	va_list args;
	va_start(args, format);
	report_mistake_args(in->report, in->node->source, line, column, format, args);
	va_end(args);
	in->node->interpolated = true; /* what it should be is unknown: no mistakes about its text on top */
	in->node->failed = true;
}

static void insert_env(struct insertion *in, const char *at, const char *name)
{
	const char *value = getenv(name);
	if (!*name)
		complain(in, at, "'${env:}' names no variable; write ${env:NAME}");
	else if (!value && strstr(name, ":-"))
		complain(in, at,
			"the environment variable '%s' is not set; there are no defaults as in a shell, so write the "
			"name alone and set it before linkspan starts",
			name);
	else if (!value)
		complain(in, at, "the environment variable '%s' is not set; set it before linkspan starts", name);
	else
		append_secret(in, value);
}

static void insert_file(struct insertion *in, const char *at, const char *name)
{
	char *path = source_join(in->node->source->folder, name), *text;
	size_t len;
	int r = *name ? source_read_file(path, INTERPOLATE_MAX_FILE, &text, &len) : -ENOENT;
	free(path);
	if (!*name) {
		complain(in, at, "'${file:}' names no file; write ${file:PATH}");
	} else if (r == -EFBIG) {
		complain(in, at, "the file '%s' is larger than 1 MiB; name a smaller one", name);
	} else if (r == -EINVAL) {
		complain(in, at, "'%s' is not a regular file; name a regular file", name);
	} else if (r < 0) {
		complain(in, at, "the file '%s' cannot be read: %s; a relative path starts at the folder of this file",
			name, strerror(-r));
	} else {
		if (strlen(text) != len)
			complain(in, at, "the file '%s' holds a NUL character; only text can be inserted", name);
		if (len > 0 && text[len - 1] == '\n')
			text[--len] = '\0';
		if (len > 0 && text[len - 1] == '\r')
			text[--len] = '\0';
		append_secret(in, text);
		free(text);
	}
}

/* What stands for a variable in other programs: NAME, env.NAME, ENV:NAME. NULL: nothing of the kind. */
static const char *likely_variable(const char *name)
{
	if (strncasecmp(name, "env", 3) == 0 && name[3] && strchr(".:_ ", name[3]))
		name += 4;
	name += strspn(name, " ");
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
	return len > 0 && !name[len] ? name : NULL;
}

/* One ${…}: `at` is the dollar, `end` the closing brace. */
static void insert(struct insertion *in, const char *at, const char *end)
{
	char *name = memory_bytes(at + 2, (size_t)(end - at - 2));
	if (strncmp(name, "env:", 4) == 0)
		insert_env(in, at, name + 4);
	else if (strncmp(name, "file:", 5) == 0)
		insert_file(in, at, name + 5);
	else if (likely_variable(name))
		complain(in, at, "'${%s}' is unknown; write ${env:%s} for the environment variable", name,
			likely_variable(name));
	else if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] == '\0' && *name)
		complain(in, at,
			"'${%s}' is unknown; what a template inserts has no dollar, {%s}, and an environment variable "
			"is "
			"${env:NAME}",
			name, name);
	else
		complain(in, at, "'${%s}' is unknown; write ${env:NAME} or ${file:PATH}, and $${ stands for ${ itself",
			name);
	free(name);
}

void interpolate(struct node *node, struct report *report)
{
	if (!strstr(node->text, "${"))
		return;
	struct insertion in = {.node = node, .report = report, .text = node->text};
	const char *at = node->text;
	for (const char *dollar; (dollar = strstr(at, "${"));) {
		append(&in, at, (size_t)(dollar - at));
		if (dollar > at && dollar[-1] == '$') { /* $${: one of the dollars has been copied */
			append(&in, "{", 1);
			at = dollar + 2;
			continue;
		}
		const char *end = strchr(dollar, '}');
		if (!end) {
			complain(&in, dollar,
				"'${' is not closed; write ${env:NAME} or ${file:PATH}, and $${ stands for ${ itself");
			at = dollar + strlen(dollar);
			break;
		}
		insert(&in, dollar, end);
		at = end + 1;
	}
	append(&in, at, strlen(at));
	free(node->text);
	node->text = in.out;
}
