/* SPDX-License-Identifier: Apache-2.0
 *
 * An rd_kafka_t that can log in: every client of a connection (producer, consumer, the cursor's reader) is made and ended
 * here. What the library needs from outside for that (tokens, reasons why a certificate is refused) comes from this
 * module's own threads and never needs its queues to be polled.
 *
 * Threads: any; each client is one thread's at a time, as usual.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CLIENT_H
#define LINKSPAN_CONNECTORS_KAFKA_CLIENT_H

#include "connectors/kafka/settings.h"

/* As rd_kafka_new: takes conf if, and only if, it succeeds. The opaque of conf is this module's; callbacks find `owner` by
 * kafka_client_owner. `settings` must outlive the client. */
rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct kafka_settings *settings,
	void *owner, char *errstr, size_t errstr_size) __attribute__((warn_unused_result));

void *kafka_client_owner(const rd_kafka_t *rk);

/* Its threads look anew at what they have to do: a consumer's, whose queue was full, may sleep for a second although it no longer is.
 * Not twice at once for a client. May wait for a login that is under way. */
void kafka_client_wake(rd_kafka_t *rk);

/* As rd_kafka_destroy_flags (0: as rd_kafka_destroy), which may block. */
void kafka_client_destroy(rd_kafka_t *rk, int flags);

enum kafka_error {
	KAFKA_ERROR_QUIET, /* brokers hang up all the time; not worth a line */
	KAFKA_ERROR_NOTE, /* worth one */
	KAFKA_ERROR_ALARM, /* needs a person; the sentence stays the same while the failure does */
};

/* Every error that the library tells of a client goes through here, but for fatal ones and ALL_BROKERS_DOWN. err and text: the
 * library's. was_up: the client has been let in before; a broker that merely hangs up then means nothing. The sentence is what is
 * to be said, and not always the library's. */
enum kafka_error kafka_client_error(
	rd_kafka_t *rk, bool was_up, rd_kafka_resp_err_t err, const char *text, char *sentence, size_t sentence_size);

#endif
