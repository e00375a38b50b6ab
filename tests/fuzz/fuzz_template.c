/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates: the template on the first line, then the topic, the key, and the payload to the end. Checking and compiling
 * must agree, and rendering must come back with a text or a reason.
 */
#include <errno.h>
#include <string.h>

#include "routing/arena.h"
#include "routing/json.h"
#include "routing/template.h"
#include "tests/fuzz/fuzz.h"

#define MAX_TEMPLATE 1024
#define MAX_JSON     (64u * 1024)

static const char *const names[] = {"line", "cell", "unbound"};

static struct slice take_line(struct slice *rest)
{
	const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	struct slice line = slice_of(rest->data, end ? (size_t)(end - rest->data) : rest->len);
	size_t used = end ? line.len + 1 : line.len;
	*rest = slice_of(rest->data + used, rest->len - used);
	return line;
}

static void render(const struct template *tpl, const struct message_view *view)
{
	const struct slice captures[] = {view->topic, slice_str("7"), {NULL, 0}};
	struct json_payload json = {.text = view->payload, .limit_bytes = MAX_JSON};
	struct template_source source = {.view = view, .captures = captures, .json = &json};
	struct arena arena = {0};
	struct slice text = {NULL, 0}, again = {NULL, 0};
	const char *reason = NULL;
	int err = template_render(tpl, &source, &arena, &text, &reason);
	fuzz_require(err == 0 || (err == -EINVAL && reason && *reason));
	if (err == 0) {
		fuzz_require(text.data != NULL);
		fuzz_require(template_render(tpl, &source, &arena, &again, &reason) == 0);
		fuzz_require(slice_equal(text, again));
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of(data, size);
	struct slice line = take_line(&rest);
	char text[MAX_TEMPLATE];
	if (line.len >= sizeof text || (line.len && memchr(line.data, 0, line.len)))
		return 0;
	if (line.len)
		memcpy(text, line.data, line.len);
	text[line.len] = '\0';
	const struct message_field header = {slice_str("site"), slice_str("north")};
	struct message_view view = {.headers = &header, .n_headers = 1};
	view.topic = take_line(&rest);
	view.key = take_line(&rest);
	view.payload = rest;

	struct template *tpl = NULL;
	size_t offset = 0;
	const char *wrong = template_check(text, names, 3, &offset);
	int err = template_new(text, names, 3, &tpl);
	fuzz_require(wrong ? err == -EINVAL && offset <= line.len : err == 0);
	if (!err)
		render(tpl, &view);
	template_free(tpl);
	return 0;
}
