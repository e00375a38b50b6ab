/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk over nodes: looking up, placing, hiding, freeing. yaml_compose.c makes them.
 */
#include "config/yaml_tree.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void yaml_tree_free(struct yaml_tree *tree)
{
	if (!tree)
		return;
	for (struct node *node = tree->nodes, *next; node; node = next) {
		next = node->next;
		free(node->text);
		free(node->keys);
		free(node->items);
		free(node);
	}
	free(tree);
}

struct node *node_get(const struct node *map, const char *name)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->keys[i]->text, name) == 0)
			return map->items[i];
	return NULL;
}

bool node_is_null(const struct node *node)
{
	if (node->kind != NODE_SCALAR || node->style != STYLE_PLAIN || node->interpolated)
		return false;
	return !*node->text || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0;
}

static int characters(const char *text, size_t len)
{
	int n = 0;
	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* A literal block: its n-th line of text stands n lines below the `|`, indented by what the file says. */
static bool place_in_literal(const struct node *node, const char *text, size_t offset, int *ret_line, int *ret_column)
{
	size_t begin = 0;
	int line = node->line + 1;
	for (size_t i = 0; i < offset; i++)
		if (text[i] == '\n') {
			begin = i + 1;
			line++;
		}
	size_t len = strcspn(text + begin, "\n"), file_len;
	const char *in_file = source_line(node->source, line, &file_len);
	if (!in_file || file_len < len || memcmp(in_file + file_len - len, text + begin, len) != 0)
		return false;
	*ret_line = line;
	*ret_column = characters(in_file, file_len - len) + characters(text + begin, offset - begin) + 1;
	return true;
}

/* On one line and without escapes before the offset, what was read is what is written. */
static bool place_in_line(const struct node *node, const char *text, size_t offset, int *ret_line, int *ret_column)
{
	const struct source *source = node->source;
	size_t quote = node->style != STYLE_PLAIN;
	size_t begin = source_offset(source, node->line, node->column) + quote;
	if (memchr(text, '\n', offset) || begin + offset > source->len ||
		memcmp(source->text + begin, text, offset) != 0)
		return false;
	*ret_line = node->line;
	*ret_column = node->column + (int)quote + characters(text, offset);
	return true;
}

void node_place(const struct node *node, const char *text, size_t offset, int *ret_line, int *ret_column)
{
	bool found = false;
	if (node->style == STYLE_LITERAL)
		found = place_in_literal(node, text, offset, ret_line, ret_column);
	else if (node->style != STYLE_FOLDED)
		found = place_in_line(node, text, offset, ret_line, ret_column);
	if (!found) {
		*ret_line = node->line;
		*ret_column = node->column;
	}
}

static bool is_one_reference(const char *text, size_t len)
{
	while (len > 0 && strchr("\"' \t", text[0])) {
		text++;
		len--;
	}
	while (len > 0 && strchr("\"' \t\r\n", text[len - 1]))
		len--;
	const char *close = memchr(text, '}', len);
	return len > 3 && memcmp(text, "${", 2) == 0 && close == text + len - 1;
}

void node_hide(struct node *node, struct report *report)
{
	if (node->secret)
		return; /* also ends on shared nodes */
	node->secret = true;
	for (size_t i = 0; i < node->n; i++)
		node_hide(node->items[i], report);
	if (node->kind != NODE_SCALAR)
		return;
	size_t begin = source_offset(node->source, node->line, node->column);
	size_t end = source_offset(node->source, node->end_line, node->end_column);
	report_add_secret(report, node->text);
	if (end > begin && !is_one_reference(node->source->text + begin, end - begin))
		source_hide(node->source, begin, end);
}
