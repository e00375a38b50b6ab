/* SPDX-License-Identifier: Apache-2.0
 *
 * One walk. Options that libcoap lets through and that mean nothing here are elective, or safe to leave out of account.
 */
#include "connectors/coap/in_head.h"

#include "connectors/coap/content_format.h"
#include "connectors/coap/path.h"

#define RESERVED_SZX 7u /* BERT over TCP, RFC 8323 §6 */

static uint64_t number(struct slice value)
{
	uint64_t n = 0;
	for (size_t i = 0; i < value.len; i++)
		n = n << 8 | value.data[i];
	return n;
}

static void read_block(struct slice value, struct coap_in_block *block)
{
	uint32_t raw = (uint32_t)number(value);
	*block = (struct coap_in_block){
		.is_set = true, .num = raw >> 4, .more = raw & 8, .szx = (uint8_t)(raw & 7), .raw = raw};
}

static void add(struct slice *list, size_t *n, struct slice value)
{
	if (*n < COAP_IN_MAX_ETAGS)
		list[(*n)++] = value;
}

/* NULL, or what is wrong. */
static const char *read_option(
	struct coap_in_head *head, struct buffer *topic, uint16_t option, struct slice value, uint8_t *ret_code)
{
	switch (option) {
	case COAP_OPTION_URI_PATH:
		return coap_path_add(topic, value, ret_code);
	case COAP_OPTION_URI_QUERY:
		if (head->n_queries == COAP_IN_MAX_QUERIES) {
			*ret_code = COAP_RESPONSE_CODE_BAD_REQUEST;
			return "the request has too many Uri-Query options";
		}
		head->queries[head->n_queries++] = value;
		break;
	case COAP_OPTION_CONTENT_FORMAT:
		head->content_format = (int)number(value);
		break;
	case COAP_OPTION_ACCEPT:
		head->accept = (int)number(value);
		break;
	case COAP_OPTION_OBSERVE:
		head->observe = (uint32_t)number(value);
		break;
	case COAP_OPTION_BLOCK1:
		read_block(value, &head->block1);
		break;
	case COAP_OPTION_BLOCK2:
		read_block(value, &head->block2);
		break;
	case COAP_OPTION_ETAG:
		add(head->etags, &head->n_etags, value);
		break;
	case COAP_OPTION_IF_MATCH:
		add(head->if_match, &head->n_if_match, value);
		break;
	case COAP_OPTION_IF_NONE_MATCH:
		head->if_none_match = true;
		break;
	case COAP_OPTION_SIZE1:
		head->size1 = number(value);
		break;
	case COAP_OPTION_RTAG:
		head->request_tag = value;
		break;
	case COAP_OPTION_NORESPONSE:
		head->no_response = (uint8_t)number(value);
		break;
	default:
		break;
	}
	return NULL;
}

uint8_t coap_in_head_read(const coap_pdu_t *pdu, bool is_stream, struct buffer *topic, struct coap_in_head *ret_head,
	const char **ret_wrong)
{
	coap_opt_iterator_t iterator;
	coap_bin_const_t token = coap_pdu_get_token(pdu);
	struct coap_in_head *head = ret_head;
	const uint8_t *end = token.s + token.length, *data;
	size_t len;
	uint8_t code = 0;
	*head = (struct coap_in_head){
		.code = (uint8_t)coap_pdu_get_code(pdu),
		.type = (uint8_t)coap_pdu_get_type(pdu),
		.mid = (uint16_t)coap_pdu_get_mid(pdu),
		.token = slice_of(token.s, token.length),
		.content_format = CONTENT_FORMAT_NONE,
		.accept = CONTENT_FORMAT_NONE,
		.observe = COAP_IN_NO_OBSERVE,
	};
	const char *wrong = NULL;
	buffer_clear(topic);
	coap_option_iterator_init(pdu, &iterator, COAP_OPT_ALL);
	for (coap_opt_t *option; (option = coap_option_next(&iterator)) != NULL;) {
		struct slice value = slice_of(coap_opt_value(option), coap_opt_length(option));
		end = value.data + value.len;
		if (!wrong)
			wrong = read_option(head, topic, iterator.number, value, &code);
	}
	if (!wrong)
		wrong = coap_path_end(topic, &code);
	if (!wrong && !is_stream && (head->block1.szx == RESERVED_SZX || head->block2.szx == RESERVED_SZX)) {
		wrong = "that block size is reserved";
		code = COAP_RESPONSE_CODE_BAD_REQUEST;
	}
	if (!coap_get_data(pdu, &len, &data)) {
		data = end;
		len = 0;
	}
	head->payload = slice_of(data, len);
	head->bytes = slice_of(token.s, (size_t)(data + len - token.s));
	head->topic = buffer_slice(topic);
	*ret_wrong = wrong;
	return wrong ? code : 0;
}
