/* SPDX-License-Identifier: Apache-2.0
 *
 * One table in the order of the numbers: looked up by halves one way, walked through the other. Rows and what is looked for
 * are taken apart by the same parser. Left out are numbers whose registration is temporary.
 */
#include "connectors/coap/content_format.h"

#include <stdio.h>
#include <strings.h>

#define MOST_PARAMETERS 8u
#define NUMBERED        "coap/"

struct format {
	uint16_t number;
	const char *type;
};

static const struct format formats[] = {
	{0, "text/plain;charset=utf-8"},
	{16, "application/cose;cose-type=\"cose-encrypt0\""},
	{17, "application/cose;cose-type=\"cose-mac0\""},
	{18, "application/cose;cose-type=\"cose-sign1\""},
	{19, "application/ace+cbor"},
	{21, "image/gif"},
	{22, "image/jpeg"},
	{23, "image/png"},
	{40, "application/link-format"},
	{41, "application/xml"},
	{42, "application/octet-stream"},
	{47, "application/exi"},
	{50, "application/json"},
	{51, "application/json-patch+json"},
	{52, "application/merge-patch+json"},
	{60, "application/cbor"},
	{61, "application/cwt"},
	{62, "application/multipart-core"},
	{63, "application/cbor-seq"},
	{64, "application/edhoc+cbor-seq"},
	{65, "application/cid-edhoc+cbor-seq"},
	{96, "application/cose;cose-type=\"cose-encrypt\""},
	{97, "application/cose;cose-type=\"cose-mac\""},
	{98, "application/cose;cose-type=\"cose-sign\""},
	{101, "application/cose-key"},
	{102, "application/cose-key-set"},
	{110, "application/senml+json"},
	{111, "application/sensml+json"},
	{112, "application/senml+cbor"},
	{113, "application/sensml+cbor"},
	{114, "application/senml-exi"},
	{115, "application/sensml-exi"},
	{140, "application/yang-data+cbor;id=sid"},
	{256, "application/coap-group+json"},
	{257, "application/concise-problem-details+cbor"},
	{258, "application/swid+cbor"},
	{259, "application/pkixcmp"},
	{260, "application/yang-sid+json"},
	{261, "application/ace-groupcomm+cbor"},
	{262, "application/ace-trl+cbor"},
	{263, "application/eat+cwt"},
	{264, "application/eat+jwt"},
	{265, "application/eat-bun+cbor"},
	{266, "application/eat-bun+json"},
	{267, "application/eat-ucs+cbor"},
	{268, "application/eat-ucs+json"},
	{269, "application/coap-eap"},
	{271, "application/dots+cbor"},
	{272, "application/missing-blocks+cbor-seq"},
	{280, "application/pkcs7-mime;smime-type=server-generated-key"},
	{281, "application/pkcs7-mime;smime-type=certs-only"},
	{284, "application/pkcs8"},
	{285, "application/csrattrs"},
	{286, "application/pkcs10"},
	{287, "application/pkix-cert"},
	{290, "application/aif+cbor"},
	{291, "application/aif+json"},
	{310, "application/senml+xml"},
	{311, "application/sensml+xml"},
	{320, "application/senml-etch+json"},
	{322, "application/senml-etch+cbor"},
	{340, "application/yang-data+cbor"},
	{341, "application/yang-data+cbor;id=name"},
	{432, "application/td+json"},
	{433, "application/tm+json"},
	{434, "application/sdf+json"},
	{553, "application/dns-message"},
	{601, "application/uccs+cbor"},
	{10000, "application/vnd.ocf+cbor"},
	{10001, "application/oscore"},
	{10002, "application/javascript"},
	{11050, "application/json@deflate"},
	{11060, "application/cbor@deflate"},
	{11542, "application/vnd.oma.lwm2m+tlv"},
	{11543, "application/vnd.oma.lwm2m+json"},
	{11544, "application/vnd.oma.lwm2m+cbor"},
	{12000, "text/plain;charset=utf-8@zstd"},
	{12041, "application/xml@zstd"},
	{12050, "application/json@zstd"},
	{20000, "text/css"},
	{30000, "image/svg+xml"},
};
#define N_FORMATS (sizeof formats / sizeof formats[0])

/* --- number to type --------------------------------------------------------------------------------------------- */

struct slice content_format_type(uint16_t format, char text[CONTENT_FORMAT_SIZE])
{
	size_t low = 0, high = N_FORMATS;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (formats[middle].number == format)
			return slice_str(formats[middle].type);
		if (formats[middle].number < format)
			low = middle + 1;
		else
			high = middle;
	}
	int len = snprintf(text, CONTENT_FORMAT_SIZE, NUMBERED "%u", format);
	return slice_of(text, (size_t)len);
}

