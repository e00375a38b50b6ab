/* SPDX-License-Identifier: Apache-2.0
 *
 * Shows one line of a configuration file with a caret below a column. What is secret comes out as `***`: the stretches
 * that the reader has marked; passwords inside URLs; and, in a file that is no valid YAML and so was never understood,
 * everything behind a key that sounds secret and every line that is indented below such a key.
 */
#define _GNU_SOURCE
#include "config/source.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/memory.h"
#include "config/suggest.h"
#include "message/utf8.h"

#define SHOWN_BYTES  110 /* of a long line, around the caret */
#define LONGEST_WORD 12

bool source_sounds_secret(const char *name, size_t len)
{
	static const char file[] = "_file";
	if (len >= strlen(file) && strncasecmp(name + len - strlen(file), file, strlen(file)) == 0)
		return false; /* what it names holds the secret */
	static const char *const words[] = {"pass", "pwd", "secret", "token", "credential", "jaas", "private"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t n = strlen(words[i]);
		for (size_t at = 0; at + n <= len; at++)
			if (strncasecmp(name + at, words[i], n) == 0)
				return true;
	}
	char copy[32];
	if (len >= sizeof copy)
		return false;
	memcpy(copy, name, len);
	copy[len] = '\0';
	return suggest_distance(copy, "password") <= 2 || suggest_distance(copy, "passphrase") <= 2 ||
	       suggest_distance(copy, "secret") <= 2 || suggest_distance(copy, "token") <= 1;
}

bool source_is_word(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
	return len <= LONGEST_WORD && text[len] == '\0';
}

/* A copy of one line in the making. `hidden[i]` says that byte i must not be shown. */
struct shown {
	const char *text;
	size_t len;
	size_t caret; /* byte in text */
	bool *hidden;
};

static void hide(struct shown *shown, size_t begin, size_t end)
{
	for (size_t i = begin; i < end && i < shown->len; i++)
		shown->hidden[i] = true;
}

static void hide_marked(const struct source *source, size_t line_begin, struct shown *shown)
{
	for (size_t i = 0; i < source->n_secrets; i++) {
		const struct source_stretch *secret = &source->secrets[i];
		if (secret->end <= line_begin || secret->begin >= line_begin + shown->len)
			continue;
		hide(shown, secret->begin > line_begin ? secret->begin - line_begin : 0, secret->end - line_begin);
	}
}

/* Is this the name of a key, and not a part of one? */
static bool is_key(const struct shown *shown, size_t begin, size_t end)
{
	while (end < shown->len && shown->text[end] == ' ')
		end++;
	return end < shown->len && shown->text[end] == ':' && (begin == 0 || strchr(" {,", shown->text[begin - 1]));
}

/* What was inserted or is a secret elsewhere. Very short ones would hide half of the line, and a word that is the name of
 * a key here would be given away (report.c). */
static void hide_known(const struct source_secrets *secrets, struct shown *shown)
{
	for (size_t i = 0; i < secrets->n; i++) {
		size_t len = strlen(secrets->texts[i]);
		const char *end = shown->text + shown->len, *at = shown->text;
		while (len > 2 && (at = memmem(at, (size_t)(end - at), secrets->texts[i], len))) {
			size_t begin = (size_t)(at - shown->text);
			if (!source_is_word(secrets->texts[i]) || !is_key(shown, begin, begin + len))
				hide(shown, begin, begin + len);
			at += len;
		}
	}
}

/* scheme://user:password@host: everything between the slashes and the last @ before the next slash or blank. */
static void hide_url_user(struct shown *shown)
{
	for (size_t at = 0; at + 3 <= shown->len; at++) {
		if (memcmp(shown->text + at, "://", 3) != 0)
			continue;
		size_t begin = at + 3, last = 0;
		for (size_t i = begin; i < shown->len && !strchr("/ \t\"',", shown->text[i]); i++)
			if (shown->text[i] == '@')
				last = i;
		if (last)
			hide(shown, begin, last);
	}
}

/* Where the value behind the first key that sounds secret begins; SIZE_MAX if there is none. */
static size_t secret_value(const char *text, size_t len)
{
	for (size_t colon = 0; colon < len; colon++) {
		if (text[colon] != ':')
			continue;
		size_t begin = colon;
		while (begin > 0 && (isalnum((unsigned char)text[begin - 1]) || strchr("_-.\"'", text[begin - 1])))
			begin--;
		if (source_sounds_secret(text + begin, colon - begin))
			return colon + 1;
	}
	return SIZE_MAX;
}

