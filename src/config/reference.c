/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables as the reference page doc/reference.md, in Markdown.
 */
#include <stdlib.h>
#include <string.h>

#include "config/key_words.h"
#include "config/loader.h"
#include "config/memory.h"
#include "config/sections.h"

static const char introduction[] =
	"# Configuration reference\n"
	"\n"
	"<!-- Written by `linkspan schema --markdown`; change the tables in src/config/sections.c and in the "
	"connectors, "
	"then run `make update-reference`. -->\n"
	"\n"
	"linkspan reads one YAML file. `linkspan check FILE` finds every mistake in it; `linkspan schema` prints a "
	"JSON\n"
	"Schema for editors (put it next to the file and begin the file with\n"
	"`# yaml-language-server: $schema=linkspan.schema.json`; a file that another one includes with\n"
	"`…linkspan.schema.json#/definitions/included`).\n"
	"\n"
	"## Values\n"
	"\n"
	"| kind | written as |\n"
	"| --- | --- |\n"
	"| text | `lake`, `\"plant/+\"`; quotes are needed around what begins with `{ [ * & @` or holds `: ` |\n"
	"| number, true or false | `10`, `true`; without quotes |\n"
	"| duration | `250ms`, `90s`, `1h 30m`, `7d`; units ms, s, m, h, d |\n"
	"| size | `64KB`, `4GiB`; units B, KB, MB, GB, TB (1000) and KiB, MiB, GiB, TiB (1024) |\n"
	"| list | `[a, b]`, or a single text |\n"
	"| path | relative to the folder of the file that names it |\n"
	"| template | text with `{capture}`, `{topic}`, `{topic[0]}` (a level), `{topic[2:]}` (all from that level "
	"on), `{key}`, `{header.name}`, `{.json.path}` of what "
	"was "
	"received, under `to` also `{payload.path}` of what goes out, that is what jq has made; `{{` is a brace |\n"
	"| jq | a [jq](https://jqlang.github.io/jq/manual/v1.6/) 1.6 program; in a block (`|`) it may have several "
	"lines |\n"
	"| secret | text that is never printed, not even in messages about the file |\n"
	"\n"
	"Inside any value, `${env:NAME}` stands for an environment variable and `${file:PATH}` for what a file holds, "
	"without\n"
	"the newline at its end. `$${` is a literal `${`. Messages about the file never show what was inserted.\n";

static const char *type_name(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_STRING:
		return "text";
	case CONFIG_SECRET:
		return "secret";
	case CONFIG_PATH:
		return "path";
	case CONFIG_TEMPLATE:
		return "template";
	case CONFIG_FILTER:
		return "topic filter";
	case CONFIG_JQ:
		return "jq";
	case CONFIG_BOOL:
		return "true or false";
	case CONFIG_INT:
	case CONFIG_NUMBER:
		return "number";
	case CONFIG_DURATION:
		return "duration";
	case CONFIG_SIZE:
		return "size";
	case CONFIG_LIST:
		return "list";
	case CONFIG_MAP:
		return "map";
	case CONFIG_SECTION:
		return "section";
	case CONFIG_ENUM:
		break;
	}
	return "";
}

/* A bar would end the cell. */
static void write_cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void write_type(FILE *out, const struct config_key *key)
{
	const struct config_key *bare = key->type == CONFIG_SECTION && key->bare ? key->children : NULL;
	while (bare && strcmp(bare->name, key->bare) != 0)
		bare++;
	if (bare)
		fprintf(out, "%s, or ", type_name(bare));
	fputs(type_name(key), out);
	if (key->type == CONFIG_LIST && key->choices)
		fputs(" of ", out);
	for (size_t i = 0; key->choices && key->choices[i]; i++)
		fprintf(out, "%s`%s`", i ? ", " : "", key->choices[i]);
	char bounds[KEY_BOUNDS_SIZE];
	key_bounds(key, bounds, sizeof bounds);
	if (*bounds)
		fprintf(out, ", %s", bounds);
}

static void write_row(FILE *out, const char *prefix, const struct config_key *key)
{
	fprintf(out, "| `%s%s` | ", prefix, key->name);
	write_type(out, key);
	if (key->required)
		fputs(" | **required** | ", out);
	else if (key->fallback)
		fprintf(out, " | `%s` | ", key->fallback);
	else
		fputs(" |  | ", out);
	write_cell(out, key->help);
	fputs(" |\n", out);
}

static void write_rows(FILE *out, const char *prefix, const struct config_key *keys)
{
	for (; keys && keys->name; keys++) {
		write_row(out, prefix, keys);
		if (keys->type != CONFIG_SECTION)
			continue;
		char *inner = memory_format("%s%s.", prefix, keys->name);
		write_rows(out, inner, keys->children);
		free(inner);
	}
}

