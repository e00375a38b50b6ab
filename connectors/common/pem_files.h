/* SPDX-License-Identifier: Apache-2.0
 *
 * The PEM files of a `tls` section: read into memory, and looked at before anything is done with them. Blocks for as long
 * as a file takes to read.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_PEM_FILES_H
#define LINKSPAN_CONNECTORS_COMMON_PEM_FILES_H

#include "config/schema.h"
#include "message/buffer.h"

#define PEM_MAX_FILE_BYTES (1024u * 1024)

/* A `tls` section's files: paths, or NULL. */
struct pem_files {
	const char *ca_key; /* the name of the key that holds `ca` */
	const char *ca, *cert, *key;
};

/* Complains at the file's key of what is not what it should be; what has expired, or is about to within a month, is a
 * warning. */
void pem_files_check(const struct pem_files *files, struct config_scope *scope);

/* The file as it is now, in place of what the buffer holds. 0, or a negative errno, -EFBIG for more than
 * PEM_MAX_FILE_BYTES: the buffer is as before. Wiping what was secret is the caller's. */
int pem_file_read(const char *path, struct buffer *ret_bytes) __attribute__((warn_unused_result));
/* NULL if certificate and key, as they were read, are PEM and belong together; else one static sentence. */
const char *pem_pair_check(struct slice cert, struct slice key);
/* NULL if it holds a certificate, else one static sentence. */
const char *pem_ca_check(struct slice ca);

#endif
