/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of codes.
 */
#include "connectors/coap/out_verdict.h"

#include <stdio.h>

#define CODE(class, detail) ((class) << 5 | (detail))

static const struct {
	uint8_t code;
	const char *name;
} names[] = {
	{CODE(2, 1), "Created"},
	{CODE(2, 2), "Deleted"},
	{CODE(2, 3), "Valid"},
	{CODE(2, 4), "Changed"},
	{CODE(2, 5), "Content"},
	{CODE(2, 31), "Continue"},
	{CODE(4, 0), "Bad Request"},
	{CODE(4, 1), "Unauthorized"},
	{CODE(4, 2), "Bad Option"},
	{CODE(4, 3), "Forbidden"},
	{CODE(4, 4), "Not Found"},
	{CODE(4, 5), "Method Not Allowed"},
	{CODE(4, 6), "Not Acceptable"},
	{CODE(4, 8), "Request Entity Incomplete"},
	{CODE(4, 9), "Conflict"},
	{CODE(4, 12), "Precondition Failed"},
	{CODE(4, 13), "Request Entity Too Large"},
	{CODE(4, 15), "Unsupported Content-Format"},
	{CODE(4, 22), "Unprocessable Entity"},
	{CODE(4, 29), "Too Many Requests"},
	{CODE(5, 0), "Internal Server Error"},
	{CODE(5, 1), "Not Implemented"},
	{CODE(5, 2), "Bad Gateway"},
	{CODE(5, 3), "Service Unavailable"},
	{CODE(5, 4), "Gateway Timeout"},
	{CODE(5, 5), "Proxying Not Supported"},
	{CODE(5, 8), "Hop Limit Reached"},
};

enum coap_verdict coap_verdict_of(uint8_t code)
{
	switch (code) {
	case CODE(2, 31): /* there is nothing to continue with */
		return COAP_AGAIN;
	case CODE(4, 1):
	case CODE(4, 3):
		return COAP_NO_ACCESS;
	case CODE(4, 8): /* blocks have got lost on the way, or their time was over */
	case CODE(4, 29):
		return COAP_AGAIN;
	default:
		break;
	}
	if (code >> 5 == 2)
		return COAP_TAKEN;
	return code >> 5 == 5 ? COAP_AGAIN : COAP_REFUSED;
}

uint64_t coap_verdict_wait_ms(uint8_t code, bool has_max_age, uint32_t max_age_s)
{
	if (code != CODE(4, 29) && code != CODE(5, 3))
		return 0;
	return (has_max_age ? max_age_s : 60) * UINT64_C(1000);
}

void coap_code_print(uint8_t code, char text[COAP_CODE_SIZE])
{
	snprintf(text, COAP_CODE_SIZE, "%u.%02u", (unsigned)(code >> 5), (unsigned)(code & 31));
}

const char *coap_code_name(uint8_t code)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].code == code)
			return names[i].name;
	return "";
}
