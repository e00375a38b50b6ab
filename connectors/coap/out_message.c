/* SPDX-License-Identifier: Apache-2.0
 *
 * Options are walked over twice, to see what fits and to add them.
 */
#include "connectors/coap/out_message.h"

#define MOST_ETAG     8u
#define MOST_ECHO     40u
#define MOST_SEQUENCE 0xffffffu

size_t coap_message_uint(uint32_t value, uint8_t out[4])
{
	size_t len = 0;
	for (int shift = 24; shift >= 0; shift -= 8)
		if (len > 0 || value >> shift)
			out[len++] = (uint8_t)(value >> shift);
	return len;
}

uint32_t coap_message_block(uint32_t num, bool more, uint8_t szx)
{
	return num << 4 | (more ? 8u : 0u) | szx;
}

void coap_message_add(struct coap_message_extras *extras, uint16_t number, struct slice value)
{
	extras->items[extras->n++] = (struct coap_message_extra){.number = number, .value = value};
}

void coap_message_add_uint(struct coap_message_extras *extras, uint16_t number, uint32_t value)
{
	struct coap_message_extra *extra = &extras->items[extras->n++];
	extra->number = number;
	size_t len = coap_message_uint(value, extra->bytes);
	extra->value = slice_of(extra->bytes, len);
}

bool coap_message_next(struct slice *options, uint16_t *ret_number, struct slice *ret_value)
{
	if (options->len < 4)
		return false;
	uint16_t len;
	memcpy(ret_number, options->data, 2);
	memcpy(&len, options->data + 2, 2);
	*ret_value = slice_of(options->data + 4, len);
	*options = slice_of(options->data + 4 + len, options->len - 4 - len);
	return true;
}

/* Both kinds in one order. */
struct walk {
	struct slice options;
	const struct coap_message_extras *extras;
	size_t extra;
	bool has_option;
	uint16_t number;
	struct slice value;
};

static struct walk walk_begin(struct slice options, const struct coap_message_extras *extras)
{
	struct walk walk = {.options = options, .extras = extras};
	walk.has_option = coap_message_next(&walk.options, &walk.number, &walk.value);
	return walk;
}

static bool walk_next(struct walk *walk, uint16_t *ret_number, struct slice *ret_value)
{
	if (walk->extra < walk->extras->n &&
		(!walk->has_option || walk->extras->items[walk->extra].number < walk->number)) {
		*ret_number = walk->extras->items[walk->extra].number;
		*ret_value = walk->extras->items[walk->extra++].value;
		return true;
	}
	if (!walk->has_option)
		return false;
	*ret_number = walk->number;
	*ret_value = walk->value;
	walk->has_option = coap_message_next(&walk->options, &walk->number, &walk->value);
	return true;
}

size_t coap_message_size(struct slice options, const struct coap_message_extras *extras)
{
	struct walk walk = walk_begin(options, extras);
	uint16_t number, last = 0;
	struct slice value;
	size_t size = 0;
	for (; walk_next(&walk, &number, &value); last = number)
		size += coap_opt_encode_size((uint16_t)(number - last), value.len);
	return size;
}

static bool add_all(coap_pdu_t *pdu, struct slice options, const struct coap_message_extras *extras)
{
	struct walk walk = walk_begin(options, extras);
	uint16_t number;
	struct slice value;
	while (walk_next(&walk, &number, &value))
		if (!coap_add_option(pdu, number, value.len, value.len ? value.data : (const uint8_t *)""))
			return false;
	return true;
}

coap_pdu_t *coap_message_new(uint8_t type, uint8_t code, uint16_t id, struct slice token, struct slice options,
	const struct coap_message_extras *extras, struct slice payload, size_t max_size)
{
	coap_pdu_t *pdu = coap_pdu_init((coap_pdu_type_t)type, (coap_pdu_code_t)code, id, max_size);
	if (pdu && coap_add_token(pdu, token.len, token.data) && add_all(pdu, options, extras) &&
		(payload.len == 0 || coap_add_data(pdu, payload.len, payload.data)))
		return pdu;
	coap_delete_pdu(pdu);
	return NULL;
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

static uint32_t number_of(struct slice value)
{
	uint32_t number = 0;
	for (size_t i = 0; i < value.len && i < 4; i++)
		number = number << 8 | value.data[i];
	return number;
}

static struct coap_message_block_option block_of(struct slice value)
{
	uint32_t number = number_of(value);
	uint8_t szx = number & 7;
	return (struct coap_message_block_option){
		.present = value.len <= 3, .more = number & 8, .szx = szx < 7 ? szx : 6, .num = number >> 4};
}

static void read_option(uint16_t number, struct slice value, struct coap_message_view *view)
{
	switch (number) {
	case COAP_OPTION_ETAG:
		if (value.len >= 1 && value.len <= MOST_ETAG)
			view->etag = value;
		break;
	case COAP_OPTION_OBSERVE:
		view->observed = value.len <= 3;
		view->sequence = number_of(value) & MOST_SEQUENCE;
		break;
	case COAP_OPTION_CONTENT_FORMAT:
		if (value.len <= 2)
			view->format = (int32_t)number_of(value);
		break;
	case COAP_OPTION_MAXAGE:
		view->has_max_age = value.len <= 4;
		view->max_age_s = number_of(value);
		break;
	case COAP_OPTION_BLOCK2:
		view->block2 = block_of(value);
		break;
	case COAP_OPTION_BLOCK1:
		view->block1 = block_of(value);
		break;
	case COAP_OPTION_ECHO:
		if (value.len >= 1 && value.len <= MOST_ECHO)
			view->echo = value;
		break;
	default:
		break;
	}
}

void coap_message_read(const coap_pdu_t *pdu, struct coap_message_view *ret_view)
{
	coap_opt_iterator_t iterator;
	const uint8_t *data = NULL;
	size_t len = 0;
	coap_opt_t *option;
	*ret_view = (struct coap_message_view){.code = (uint8_t)coap_pdu_get_code(pdu), .format = -1, .max_age_s = 60};
	coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
	while ((option = coap_option_next(&iterator)))
		read_option(iterator.number, slice_of(coap_opt_value(option), coap_opt_length(option)), ret_view);
	coap_get_data(pdu, &len, &data);
	ret_view->payload = len ? slice_of(data, len) : slice_of("", 0);
}
