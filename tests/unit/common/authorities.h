/* SPDX-License-Identifier: Apache-2.0
 *
 * What libcurl does about authorities when it connects, for tests: OpenSSL's X509_STORE_load_path is this program's, and counts.
 */
#ifndef LINKSPAN_TESTS_UNIT_COMMON_AUTHORITIES_H
#define LINKSPAN_TESTS_UNIT_COMMON_AUTHORITIES_H

/* How many folders libcurl has had searched. */
unsigned authorities_folders(void);

/* A thread: takes one connection of the listening socket, whose descriptor arg points at, and answers without TLS. It is the first
 * byte of an answer that has libcurl see to its authorities. */
void *authorities_answer(void *arg);

#endif