/* --- taking a type apart ------------------------------------------------------------------------------------------ */

struct parameter {
	struct slice name, value;
};

struct content_type {
	struct slice name; /* type/subtype */
	struct slice coding; /* absent: none */
	struct parameter parameters[MOST_PARAMETERS];
	size_t n;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct slice trim(struct slice text)
{
	while (text.len && is_blank(text.data[0]))
		text = slice_of(text.data + 1, text.len - 1);
	while (text.len && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

/* Up to the next such character outside of quotes, which is taken off as well; *rest is absent behind the last one. */
static struct slice next_part(struct slice *rest, uint8_t end)
{
	bool quoted = false;
	size_t i = 0;
	for (; i < rest->len && (quoted || rest->data[i] != end); i++) {
		if (rest->data[i] == '"')
			quoted = !quoted;
		else if (quoted && rest->data[i] == '\\' && i + 1 < rest->len)
			i++;
	}
	struct slice part = slice_of(rest->data, i);
	*rest = i < rest->len ? slice_of(rest->data + i + 1, rest->len - i - 1) : (struct slice){NULL, 0};
	return trim(part);
}

static void add_parameter(struct content_type *type, struct slice text)
{
	struct slice value = text;
	struct slice name = next_part(&value, '=');
	value = trim(value);
	if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
		value = slice_of(value.data + 1, value.len - 2);
	if (name.len && type->n < MOST_PARAMETERS)
		type->parameters[type->n++] = (struct parameter){name, value};
}

static void take_apart(struct slice text, struct content_type *ret_type)
{
	*ret_type = (struct content_type){.n = 0};
	struct slice coding = text;
	struct slice rest = next_part(&coding, '@');
	ret_type->coding = trim(coding);
	ret_type->name = next_part(&rest, ';');
	while (rest.data)
		add_parameter(ret_type, next_part(&rest, ';'));
}

/* --- type to number ----------------------------------------------------------------------------------------------- */

static bool same_word(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp((const char *)a.data, (const char *)b.data, a.len) == 0);
}

static bool is_charset(const struct parameter *parameter)
{
	return same_word(parameter->name, slice_str("charset"));
}

/* US-ASCII is UTF-8 as well. */
static bool is_utf8(struct slice charset)
{
	return same_word(charset, slice_str("utf-8")) || same_word(charset, slice_str("us-ascii"));
}

static bool has_parameter(const struct content_type *type, const struct parameter *wanted)
{
	if (is_charset(wanted))
		return true; /* which ones are there has been looked at */
	for (size_t i = 0; i < type->n; i++)
		if (same_word(type->parameters[i].name, wanted->name))
			return slice_equal(type->parameters[i].value, wanted->value);
	return false;
}

/* What a row says must be so; the row that says most is the right one. -1: it is another type. */
static int similarity(const struct content_type *type, const struct content_type *row)
{
	if (!same_word(type->name, row->name) || !same_word(type->coding, row->coding))
		return -1;
	for (size_t i = 0; i < row->n; i++)
		if (!has_parameter(type, &row->parameters[i]))
			return -1;
	return (int)row->n;
}

static bool has_foreign_charset(const struct content_type *type)
{
	for (size_t i = 0; i < type->n; i++)
		if (is_charset(&type->parameters[i]) && !is_utf8(type->parameters[i].value))
			return true;
	return false;
}

static int find_number(struct slice digits)
{
	unsigned number = 0;
	if (digits.len == 0 || digits.len > 5 || (digits.len > 1 && digits.data[0] == '0'))
		return CONTENT_FORMAT_NONE;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return CONTENT_FORMAT_NONE;
		number = number * 10 + (digits.data[i] - '0');
	}
	return number <= UINT16_MAX ? (int)number : CONTENT_FORMAT_NONE;
}

int content_format_find(struct slice text)
{
	struct content_type type, row;
	int best = -1, found = CONTENT_FORMAT_NONE;
	if (text.len == 0)
		return CONTENT_FORMAT_NONE;
	take_apart(text, &type);
	struct slice prefix = slice_str(NUMBERED);
	if (type.name.len > prefix.len && same_word(slice_of(type.name.data, prefix.len), prefix))
		return find_number(slice_of(type.name.data + prefix.len, type.name.len - prefix.len));
	if (has_foreign_charset(&type))
		return CONTENT_FORMAT_NONE;
	for (size_t i = 0; i < N_FORMATS; i++) {
		const char *name = formats[i].type;
		if (strncasecmp(name, (const char *)type.name.data, type.name.len) != 0)
			continue;
		take_apart(slice_str(name), &row);
		int similar = similarity(&type, &row);
		if (similar > best) {
			best = similar;
			found = formats[i].number;
		}
	}
	return found;
}
