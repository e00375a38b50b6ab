/* SPDX-License-Identifier: Apache-2.0
 *
 * The two models of QoS 2, and what can be chosen about them: how much goes wrong, how the broker is made, and, to see
 * that the search finds what is broken, one thing that is done wrong on purpose.
 */
#ifndef LINKSPAN_TESTS_MODEL_MODEL_H
#define LINKSPAN_TESTS_MODEL_MODEL_H

#include "tests/model/search.h"

enum out_wrong {
	OUT_RIGHT,
	OUT_STAGE_NOT_DURABLE, /* PUBREL before the stage is durable */
	OUT_LOSS_NOT_WRITTEN, /* the stages of a lost session stand in the journal for ever */
	OUT_LOSS_IGNORED, /* a lost session is taken for a resumed one */
	OUT_GIVEN_UP_AT_ONCE, /* PUBREL for what cannot be sent again before that is durable */
};

struct out_options {
	uint8_t msgs, cuts, crashes, losses, refusals;
	bool at_publish; /* the broker publishes at PUBLISH, else at PUBREL */
	bool by_number; /* it answers a PUBLISH whose identifier it has with PUBREC 0x91 */
	bool stale; /* it has an identifier of which we know nothing */
	bool park; /* on_session_loss */
	bool shrinks; /* at any time the broker may take no more messages of their size */
	enum out_wrong wrong;
};

enum in_wrong {
	IN_RIGHT,
	IN_PUBREC_NOT_DURABLE,
	IN_PUBCOMP_NOT_DURABLE, /* the release may be forgotten: its identifier swallows the next message */
	IN_RESET_FORGOTTEN, /* the loss of a session is not told */
	IN_HASH_IGNORED, /* identifiers by number alone */
};

struct in_options {
	uint8_t msgs, cuts, crashes, losses, forgets;
	bool same_bytes; /* all messages have the same payload */
	enum in_wrong wrong;
};

extern const struct model model_out; /* options: struct out_options */
extern const struct model model_in; /* options: struct in_options */

#endif
