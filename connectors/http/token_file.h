/* SPDX-License-Identifier: Apache-2.0
 *
 * A secret in a small local file that somebody else renews: read when it has changed, and what was read is wiped when it
 * is replaced. Only a regular file is read, so that nothing blocks the loop.
 *
 * Threads: its owner's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_TOKEN_FILE_H
#define LINKSPAN_CONNECTORS_HTTP_TOKEN_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define TOKEN_FILE_MAX_BYTES 16384u
/* Between two looks at whether the file has changed. */
#define TOKEN_FILE_LOOK_MS 1000u

struct token_file {
	const char *path; /* borrowed */
	char *token; /* what was read last, without the new line at its end; NULL: nothing yet */
	char error[512]; /* why the last look has failed; "": it has not */
	struct stat seen; /* of what `token` was read from */
	uint64_t looked_ms;
	bool again; /* look at once */
};

void token_file_init(struct token_file *file, const char *path);
void token_file_clear(struct token_file *file);
/* Looks if it is time to, and reads if there is something new. What was there stays when that fails (error). True: there
 * is another token. now_ms: any clock. */
bool token_file_look(struct token_file *file, uint64_t now_ms);
/* The next look is at once, and reads whether or not the file seems to have changed. */
void token_file_forget(struct token_file *file);

#endif
