/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities that are trusted, parsed once for the process. OpenSSL 3.0 takes about 40 ms of CPU for the system's, which
 * is most of what a turn of the loop may take, and it would be so at every connect.
 *
 * What is kept are the certificates, not a store: each connection fills a store of its own with references to them. So
 * nobody's flags are another one's, and what OpenSSL keeps in a store of what it has found in the system's folder ends with
 * the connection. A file is parsed again when it has changed (inode, size, times), so a renewed one needs no restart.
 *
 * Any thread. Reads the file, if it has changed; no lock is held meanwhile. Whoever checks a configuration calls it for the
 * authorities named there, so that the loop finds them parsed.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_TRUST_H
#define LINKSPAN_CONNECTORS_COMMON_TRUST_H

#include <stdint.h>

struct x509_store_st; /* OpenSSL's X509_STORE */

/* Adds the certificates and revocation lists of the PEM file to `store`. NULL: the system's, file and folder, as by
 * X509_STORE_set_default_paths: SSL_CERT_FILE and SSL_CERT_DIR are heeded, and neither needs to be there. 0, or -EINVAL:
 * the file holds no certificate, or memory is out; this thread's OpenSSL errors say why, and nothing is kept of the file. */
int trust_add(const char *path, struct x509_store_st *store) __attribute__((warn_unused_result));

/* They are parsed now, so that the loop needs not. A file that is no good is trust_add's to complain of. */
void trust_prepare(const char *path);

/* How many files have been parsed since the process began. For tests. */
uint64_t trust_parses(void);

#endif
