/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of one configuration file: read with a limit, cut into lines the way libyaml cuts them, and able to show a
 * line with a caret. Knows which stretches are secret and shows `***` for them.
 *
 * Lines and columns count from 1, columns in characters (UTF-8), as libyaml's marks do plus one.
 */
#ifndef LINKSPAN_CONFIG_SOURCE_H
#define LINKSPAN_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SOURCE_MAX_BYTES (16u * 1024 * 1024)

struct source_stretch {
	size_t begin, end; /* bytes */
};

struct source {
	char *path; /* as messages print it */
	char *folder; /* absolute, without a slash at its end (but for "/") */
	char *real_path; /* what two names of the same file have in common */
	char *text;
	size_t len;
	size_t *lines; /* byte where each line begins */
	size_t n_lines;
	struct source_stretch *secrets;
	size_t n_secrets;
	bool guess_secrets; /* not understood (a syntax error): hide whatever follows a key that sounds secret */
	unsigned order; /* of messages: the order in which files were opened */
};

/* Reads a regular file. 0, or a negative errno: -EFBIG past SOURCE_MAX_BYTES, -EINVAL for what is not a regular file,
 * others as the system says. May block. */
int source_open(const char *path, struct source **ret_source) __attribute__((warn_unused_result));
/* The same from memory, for tests; the folder is the current one. Copies. */
struct source *source_from_text(const char *path, const char *text, size_t len);
void source_free(struct source *source);
/* Frees the text and keeps the names. */
void source_forget(struct source *source);

/* The byte at which a column stands; the end of the line for a column behind it, the end of the text for a line
 * behind the last. */
size_t source_offset(const struct source *source, int line, int column);
/* The reverse. */
void source_position(const struct source *source, size_t offset, int *ret_line, int *ret_column);
/* The bytes of a line without its line break. */
const char *source_line(const struct source *source, int line, size_t *ret_len);

/* Never show these bytes. */
void source_hide(struct source *source, size_t begin, size_t end);

struct source_secrets { /* texts that are hidden wherever they stand */
	char *const *texts;
	size_t n;
};

/* Two lines: `   12 | text` and a caret below the column. Nothing when the file has no such line. */
void source_show(const struct source *source, int line, int column, const struct source_secrets *secrets, FILE *out);

/* Does a key of this name sound as if its value were a secret (password, token …), perhaps with a slip? The name of a
 * file (password_file) is none. */
bool source_sounds_secret(const char *name, size_t len);

/* Could it be a word of a message or the name of a key: few letters, all of them small? */
bool source_is_word(const char *text);

/* Reads a whole regular file of at most `limit` bytes, NUL-terminated; the caller frees. Errors like source_open. */
int source_read_file(const char *path, size_t limit, char **ret_text, size_t *ret_len)
	__attribute__((warn_unused_result));

/* `path` seen from `folder`: itself when absolute. The caller frees. */
char *source_join(const char *folder, const char *path);

#endif
