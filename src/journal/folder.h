/* SPDX-License-Identifier: Apache-2.0
 *
 * The folders that a destination has below the data folder: "dead/<name>", "outbox/<name>". A name may hold bytes
 * that cannot stand in a file name: those are written as %XX. Stateless, any thread.
 */
#ifndef LINKSPAN_JOURNAL_FOLDER_H
#define LINKSPAN_JOURNAL_FOLDER_H

#include <stddef.h>

#define FOLDER_PATH_LEN 900u /* of a folder and a file in it: a name may need three bytes for one */

/* Writes "<root>/<name>" and returns its length. size: at least FOLDER_PATH_LEN. */
size_t folder_path(const char *root, const char *name, char *path, size_t size);

#endif
