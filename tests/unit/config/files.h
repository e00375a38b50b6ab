/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads configuration files of this folder, mostly with the test connectors, and keeps what is written.
 */
#ifndef LINKSPAN_TESTS_UNIT_CONFIG_FILES_H
#define LINKSPAN_TESTS_UNIT_CONFIG_FILES_H

#include "config/config.h"

/* Makes this folder of the sources the current one, whose names are then short in messages, and sets the variables
 * that the files use. Ends the program if it cannot. */
void files_enter(void);

struct loaded {
	int result;
	struct config *config; /* NULL unless result is 0 */
	size_t mistakes;
	char *errors;
};
struct loaded files_load(const char *path);
/* With the connectors that linkspan has. */
struct loaded files_load_real(const char *path);
/* From text, as the file `name` in a temporary folder. */
struct loaded files_load_text(const char *folder, const char *name, const char *text, size_t len);
void files_unload(struct loaded *loaded);

/* The whole file, NUL-terminated; NULL if it cannot be read. The caller frees. */
char *files_read(const char *path);

#endif
