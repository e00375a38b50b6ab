/* SPDX-License-Identifier: Apache-2.0
 *
 * From libyaml's events to a tree. The first thing that is not YAML, or passes a limit, ends the reading of the file:
 * what comes behind it cannot be trusted. Duplicate keys and tags do not.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/interpolate.h"
#include "config/memory.h"
#include "config/suggest.h"
#include "config/yaml_tree.h"

struct anchor {
	char *name;
	struct node *node;
};

struct composer {
	yaml_parser_t parser;
	struct source *source;
	struct report *report;
	struct yaml_tree *tree;
	struct anchor *anchors;
	size_t n_anchors;
	size_t weight; /* nodes so far, aliases expanded */
	unsigned depth;
};

static struct node *compose_node(struct composer *composer, const yaml_event_t *event, bool is_key);

/* --- syntax errors --- */

static bool line_has_tab_indent(const struct source *source, int line, int *ret_column)
{
	size_t len;
	const char *text = source_line(source, line, &len);
	for (size_t i = 0; i < len && (text[i] == ' ' || text[i] == '\t'); i++)
		if (text[i] == '\t') {
			*ret_column = (int)i + 1;
			return true;
		}
	return false;
}

/* `topic: plant/{line}` within {…}: a brace in the middle of a word. */
static bool line_has_inner_brace(const struct source *source, int line)
{
	size_t len;
	const char *text = source_line(source, line, &len);
	for (size_t i = 1; i < len; i++)
		if (text[i] == '{' && !strchr(" \t{[,:\"'", text[i - 1]))
			return true;
	return false;
}

static const char *syntax_hint(const struct source *source, int *line, int *column, const char *problem)
{
	int tab;
	for (int at = *line; at >= 1 && at >= *line - 1; at--)
		if (line_has_tab_indent(source, at, &tab)) {
			*line = at;
			*column = tab;
			return "tabs cannot indent in YAML: use spaces instead";
		}
	if (strstr(problem, "mapping values are not allowed"))
		return "a value that holds ': ' needs quotes around it, and a key starts a line of its own";
	if (strstr(problem, "cannot start any token"))
		return "a value that begins with @, ` or % needs quotes around it";
	if ((strstr(problem, "',' or '}'") || strstr(problem, "',' or ']'")) && line_has_inner_brace(source, *line))
		return "within {…} a text that has { or } itself needs quotes, as in {topic: \"plant/{line}\", …}";
	if (strstr(problem, "',' or '}'") || strstr(problem, "',' or ']'"))
		return "a '{' or '[' before this place is not closed, or a comma is missing";
	if (strstr(problem, "unexpected end of stream"))
		return "a quote that was opened is not closed";
	if (strstr(problem, "could not find expected ':'"))
		return "write 'key: value', with a space behind the colon";
	if (strstr(problem, "expected key") || strstr(problem, "'-' indicator") || strstr(problem, "document start"))
		return "look at the indentation: keys of one section start in the same column";
	if (strstr(problem, "unknown escape"))
		return "in double quotes write \\\\ for a backslash, or use single quotes";
	return "look at quotes, brackets and indentation before this place";
}

static void complain_syntax(struct composer *composer)
{
	const yaml_parser_t *parser = &composer->parser;
	const char *problem = parser->problem ? parser->problem : "unreadable";
	int line = (int)parser->problem_mark.line + 1, column = (int)parser->problem_mark.column + 1;
	composer->source->guess_secrets = true;
	if (parser->error == YAML_READER_ERROR) {
		source_position(composer->source, parser->problem_offset, &line, &column);
		report_mistake(composer->report, composer->source, line, column,
			"not a text file: %s; configuration files are UTF-8", problem);
		return;
	}
	if ((size_t)line > composer->source->n_lines) { /* the end of the file: show its last line */
		line = (int)composer->source->n_lines;
		size_t len;
		source_line(composer->source, line, &len);
		source_position(composer->source, composer->source->lines[line - 1] + len, &line, &column);
	}
	bool at_context = strstr(problem, "unexpected end of stream") && parser->context;
	if (at_context) { /* the quote that opens is more telling */
		line = (int)parser->context_mark.line + 1;
		column = (int)parser->context_mark.column + 1;
	}
	const char *hint = syntax_hint(composer->source, &line, &column, problem);
	if (parser->context && parser->context_mark.line != parser->problem_mark.line && !at_context)
		report_mistake(composer->report, composer->source, line, column,
			"not valid YAML: %s %s that starts in line %zu; %s", problem, parser->context,
			parser->context_mark.line + 1, hint);
	else
		report_mistake(composer->report, composer->source, line, column, "not valid YAML: %s%s%s; %s", problem,
			parser->context ? " " : "", parser->context ? parser->context : "", hint);
}

/* --- helpers --- */