static void write_head(FILE *out, const char *title, const char *text)
{
	fprintf(out, "\n## %s\n\n%s%s| key | value | default | |\n| --- | --- | --- | --- |\n", title, text,
		*text ? "\n\n" : "");
}

static void write_elsewhere(FILE *out, const char *name, const char *value)
{
	fprintf(out, "| `%s` | %s |  | ", name, value);
	write_cell(out, section_elsewhere_help(name));
	fputs(" |\n", out);
}

static void write_top(FILE *out)
{
	write_head(out, "The file", "");
	write_rows(out, "", section_top_keys);
	write_rows(out, "", section_include_keys);
	write_rows(out, "", section_included_keys);
	write_elsewhere(out, "connections", "map of [connections](#connections)");
	write_elsewhere(out, "mappings", "list of [mappings](#mappings)");
	write_elsewhere(out, "tests", "list of [tests](#tests)");
	fputs("\nAn included file holds `connections`, `mappings`, `tests`, `include` and `needs`; the rest belongs in "
	      "the main "
	      "file. A file\n"
	      "that is reached on two ways is read once. Ready-made files lie where linkspan is installed, or in the "
	      "folder that\n"
	      "the environment variable `LINKSPAN_MAPPINGS` names.\n",
		out);
}

static void write_connector(FILE *out, const struct connector *connector)
{
	char title[96];
	snprintf(title, sizeof title, "Connection of type %s", connector->name);
	write_head(out, title, connector->help);
	write_rows(out, "", connector->connection_keys);
	if (connector->can_source && connector->from_keys) {
		fputs("\nUnder `from:` of a mapping:\n\n| key | value | default | |\n| --- | --- | --- | --- |\n", out);
		write_rows(out, "", connector->from_keys);
	}
	if (connector->can_sink) {
		struct config_key target = {
			.name = connector->target_key, .type = CONFIG_TEMPLATE, .help = section_target_help(connector)};
		fputs("\nUnder `to:` of a mapping:\n\n| key | value | default | |\n| --- | --- | --- | --- |\n", out);
		write_row(out, "", &target);
		write_rows(out, "", connector->to_keys);
	}
	if (connector->write_reference)
		connector->write_reference(out);
}

static void write_connections(FILE *out, const struct connector *const *all)
{
	write_head(out, "Connections", "Keys that every connection has, whatever its type:");
	fputs("| `type` | ", out);
	for (size_t i = 0; all[i]; i++)
		fprintf(out, "%s`%s`", i ? ", " : "", all[i]->name);
	fprintf(out, " | **required** | %s |\n", section_elsewhere_help("type"));
	write_rows(out, "", section_connection_keys);
	for (size_t i = 0; all[i]; i++)
		write_connector(out, all[i]);
}

static void write_mappings(FILE *out)
{
	write_head(out, "Mappings", "");
	write_rows(out, "", section_mapping_keys);
	fprintf(out, "| `from` | section | **required** | %s |\n", section_elsewhere_help("from"));
	write_rows(out, "from.", section_from_keys);
	fprintf(out, "| `to` | section, or a list of them | **required** | %s |\n", section_elsewhere_help("to"));
	write_rows(out, "to.", section_to_keys);
	fputs("\n`from` and `to` have further keys that belong to the type of their connection; they stand with it "
	      "above.\n",
		out);
}

static void write_tests(FILE *out)
{
	write_head(out, "Tests",
		"What mappings do, told as examples that `linkspan test` runs ([testing](testing.md)). A test is the "
		"short "
		"form, or `steps`.");
	write_rows(out, "", section_test_keys);
	write_elsewhere(out, "given", "section, or a list of them");
	write_elsewhere(out, "answer", "map of words, or of lists of them");
	write_elsewhere(out, "expect", "section, or a list of them");
	write_elsewhere(out, "steps", "list of sections with one key each");
	fputs("\nA step is `link`, `answer`, `given` or `expect`, as above, or one of:\n\n"
	      "| key | value | default | |\n| --- | --- | --- | --- |\n",
		out);
	for (const struct config_key *key = section_step_keys; key->name; key++)
		if (strcmp(key->name, "link") != 0)
			write_row(out, "", key);
	fputs("\nKeys of a message that is given:\n\n| key | value | default | |\n| --- | --- | --- | --- |\n", out);
	write_rows(out, "given.", section_given_keys);
	fputs("\nand of one that is expected, besides its target (`topic` or `path`) and what else `to` of its "
	      "connection "
	      "has, as plain texts:\n\n| key | value | default | |\n| --- | --- | --- | --- |\n",
		out);
	write_rows(out, "expect.", section_expected_keys);
}

void config_write_reference_of(const struct connector *const *all, FILE *out)
{
	fputs(introduction, out);
	write_top(out);
	write_connections(out, all);
	write_mappings(out);
	write_tests(out);
}

void config_write_reference(FILE *out)
{
	config_write_reference_of(connectors, out);
}
