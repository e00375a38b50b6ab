/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers to types and back: every number comes back as itself, and types are known however they are written.
 */
#include <string.h>

#include "connectors/coap/content_format.h"
#include "tests/unit/tap.h"

static void all_numbers_come_back(void)
{
	unsigned n_wrong = 0, n_named = 0;
	for (unsigned i = 0; i <= UINT16_MAX; i++) {
		char text[CONTENT_FORMAT_SIZE];
		struct slice type = content_format_type((uint16_t)i, text);
		n_wrong += content_format_find(type) != (int)i;
		n_named += type.data != (const uint8_t *)text;
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT(n_named > 70);
}

static const struct {
	uint16_t number;
	const char *type;
} names[] = {
	{0, "text/plain;charset=utf-8"},
	{40, "application/link-format"},
	{41, "application/xml"},
	{42, "application/octet-stream"},
	{47, "application/exi"},
	{50, "application/json"},
	{51, "application/json-patch+json"},
	{60, "application/cbor"},
	{61, "application/cwt"},
	{62, "application/multipart-core"},
	{110, "application/senml+json"},
	{112, "application/senml+cbor"},
	{310, "application/senml+xml"},
	{11050, "application/json@deflate"},
	{11060, "application/cbor@deflate"},
	{11542, "application/vnd.oma.lwm2m+tlv"},
	{30000, "image/svg+xml"},
	{1, "coap/1"},
	{39, "coap/39"},
	{1542, "coap/1542"},
	{65535, "coap/65535"},
};

static void numbers_have_names(void)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char text[CONTENT_FORMAT_SIZE];
		struct slice type = content_format_type(names[i].number, text);
		CU_ASSERT(slice_equal(type, slice_str(names[i].type)));
	}
}

static const struct {
	const char *type;
	int number;
} types[] = {
	{"application/json", 50},
	{"APPLICATION/Json", 50},
	{" application/json ", 50},
	{"application/json;charset=utf-8", 50},
	{"application/json; charset=\"UTF-8\"", 50},
	{"application/json;charset=iso-8859-1", -1},
	{"application/json;profile=x", 50},
	{"application/json ; v=1 ; charset=us-ascii", 50},
	{"text/plain", 0},
	{"text/plain; Charset=UTF-8", 0},
	{"text/plain;charset=us-ascii", 0},
	{"text/plain;charset=latin1", -1},
	{"text/plain;format=flowed", 0},
	{"text/html", -1},
	{"application/cose; cose-type=\"cose-sign1\"", 18},
	{"application/cose;cose-type=cose-sign", 98},
	{"application/cose", -1},
	{"application/cose;cose-type=other", -1},
	{"application/cose;x=1;cose-type=cose-mac", 97},
	{"application/yang-data+cbor", 340},
	{"application/yang-data+cbor; id=sid", 140},
	{"application/yang-data+cbor; id=name", 341},
	{"application/yang-data+cbor; id=other", 340},
	{"application/json@deflate", 11050},
	{"application/json@gzip", -1},
	{"application/json;charset=utf-8@deflate", 11050},
	{"text/plain;charset=utf-8@zstd", 12000},
	{"application/json;x=\"a@b;charset=latin1\"", 50},
	{"application/json;x=\"a\\\"@b\"", 50},
	{"application/js", -1},
	{"application/json2", -1},
	{"application", -1},
	{"coap/0", 0},
	{"coap/50", 50},
	{"COAP/12345", 12345},
	{"coap/65536", -1},
	{"coap/99999", -1},
	{"coap/", -1},
	{"coap/01", -1},
	{"coap/1a", -1},
	{"coap/-1", -1},
	{"coap/123456", -1},
	{"coap/7;x=y", 7},
	{"", -1},
	{";", -1},
	{"@", -1},
	{"/", -1},
	{"a/b;c=d;e=f;g=h;i=j;k=l;m=n;o=p;q=r;s=t;u", -1},
	{"50", -1},
	{"application/json;", 50},
	{"application/json;charset", -1},
	{"application/json;\"", 50},
};

static void types_have_numbers(void)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		CU_ASSERT_EQUAL(content_format_find(slice_str(types[i].type)), types[i].number);
	CU_ASSERT_EQUAL(content_format_find((struct slice){NULL, 0}), CONTENT_FORMAT_NONE);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"every number comes back as itself", all_numbers_come_back},
		{"numbers have the names of the registry", numbers_have_names},
		{"types are known however they are written", types_have_numbers},
		{NULL, NULL},
	};
	return tap_main("coap content formats", tests);
}