static void complain_at(struct composer *composer, const yaml_mark_t *mark, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void complain_at(struct composer *composer, const yaml_mark_t *mark, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report_mistake_args(
		composer->report, composer->source, (int)mark->line + 1, (int)mark->column + 1, format, args);
	va_end(args);
}

static bool next_event(struct composer *composer, yaml_event_t *event)
{
	if (yaml_parser_parse(&composer->parser, event))
		return true;
	complain_syntax(composer);
	return false;
}

static struct node *new_node(struct composer *composer, enum node_kind kind, const yaml_event_t *event)
{
	struct node *node = memory_zero(sizeof *node);
	node->kind = kind;
	node->source = composer->source;
	node->line = (int)event->start_mark.line + 1;
	node->column = (int)event->start_mark.column + 1;
	node->weight = 1;
	node->next = composer->tree->nodes;
	composer->tree->nodes = node;
	return node;
}

static bool count(struct composer *composer, size_t weight, const yaml_mark_t *mark)
{
	if (weight <= YAML_MAX_NODES - composer->weight) {
		composer->weight += weight;
		return true;
	}
	complain_at(composer, mark,
		"more than %d values, aliases counted as often as they are used; divide the file, or use fewer aliases",
		YAML_MAX_NODES);
	return false;
}

static void remember_anchor(struct composer *composer, const yaml_char_t *name, struct node *node)
{
	if (!name)
		return;
	composer->anchors = memory_grow(composer->anchors, composer->n_anchors, sizeof *composer->anchors);
	composer->anchors[composer->n_anchors++] = (struct anchor){memory_text((const char *)name), node};
}

static void refuse_tag(struct composer *composer, const yaml_event_t *event, const yaml_char_t *tag)
{
	if (tag)
		complain_at(composer, &event->start_mark, "the tag '%s' has no meaning here; leave it out",
			(const char *)tag);
}

/* --- the kinds of nodes --- */

static struct node *compose_alias(struct composer *composer, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct suggestion near = {.word = name};
	for (size_t i = composer->n_anchors; i-- > 0;) { /* the latest of that name counts */
		struct node *node = composer->anchors[i].node;
		suggest_offer(&near, composer->anchors[i].name);
		if (strcmp(composer->anchors[i].name, name) != 0)
			continue;
		if (node->open) {
			complain_at(composer, &event->start_mark,
				"'*%s' stands inside of what it names, without end; name something that is complete",
				name);
			return NULL;
		}
		return count(composer, node->weight, &event->start_mark) ? node : NULL;
	}
	if (near.best)
		complain_at(composer, &event->start_mark, "no '&%s' comes before this '*%s'; did you mean '*%s'?", name,
			name, near.best);
	else
		complain_at(composer, &event->start_mark,
			"no '&%s' comes before this '*%s'; put quotes around a value that begins with *", name, name);
	return NULL;
}

static enum node_style style_of(yaml_scalar_style_t style)
{
	switch (style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
		return STYLE_SINGLE;
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		return STYLE_DOUBLE;
	case YAML_LITERAL_SCALAR_STYLE:
		return STYLE_LITERAL;
	case YAML_FOLDED_SCALAR_STYLE:
		return STYLE_FOLDED;
	default:
		return STYLE_PLAIN;
	}
}

static struct node *compose_scalar(struct composer *composer, const yaml_event_t *event, bool is_key)
{
	struct node *node = new_node(composer, NODE_SCALAR, event);
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	refuse_tag(composer, event, event->data.scalar.tag);
	if (memchr(text, '\0', len))
		complain_at(composer, &event->start_mark, "a NUL character in a text; leave it out");
	node->style = style_of(event->data.scalar.style);
	node->end_line = (int)event->end_mark.line + 1;
	node->end_column = (int)event->end_mark.column + 1;
	node->text = memory_bytes(text, len);
	if (!is_key)
		interpolate(node, composer->report);
	remember_anchor(composer, event->data.scalar.anchor, node);
	return node;
}

static void append_item(struct node *node, struct node *key, struct node *item)
{
	if (key) {
		node->keys = memory_grow(node->keys, node->n, sizeof(struct node *));
		node->keys[node->n] = key;
	}
	node->items = memory_grow(node->items, node->n, sizeof(struct node *));
	node->items[node->n++] = item;
	node->weight += item->weight + (key != NULL);
}

static bool compose_items(struct composer *composer, struct node *list)
{
	for (;;) {
		yaml_event_t event;
		if (!next_event(composer, &event))
			return false;
		bool end = event.type == YAML_SEQUENCE_END_EVENT;
		struct node *item = end ? NULL : compose_node(composer, &event, false);
		yaml_event_delete(&event);
		if (!item)
			return end;
		append_item(list, NULL, item);
	}
}

static struct node *compose_key(struct composer *composer, const yaml_event_t *event)
{
	struct node *key = compose_node(composer, event, true);
	if (key && key->kind != NODE_SCALAR) {
		complain_at(composer, &event->start_mark,
			"a %s as a key; keys are text, and text that begins with { or [ needs quotes",
			key->kind == NODE_MAP ? "map" : "list");
		return NULL;
	}
	return key;
}

static bool compose_pairs(struct composer *composer, struct node *map)
{
	for (;;) {
		yaml_event_t event;
		if (!next_event(composer, &event))
			return false;
		bool end = event.type == YAML_MAPPING_END_EVENT;
		struct node *key = end ? NULL : compose_key(composer, &event);
		yaml_event_delete(&event);
		if (!key)
			return end;
		if (!next_event(composer, &event))
			return false;
		struct node *value = compose_node(composer, &event, false);
		yaml_event_delete(&event);
		if (!value)
			return false;
		append_item(map, key, value);
	}
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	int order = strcmp(x->text, y->text);
	if (order == 0)
		order = x->line != y->line ? x->line - y->line : x->column - y->column;
	return order;
}

static void find_duplicates(struct composer *composer, const struct node *map)
{
	if (map->n < 2)
		return;
	struct node **keys = memory_zero(map->n * sizeof(struct node *));
	memcpy(keys, map->keys, map->n * sizeof(struct node *));
	qsort(keys, map->n, sizeof(struct node *), compare_keys);
	const struct node *first = keys[0];
	for (size_t i = 1; i < map->n; i++) {
		if (strcmp(first->text, keys[i]->text) != 0)
			first = keys[i];
		else if (keys[i] != first)
			report_mistake(composer->report, composer->source, keys[i]->line, keys[i]->column,
				"'%s' stands here twice, first in line %d; keep one of them", keys[i]->text,
				first->line);
	}
	free(keys);
}

static struct node *compose_collection(struct composer *composer, const yaml_event_t *event)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor = is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	struct node *node = new_node(composer, is_map ? NODE_MAP : NODE_LIST, event);
	refuse_tag(composer, event, is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
	node->flow = is_map ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
			    : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	if (++composer->depth > YAML_MAX_DEPTH) {
		complain_at(composer, &event->start_mark,
			"nested more than %d levels deep; nothing in a configuration is, so look at brackets and "
			"indentation",
			YAML_MAX_DEPTH);
		return NULL;
	}
	node->open = true;
	remember_anchor(composer, anchor, node);
	bool complete = is_map ? compose_pairs(composer, node) : compose_items(composer, node);
	node->open = false;
	composer->depth--;
	if (is_map)
		find_duplicates(composer, node);
	return complete ? node : NULL;
}

static struct node *compose_node(struct composer *composer, const yaml_event_t *event, bool is_key)
{
	if (event->type == YAML_ALIAS_EVENT)
		return compose_alias(composer, event);
	if (!count(composer, 1, &event->start_mark))
		return NULL;
	if (event->type == YAML_SCALAR_EVENT)
		return compose_scalar(composer, event, is_key);
	return compose_collection(composer, event);
}

/* --- the document --- */

static void compose_document(struct composer *composer)
{
	yaml_event_t event;
	do {
		if (!next_event(composer, &event))
			return;
		bool ended = event.type == YAML_STREAM_END_EVENT;
		bool content = event.type >= YAML_ALIAS_EVENT;
		if (ended)
			report_mistake(composer->report, composer->source, 1, 1,
				"the file is empty; the smallest one has data_dir, connections and mappings");
		if (content)
			composer->tree->root = compose_node(composer, &event, false);
		yaml_event_delete(&event);
		if (ended || (content && !composer->tree->root))
			return;
	} while (!composer->tree->root);
	while (next_event(composer, &event)) {
		yaml_event_type_t type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT)
			complain_at(composer, &event.start_mark,
				"a second document; a configuration is one document: remove the '---', or use include");
		yaml_event_delete(&event);
		if (type != YAML_DOCUMENT_END_EVENT)
			break;
	}
}