static size_t indent_of(const char *text, size_t len)
{
	size_t indent = 0;
	while (indent < len && (text[indent] == ' ' || text[indent] == '\t'))
		indent++;
	return indent;
}

static void hide_guessed(const struct source *source, int line, struct shown *shown)
{
	size_t begin = secret_value(shown->text, shown->len);
	while (begin < shown->len && shown->text[begin] == ' ')
		begin++;
	hide(shown, begin, shown->len);
	/* The nearest line above that is indented less opens what this line belongs to. */
	size_t indent = indent_of(shown->text, shown->len);
	for (int above = line - 1; above >= 1 && indent > 0; above--) {
		size_t len;
		const char *text = source_line(source, above, &len);
		size_t other = indent_of(text, len);
		if (other == len || other >= indent)
			continue;
		if (secret_value(text, len) != SIZE_MAX)
			hide(shown, indent, shown->len);
		return;
	}
}

/* Bytes of the character at p: 0 for what is no UTF-8, or is a control character that a terminal might obey. */
static size_t shown_character(const char *p, size_t left)
{
	unsigned char first = (unsigned char)*p;
	size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	bool control = (first < ' ' && first != '\t') || first == 0x7f;
	bool control_c1 = first == 0xc2 && left > 1 && (unsigned char)p[1] < 0xa0;
	return control || control_c1 || len > left || !utf8_valid(slice_of(p, len)) ? 0 : len;
}

static void put(const struct shown *shown, size_t from, size_t to, FILE *out)
{
	for (size_t i = from, len; i < to; i += len ? len : 1) {
		len = shown->hidden[i] ? 0 : shown_character(shown->text + i, to - i);
		if (len)
			fwrite(shown->text + i, 1, len, out);
		else if (!shown->hidden[i])
			fputc('?', out);
		else if (i == from || !shown->hidden[i - 1])
			fputs("***", out);
	}
}

/* Blanks as wide as what put() writes, tabs kept so that the caret stands right whatever their width. */
static void put_blanks(const struct shown *shown, size_t from, FILE *out)
{
	for (size_t i = from; i < shown->caret; i++) {
		if (shown->hidden[i]) {
			bool first = i == from || !shown->hidden[i - 1];
			bool leads_to_caret = shown->caret < shown->len && shown->hidden[shown->caret];
			for (size_t j = i; leads_to_caret && j < shown->caret; j++)
				leads_to_caret = shown->hidden[j];
			if (leads_to_caret)
				return; /* the caret stands inside: below the first star */
			if (first)
				fputs("   ", out);
		} else if (shown->text[i] == '\t') {
			fputc('\t', out);
		} else if (((unsigned char)shown->text[i] & 0xc0) != 0x80) {
			fputc(' ', out);
		}
	}
}

static size_t character_start(const struct shown *shown, size_t at)
{
	while (at > 0 && at < shown->len && ((unsigned char)shown->text[at] & 0xc0) == 0x80)
		at--;
	return at;
}

void source_show(const struct source *source, int line, int column, const struct source_secrets *secrets, FILE *out)
{
	struct shown shown = {0};
	shown.text = source_line(source, line, &shown.len);
	if (!shown.text)
		return;
	size_t begin = (size_t)(shown.text - source->text);
	shown.caret = source_offset(source, line, column) - begin;
	shown.hidden = memory_zero(shown.len + 1);
	hide_marked(source, begin, &shown);
	hide_known(secrets, &shown);
	hide_url_user(&shown);
	if (source->guess_secrets)
		hide_guessed(source, line, &shown);
	size_t from = 0, to = shown.len;
	if (shown.len > SHOWN_BYTES) {
		from = character_start(&shown, shown.caret > SHOWN_BYTES / 2 ? shown.caret - SHOWN_BYTES / 2 : 0);
		to = character_start(&shown, shown.len - from > SHOWN_BYTES ? from + SHOWN_BYTES : shown.len);
	}
	fprintf(out, "%5d | %s", line, from ? "..." : "");
	put(&shown, from, to, out);
	fprintf(out, "%s\n      | %s", to < shown.len ? "..." : "", from ? "   " : "");
	put_blanks(&shown, from, out);
	fputs("^\n", out);
	free(shown.hidden);
}
