/* SPDX-License-Identifier: Apache-2.0
 *
 * One function.
 */
#include "journal/folder.h"

#include <stdbool.h>
#include <stdio.h>

size_t folder_path(const char *root, const char *name, char *path, size_t size)
{
	size_t at = (size_t)snprintf(path, size, "%s/", root);
	for (; *name && at + 4 < size; name++) {
		char c = *name;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
			     c == '_';
		at += (size_t)snprintf(path + at, size - at, plain ? "%c" : "%%%02X", (unsigned char)c);
	}
	return at;
}