/* `password: x` anywhere, and all below a key such as `credentials:`, is never shown, whether the key is known or not:
 * it may be misspelled, or belong to a connection whose type is. Aliases may lead to one node twice: once is enough. */
static void hide_what_sounds_secret(struct yaml_tree *tree, struct report *report)
{
	for (struct node *node = tree->nodes; node; node = node->next)
		for (size_t i = 0; node->kind == NODE_MAP && i < node->n; i++)
			if (source_sounds_secret(node->keys[i]->text, strlen(node->keys[i]->text)))
				node_hide(node->items[i], report);
}

struct yaml_tree *yaml_tree_read(struct source *source, struct report *report)
{
	struct yaml_tree *tree = memory_zero(sizeof *tree);
	struct composer composer = {.source = source, .report = report, .tree = tree};
	if (!yaml_parser_initialize(&composer.parser)) {
		report_failure(report, source->path, "out of memory");
		return tree;
	}
	yaml_parser_set_encoding(&composer.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&composer.parser, (const unsigned char *)source->text, source->len);
	compose_document(&composer);
	yaml_parser_delete(&composer.parser);
	for (size_t i = 0; i < composer.n_anchors; i++)
		free(composer.anchors[i].name);
	free(composer.anchors);
	hide_what_sounds_secret(tree, report);
	return tree;
}
