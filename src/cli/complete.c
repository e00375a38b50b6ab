/* SPDX-License-Identifier: Apache-2.0
 *
 * `linkspan complete -- WORD…`: what could stand in place of the last word, for the shells' completions (completions/). Each
 * line is a word, a tab and a few words about it. A line that begins with a colon says what else the shell knows itself:
 * :files, :folders, :config (YAML files), :config-or-folder. Reads the configuration that the line names, for its connections,
 * whatever mistakes it has.
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "config/config.h"

struct completing {
	const struct cli_command *command, *inner; /* inner: of its commands, once there is one */
	const char *config; /* the file that an argument names, or NULL */
	size_t n_places; /* arguments before the last word */
	bool lost; /* there is no such command of a command */
	char *const *words;
	int n_words; /* before the last one */
	const char *last;
	const char *prefix; /* `--key=` of the last word, which each word offered begins with */
	size_t prefix_len;
};

static void offer(const struct completing *completing, const char *word, const char *help)
{
	if (strncmp(word, completing->last, strlen(completing->last)) == 0)
		printf("%.*s%s\t%s\n", (int)completing->prefix_len, completing->prefix, word, help);
}

static void offer_connection(const char *name, const char *type, void *arg)
{
	offer(arg, name, type);
}

static bool holds_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (; words && *words; words += strcspn(words, " "), words += strspn(words, " "))
		if (strncmp(words, word, len) == 0 && (words[len] == ' ' || !words[len]))
			return true;
	return false;
}

static void offer_choices(const struct completing *completing, const char *choices)
{
	char word[32];
	for (; *choices; choices += strspn(choices, " ")) {
		size_t len = strcspn(choices, " ");
		snprintf(word, sizeof word, "%.*s", (int)len, choices);
		offer(completing, word, "");
		choices += len;
	}
}

static void offer_value(struct completing *completing, enum cli_value value, const char *choices)
{
	switch (value) {
	case CLI_CHOICE:
		offer_choices(completing, choices);
		break;
	case CLI_CONNECTION:
		if (completing->config)
			config_destinations(completing->config, offer_connection, completing);
		break;
	case CLI_FILE:
		puts(":files");
		break;
	case CLI_CONFIG:
		puts(":config");
		break;
	case CLI_CONFIG_OR_FOLDER:
		puts(":config-or-folder");
		break;
	case CLI_FOLDER:
		puts(":folders");
		break;
	default:
		break;
	}
}

static const struct cli_option *find_option(const struct completing *completing, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct cli_option *option = completing->command->options;
	for (; option && option->name; option++)
		if (strlen(option->name) + 2 == len && strncmp(word + 2, option->name, len - 2) == 0)
			return option;
	return NULL;
}

static bool is_option(const char *word)
{
	return strncmp(word, "--", 2) == 0 && word[2];
}

static bool is_given(const struct completing *completing, const struct cli_option *option)
{
	for (int i = 1; i < completing->n_words; i++)
		if (is_option(completing->words[i]) && find_option(completing, completing->words[i]) == option)
			return true;
	return false;
}

static void offer_options(struct completing *completing)
{
	char word[64];
	const struct cli_option *option = completing->command->options;
	for (; option && option->name; option++) {
		if (option->only && completing->inner && !holds_word(option->only, completing->inner->name))
			continue;
		if (!option->repeats && is_given(completing, option))
			continue;
		snprintf(word, sizeof word, "--%s", option->name);
		offer(completing, word, option->help);
	}
	offer(completing, "--help", "say what it does");
}

static void take_argument(struct completing *completing, const char *word)
{
	const struct cli_command *whose = completing->inner ? completing->inner : completing->command;
	if (completing->command->commands && !completing->inner) {
		completing->inner = cli_find(completing->command->commands, word);
		completing->lost |= !completing->inner;
		return;
	}
	enum cli_value place = completing->n_places < CLI_PLACES ? whose->places[completing->n_places] : CLI_NOTHING;
	if (place == CLI_CONFIG || place == CLI_CONFIG_OR_FOLDER)
		completing->config = word;
	completing->n_places++;
}

/* The option whose value the last word is, or NULL. */
static const struct cli_option *read_words(struct completing *completing)
{
	for (int i = 1; i < completing->n_words; i++) {
		const char *word = completing->words[i];
		if (!is_option(word)) {
			if (word[0] != '-' || !word[1])
				take_argument(completing, word);
			continue;
		}
		const struct cli_option *option = find_option(completing, word);
		if (!option || option->value == CLI_NOTHING || strchr(word, '='))
			continue;
		if (++i == completing->n_words)
			return option;
	}
	return NULL;
}

static void complete_argument(struct completing *completing)
{
	const struct cli_command *whose = completing->inner ? completing->inner : completing->command;
	if (completing->command->commands && !completing->inner) {
		for (const struct cli_command *it = completing->command->commands; it->name; it++)
			offer(completing, it->name, it->help);
		return;
	}
	enum cli_value place = completing->n_places < CLI_PLACES ? whose->places[completing->n_places] : CLI_NOTHING;
	if (place == CLI_NOTHING)
		offer_options(completing);
	else
		offer_value(completing, place, NULL);
}

static void complete_command(struct completing *completing)
{
	const struct cli_option *option = read_words(completing);
	if (completing->lost)
		return;
	if (!option && is_option(completing->last) && strchr(completing->last, '=')) {
		option = find_option(completing, completing->last);
		completing->prefix = completing->last;
		completing->prefix_len = (size_t)(strchr(completing->last, '=') + 1 - completing->last);
		completing->last += completing->prefix_len;
		if (!option)
			return;
	}
	if (option)
		offer_value(completing, option->value, option->choices);
	else if (completing->last[0] == '-')
		offer_options(completing);
	else
		complete_argument(completing);
}

int cli_complete(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--") == 0) {
		argc--;
		argv++;
	}
	struct completing completing = {.words = argv + 1,
		.n_words = argc > 1 ? argc - 2 : 0,
		.last = argc > 1 ? argv[argc - 1] : "",
		.prefix = ""};
	if (completing.n_words > 0) {
		completing.command = cli_find(cli_commands, completing.words[0]);
		if (completing.command && completing.command->help)
			complete_command(&completing);
		return 0;
	}
	for (const struct cli_command *it = cli_commands; it->name; it++)
		if (it->help)
			offer(&completing, it->name, it->help);
	offer(&completing, "version", "print the version");
	offer(&completing, "help", "list the commands");
	return 0;
}
