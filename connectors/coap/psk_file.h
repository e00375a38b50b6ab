/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-shared keys by identity, from a file of lines:
 *
 *     # who: key
 *     sensor-17: "correct horse battery staple"
 *     "a: name with a colon": hex:00112233445566778899aabbccddeeff
 *
 * Keys are wiped when they are let go. Reading blocks for as long as a file takes to read; the rest is pure. One thread at a
 * time.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_PSK_FILE_H
#define LINKSPAN_CONNECTORS_COAP_PSK_FILE_H

#include "message/slice.h"

#define PSK_MAX_KEY_BYTES      64u /* COAP_DTLS_MAX_PSK of libcoap */
#define PSK_MAX_IDENTITY_BYTES 64u /* COAP_DTLS_MAX_PSK_IDENTITY */
#define PSK_MAX_FILE_BYTES     (16u * 1024 * 1024)
#define PSK_ERROR_SIZE         4352u /* a path and a sentence */

struct psk_file;

/* 0, with the keys in place of those that *ret_file held (NULL is allowed); else a negative errno, what was there stays, and
 * `error` says what is wrong and what would be right, with the number of the line but never with a key. */
int psk_file_read(const char *path, struct psk_file **ret_file, char error[PSK_ERROR_SIZE])
	__attribute__((warn_unused_result));
/* The same from memory, for which `path` stands in what is said. */
int psk_file_parse(const char *path, struct slice text, struct psk_file **ret_file, char error[PSK_ERROR_SIZE])
	__attribute__((warn_unused_result));
void psk_file_free(struct psk_file *file); /* NULL is allowed */

/* The key of that identity, borrowed; absent if there is none. */
struct slice psk_file_find(const struct psk_file *file, struct slice identity);
/* May others than owner and group read the file that it was read from? */
bool psk_file_is_exposed(const struct psk_file *file);

/* One key as in a file, for a key that stands in the configuration. The number of its bytes, or -EINVAL with one static
 * sentence of what is wrong and what would be right. Without a leading `hex:` the text itself is the key. */
int psk_key_parse(struct slice text, uint8_t ret_key[PSK_MAX_KEY_BYTES], const char **ret_wrong)
	__attribute__((warn_unused_result));

#endif
