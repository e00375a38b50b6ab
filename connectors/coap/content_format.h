/* SPDX-License-Identifier: Apache-2.0
 *
 * The number of a Content-Format or Accept option and the content type of a message, both ways, so that a number that came
 * in goes out as the same one:
 *   registered (IANA, CoAP Content-Formats)       application/json; text/plain;charset=utf-8
 *   registered with a content coding              application/json@deflate  (the notation of RFC 9193 §3)
 *   any other number                              coap/<number>
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_CONTENT_FORMAT_H
#define LINKSPAN_CONNECTORS_COAP_CONTENT_FORMAT_H

#include "message/slice.h"

#define CONTENT_FORMAT_NONE   (-1)
#define CONTENT_FORMAT_TEXT   0
#define CONTENT_FORMAT_OCTETS 42
#define CONTENT_FORMAT_LINKS  40
#define CONTENT_FORMAT_SIZE   16u /* "coap/65535" and a NUL */

/* The content type: static, or written into `text` if the number has no name. */
struct slice content_format_type(uint16_t format, char text[CONTENT_FORMAT_SIZE]);

/* The number for a content type, or CONTENT_FORMAT_NONE. Case, blanks, quotes and the order of parameters do not matter.
 * text/plain may have no charset, UTF-8 or US-ASCII. Other parameters that the registry does not know are left out of
 * account, but for a charset: with another one than those two there is no number. An absent or empty type has none. */
int content_format_find(struct slice type);

#endif
