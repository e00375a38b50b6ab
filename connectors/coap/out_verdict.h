/* SPDX-License-Identifier: Apache-2.0
 *
 * What a response means for the message that the request carried (RFC 7252 §5.9, RFC 7959 §2.9, RFC 8132, RFC 8516).
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_VERDICT_H
#define LINKSPAN_CONNECTORS_COAP_OUT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coap_verdict {
	COAP_TAKEN, /* the device has it */
	COAP_REFUSED, /* about the message, and final */
	COAP_AGAIN, /* later, perhaps */
	COAP_NO_ACCESS, /* about who we are: 4.01, 4.03 */
};

#define COAP_CODE_SIZE 6u /* "4.04" and a NUL; 7.31 is the largest */

enum coap_verdict coap_verdict_of(uint8_t code);
/* How long the device wants not to be asked again: Max-Age of 5.03 and 4.29, 60 s without one. 0: it does not say. */
uint64_t coap_verdict_wait_ms(uint8_t code, bool has_max_age, uint32_t max_age_s);
void coap_code_print(uint8_t code, char text[COAP_CODE_SIZE]);
const char *coap_code_name(uint8_t code); /* "Not Found"; "" if it has none */

#endif
