/* SPDX-License-Identifier: Apache-2.0
 *
 * `tests:` of a configuration once they have been read: what comes in, what happens meanwhile, and what must arrive. Whoever
 * runs them (src/simulation) finds steps in the order in which they are done, whether the file says `steps` or the short form.
 */
#ifndef LINKSPAN_CONFIG_TEST_CONFIG_H
#define LINKSPAN_CONFIG_TEST_CONFIG_H

#include "config/schema.h"
#include "message/slice.h"

/* How a destination answers one attempt. */
enum test_answer { TEST_DELIVERED, TEST_RETRY, TEST_REJECTED, TEST_UNANSWERED };
extern const char *const test_answer_names[]; /* their names, NULL-terminated */

extern const char *const test_link_names[]; /* down, up */

/* What has become of a message at its destination. */
enum test_outcome { TEST_ARRIVED, TEST_DEAD_LETTER, TEST_EXPIRED, TEST_DROPPED };
extern const char *const test_outcome_names[];

/* A message that comes in. */
struct test_given {
	char *connection; /* as written; NULL: found out */
	size_t from; /* index into connections */
	char *topic, *payload, *payload_base64, *key, *content_type;
	bool null_payload, retain;
	struct config_list headers;
	int64_t qos;
	uint64_t expires_in_ms; /* 0: never */
	uint8_t *decoded; /* of payload_base64 */
	size_t n_decoded;
};

/* A message at a destination; what is NULL (or negative) is not compared. */
struct test_expected {
	char *connection;
	size_t to;
	char *target, *payload, *payload_base64, *key, *content_type;
	bool null_payload;
	bool says_null, says_retain, retain;
	bool no_key, no_content_type; /* it must have none */
	struct config_list headers; /* these, whatever others there are; value NULL: not that one */
	struct config_list params; /* the connector's to_keys */
	int64_t qos;
	int outcome; /* enum test_outcome */
	char *reason; /* a part of it, of what is dead */
	uint8_t *decoded;
	size_t n_decoded;
	const char *file;
	int line, column;
};

/* One connection of `link` or `answer`. */
struct test_link {
	size_t connection;
	bool up;
};
struct test_answers {
	size_t connection;
	enum test_answer *items; /* for one attempt after the other */
	size_t n;
};

enum test_step_kind { STEP_LINK, STEP_ANSWER, STEP_GIVEN, STEP_WAIT, STEP_RESTART, STEP_EXPECT };

struct test_step {
	enum test_step_kind kind;
	struct test_link *links;
	struct test_answers *answers;
	struct test_given *given;
	struct test_expected *expected;
	size_t n; /* of those of its kind */
	uint64_t wait_ms;
	bool in_the_end; /* expect: once nothing more happens, however long that takes */
	const char *file;
	int line, column;
};

struct test_config {
	char *name;
	char *mapping; /* only this one takes part; NULL: all */
	struct test_step *steps;
	size_t n_steps;
	const char *file;
	int line, column;
};

void test_config_free(struct test_config *test); /* what it holds, not the struct */
/* The payload; absent: null. */
struct slice test_given_payload(const struct test_given *given);
/* With *ret_said false it is not compared. */
struct slice test_expected_payload(const struct test_expected *expected, bool *ret_said);

#endif
