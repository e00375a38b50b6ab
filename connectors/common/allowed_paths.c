/* SPDX-License-Identifier: Apache-2.0
 *
 * A flat list of rules, walked through: listeners have tens of them.
 */
#include "connectors/common/allowed_paths.h"

#include <errno.h>
#include <stdlib.h>

#include "routing/topic_filter.h"

#define BLANKS     " \t\r\n"
#define EVERYBODY  "*"
#define MAX_FILTER 1024

struct rule {
	const char *identity; /* the configuration's */
	char *filter; /* in wire form */
	bool reads, writes;
};

struct allowed_paths {
	struct rule *rules;
	size_t n;
};

/* A filter of a list without its prefix, as a string. False: there is none any more. */
static bool next_filter(const char **rest, struct rule *ret_rule, char filter[MAX_FILTER], bool *ret_fits)
{
	static const char read[] = "read:", write[] = "write:";
	*rest += strspn(*rest, BLANKS);
	size_t len = strcspn(*rest, BLANKS);
	const char *at = *rest;
	if (len == 0)
		return false;
	*rest += len;
	ret_rule->reads = strncmp(at, write, strlen(write)) != 0;
	ret_rule->writes = strncmp(at, read, strlen(read)) != 0;
	size_t skip = !ret_rule->reads ? strlen(write) : !ret_rule->writes ? strlen(read) : 0;
	*ret_fits = len - skip < MAX_FILTER;
	if (!*ret_fits)
		return true;
	memcpy(filter, at + skip, len - skip);
	filter[len - skip] = '\0';
	return true;
}

const char *allowed_paths_check(const char *filters)
{
	struct rule rule;
	char filter[MAX_FILTER];
	bool fits;
	size_t n = 0;
	for (; next_filter(&filters, &rule, filter, &fits); n++) {
		if (!fits)
			return "a filter of paths has at most 1023 characters";
		if (filter[0] != '/')
			return "a filter of paths begins with a slash, as in /hooks/#; read: or write: may stand "
			       "before it";
		const char *wrong = topic_filter_check(filter);
		if (wrong)
			return wrong;
	}
	return n ? NULL : "there is no filter of paths; /# allows all of them";
}

static int add_rule(struct allowed_paths *paths, struct rule rule, const char *filter)
{
	struct rule *rules = realloc(paths->rules, (paths->n + 1) * sizeof *rules);
	if (!rules)
		return -ENOMEM;
	paths->rules = rules;
	rule.filter = topic_filter_wire(filter, true);
	if (!rule.filter)
		return -ENOMEM;
	rules[paths->n++] = rule;
	return 0;
}

static int add_filters(struct allowed_paths *paths, const struct config_text *item)
{
	struct rule rule = {.identity = item->name};
	const char *rest = item->value;
	char filter[MAX_FILTER];
	bool fits;
	if (allowed_paths_check(rest))
		return -EINVAL;
	int err = 0;
	while (!err && next_filter(&rest, &rule, filter, &fits))
		err = add_rule(paths, rule, filter);
	return err;
}

int allowed_paths_new(const struct config_list *list, struct allowed_paths **ret_paths)
{
	struct allowed_paths *paths = calloc(1, sizeof *paths);
	if (!paths)
		return -ENOMEM;
	int err = 0;
	for (size_t i = 0; i < list->n && !err; i++)
		err = add_filters(paths, &list->items[i]);
	if (err)
		allowed_paths_free(paths);
	else
		*ret_paths = paths;
	return err;
}

void allowed_paths_free(struct allowed_paths *paths)
{
	if (!paths)
		return;
	for (size_t i = 0; i < paths->n; i++)
		free(paths->rules[i].filter);
	free(paths->rules);
	free(paths);
}

static bool speaks_of(const struct rule *rule, const char *identity)
{
	return strcmp(rule->identity, EVERYBODY) == 0 || strcmp(rule->identity, identity) == 0;
}

bool allowed_paths_allow(const struct allowed_paths *paths, const char *identity, struct slice path, bool reads)
{
	for (size_t i = 0; i < paths->n; i++) {
		const struct rule *rule = &paths->rules[i];
		if ((reads ? rule->reads : rule->writes) && speaks_of(rule, identity) &&
			topic_filter_matches(rule->filter, path))
			return true;
	}
	return paths->n == 0;
}

bool allowed_paths_know(const struct allowed_paths *paths, const char *identity)
{
	for (size_t i = 0; i < paths->n; i++)
		if (speaks_of(&paths->rules[i], identity))
			return true;
	return paths->n == 0;
}
