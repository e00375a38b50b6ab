/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract between the core and a connector: a const table of functions and what each may do. A connector turns
 * a protocol into offers (source) and deliveries into a protocol (sink). It never sees the journal, never decides on
 * retry, back-off, expiry or dead letters, and knows no other connector.
 *
 * Threads: every function of the table is called on the loop thread and none may block. Every call that a connector
 * makes into its host is made on the loop thread; work of other threads enters through loop_post.
 *
 * Life of a link (one per entry of `connections:`):
 *     create → start ⇄ (offers, receipts, deliveries, outcomes, pause, resume) → stop → stopped() → destroy
 * Close, stop and free are three steps: `stop` asks, the link answers host->stopped() once nothing of it runs any
 * more (possibly from inside stop), `destroy` frees. `destroy` without `start` is legal.
 */
#ifndef LINKSPAN_CONNECTORS_CONNECTOR_H
#define LINKSPAN_CONNECTORS_CONNECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/schema.h"
#include "message/message.h"
#include "runtime/loop.h"

struct arena; /* routing/arena.h */
struct link; /* a connector's own; each connector casts from its struct, whose first member may be anything */
struct link_host;

/* What one leg of a mapping can keep; ordered. */
enum guarantee { AT_MOST_ONCE, AT_LEAST_ONCE, EXACTLY_ONCE };

/* --- what a source offers ------------------------------------------------------------------------------------ */

enum state_change_type {
	CHANGE_NONE,
	CHANGE_OPEN_ID, /* packet identifier `id` with `hash` of the bytes is open (before PUBREC) */
	CHANGE_RELEASE_ID, /* packet identifier `id` is released (before PUBCOMP) */
	CHANGE_SESSION_RESET, /* the peer has forgotten the session */
	CHANGE_SUBSCRIPTIONS, /* `blob` is the session's new set of subscriptions, opaque */
	CHANGE_POSITION, /* `blob` names a partition, `position` is where it stands after this message, `hash` is of the
			  * message, or 0; replaces the last one, also a higher one */
	CHANGE_KEY, /* an idempotency key: `blob` (LINK_KEY_LEN bytes, made of everything that the key counts for: listener,
		     * identity, path and key) with the `hash` of the bytes is known until `position`, by loop_wall_ms */
};
#define LINK_KEY_LEN 16u

struct state_change {
	enum state_change_type type;
	uint16_t id;
	uint64_t hash;
	uint64_t position;
	struct slice blob;
};

struct offer {
	/* The message, borrowed until offer() returns; NULL when the state change comes alone. qos, retain, origin_ms
	 * and topic must be set; order_key and params are ignored. NULL with CHANGE_NONE: nothing is appended; the receipt
	 * says that all that was appended before is durable. */
	const struct message_view *view;
	struct state_change change;
	/* Further messages that come with this one, as an array (view[1] … view[n_more]): all that they become is appended in the
	 * same set and durable together, or nothing of it. One receipt for all. 0: none. */
	size_t n_more;
	/* Which mappings' filters to match: -1 all of this link, else the index of one subscription (struct
	 * link_subscription), known to the source from a subscription identifier. */
	int subscription;
	/* Comes back in the receipt, unread by the host. */
	uint64_t cookie;
	/* No receipt wanted (QoS 0). */
	bool no_receipt;
	/* Of a link that is written to as well: deliveries of its own that are delivered with this offer, ascending. They are DONE
	 * in the set of what the offer becomes, get no outcome, and are in flight as before if it is not taken. Not NULL: it is
	 * taken only while the bridge runs, whoever is paused. */
	const uint64_t *finished;
	size_t n_finished;
};

enum offer_result {
	OFFER_TAKEN, /* a receipt follows, unless no_receipt */
	OFFER_BUSY, /* not taken: hold it and offer again, first, after resume(). pause() has been called */
	OFFER_REFUSED, /* never: too large for the journal, or not a valid message. Logged and counted by the host. The
	                * source answers upstream as its protocol says so that the peer does not repeat it for ever */
};

/* One receipt per taken offer, in the order of the offers. */
enum receipt {
	RECEIPT_DURABLE, /* all that the offer became is on disk (or it matched nothing): acknowledge upstream */
	RECEIPT_FAILED, /* the journal has failed: do not acknowledge */
};

/* --- what a sink is given ------------------------------------------------------------------------------------- */

struct delivery {
	const uint8_t *destination_uuid; /* 16 bytes, the same for ever */
	uint64_t seq; /* of this destination: without gaps, never given twice */
	uint32_t attempt; /* 1 for the first; LINK_DOWN does not count */
	uint8_t stage; /* 0, or what the sink has reported before and is durable */
	bool maybe_sent; /* an earlier connection or process may have sent it: repeat it as a repetition (DUP) */
	bool session_lost; /* what may have been sent, was so in a session that is lost since (sink_traits) */
	struct message *msg; /* borrowed until the outcome; message_ref to keep it longer */
	/* Not 0: one of a batch, whose bounds are durable: batch_first to batch_last goes out as one, given one after the other,
	 * the same ones at each attempt (struct batching). It is complete with batch_last; send_end() follows. Each gets an
	 * outcome, the same for all. */
	uint64_t batch_first, batch_last;
	int64_t shift_ms; /* to add to its origin_ms and expires_ms before they are compared with loop_wall_ms: an earlier
	                     process may have stamped it, by a clock that stood otherwise */
};

enum outcome_kind {
	OUTCOME_DELIVERED, /* final */
	OUTCOME_REJECTED, /* final: this message can never be delivered; goes to the dead letters with `reason` */
	OUTCOME_RETRY, /* about this message: counts as an attempt; again after back-off or retry_after_ms */
	OUTCOME_LINK_DOWN, /* about the destination: never counts; sent again after link_up */
};

struct outcome {
	enum outcome_kind kind;
	const char *reason; /* for people; borrowed; NULL only with DELIVERED */
	uint64_t retry_after_ms; /* RETRY: the peer's wish, 0 = none */
	bool not_taken; /* LINK_DOWN: the peer has said that it does not have it */
	/* DELIVERED, `gives_replies`: a message that the delivery gave back, journalled with the DONE for whom its message says
	 * (message_param MESSAGE_REPLY; the link need not know, and it is dropped if nobody wants it); or NULL. Payload, content
	 * type, utf8_payload and headers count; topic, correlation, qos and all else are filled in by the host. */
	const struct message_view *reply;
	/* DELIVERED, `keeps_values`: the message is now the last value of its topic, journalled with the DONE; one with a null
	 * payload removes it. Not together with a reply. */
	bool keep_value;
};

/* Several messages that a sink sends as one. Batches are formed by the host: in the order of seq, one in flight at a time, their bounds journalled
 * before they are first sent and never changed; retried as one. A batch is every seq from batch_first to batch_last: the bounds
 * alone identify it, over restarts too, and no other one ever has a message of it, unless this one was refused or a message
 * was taken out by hand. One of an earlier process may be larger than what the settings say now. */
struct batching {
	uint32_t max_messages; /* 0 or 1: no batches */
	uint64_t max_bytes; /* of payload, but a single message always fits */
	uint64_t wait_ms; /* for more, from when the first is durable */
};

/* With `deep_window`: for a link that can have so many deliveries in flight, the courier looks so many messages ahead. */
#define SINK_DEEP_WINDOW    4096u
#define SINK_DEEP_LOOKAHEAD 131072u

struct sink_traits {
	uint32_t max_in_flight; /* deliveries without outcome that this link can hold now; the courier's window is the
	                           smaller of this and the configured one. With batches one of them goes, however
	                           many messages it has, unless this is 0 */
	size_t held_bytes; /* then: the memory of messages that the courier may hold for it; 0: as for others */
	bool session_lost; /* the peer knows nothing of earlier connections: all stages are void, and journalled so before
	                      any new one */
	/* The destination keeps a cursor: everything up to done_through is delivered, and nothing beyond it. Such a sink gets its
	 * deliveries in the order of seq (`sink_exactly_once`: the configuration that would change it is refused), answers
	 * with DELIVERED, REJECTED or LINK_DOWN, and moves its cursor as settle() says. */
	bool cursor_valid;
	uint64_t done_through;
};

/* --- the host: what a connector may call. All on the loop; none blocks; each may call back into the link only where
 * it says so. */

enum key_state { KEY_UNKNOWN, KEY_NOT_YET, KEY_KNOWN };

struct link_host_ops {
	/* Source. May call pause() from inside when it returns OFFER_BUSY. Never calls receipt() from inside. */
	enum offer_result (*offer)(struct link_host *host, const struct offer *offer);

	/* Both. Up: connected and authenticated; a sink then gets deliveries, beginning with what has no
	 * final outcome; send() may be called from inside. Down: every delivery in flight has thereby ended with
	 * LINK_DOWN, and receipts of this connection will not be given any more (the epoch has ended). May be repeated. */
	void (*link_up)(struct link_host *host, const struct sink_traits *traits);
	void (*link_down)(struct link_host *host, const char *reason);
	/* The sink's capacity has changed while up. */
	void (*window)(struct link_host *host, uint32_t max_in_flight);
	/* Needs a person: credentials refused, certificate expired. Logged as an error once until link_up. */
	void (*alarm)(struct link_host *host, const char *what);

	/* Sink. Ends a delivery: exactly once for each send, also from inside send(). May call send() from inside. */
	void (*outcome)(struct link_host *host, uint64_t seq, const struct outcome *outcome);
	/* Sink. The same as outcome() with DELIVERED for each of n deliveries, in any order, but cheaper: meant for sinks that hear
	 * of many at once. */
	void (*delivered)(struct link_host *host, const uint64_t *seqs, size_t n);
	/* Sink. Asks to journal that the delivery has reached `stage` (0 is the first, and may be gone back to);
	 * stage_durable() follows, in the order of asking, if the connection lasts as long. */
	void (*stage)(struct link_host *host, uint64_t seq, uint8_t stage);
	/* Sink with a cursor, before it moves it to `seq`, which is in flight: is what the destination has below it and was not
	 * sent, because it goes to the dead letters, stored there? Else a crash would leave it to the cursor, as delivered.
	 * False: settled() follows once it is, if the link stays up. A later question replaces an earlier one. */
	bool (*settle)(struct link_host *host, uint64_t seq);

	/* Sink. Ends these deliveries (ascending, in flight) as delivered and appends n_views messages for this link itself, in one
	 * set: it has made one of many. They are delivered to it like all others. change: a CHANGE_POSITION
	 * of this link as a source. 0, or a negative errno: nothing has happened. */
	int (*replace)(struct link_host *host, const uint64_t *seqs, size_t n_seqs, const struct message_view *views,
		size_t n_views, const struct state_change *change);
	/* Sink. The seq that the next message for this link will get, and how many are undone. */
	void (*outbox)(struct link_host *host, uint64_t *ret_next_seq, uint64_t *ret_undone);

	/* Source. Is that key (CHANGE_KEY) known, and by which hash? NOT_YET: from an offer that has no receipt yet. */
	enum key_state (*key)(struct link_host *host, const uint8_t *key, uint64_t *ret_hash);
	/* For how many more keys is there room? 0: an offer with a new one would be refused. */
	uint64_t (*key_room)(struct link_host *host);

	/* `keeps_values`: the last value of a topic, borrowed until control returns to the loop; NULL: none. */
	struct message *(*last_value)(struct link_host *host, struct slice topic);
	/* All of them, in no order. */
	void (*last_values)(struct link_host *host, void (*fn)(struct message *msg, void *arg), void *arg);

	/* Answer to stop(). */
	void (*stopped)(struct link_host *host);
};

struct link_host {
	const struct link_host_ops *ops;
};

/* One topic filter that mappings read from this link: distinct (filter, settings), in the order of the file, without
 * those that another one of the same qos, share group and settings covers. */
struct link_subscription {
	const char *filter; /* with + and #, {name} captures already replaced by +; $share prefix kept; levels end as
	                       level_separator says */
	uint8_t qos;
	const void *from_settings; /* parsed `from_keys` */
};

/* What outlives the process, valid during start(). */
struct link_recovery {
	const uint8_t *destination_uuid; /* NULL when no mapping writes to this link */
	struct slice subscriptions; /* last CHANGE_SUBSCRIPTIONS; absent if none */
	void (*open_ids)(
		const struct link_recovery *recovery, void (*fn)(uint16_t id, uint64_t hash, void *arg), void *arg);
	bool (*position)(const struct link_recovery *recovery, struct slice partition, uint64_t *ret_position);
	/* All of them, with the hash of the last CHANGE_POSITION. */
	void (*positions)(const struct link_recovery *recovery,
		void (*fn)(struct slice partition, uint64_t position, uint64_t hash, void *arg), void *arg);
};

struct link_spec {
	const char *name; /* of the connection */
	const void *settings; /* parsed `connection_keys`; borrowed for the link's life */
	struct loop *loop;
	const struct link_subscription *subscriptions; /* borrowed for the link's life */
	size_t n_subscriptions; /* 0: not a source */
	bool is_sink; /* some mapping writes to it */
	bool exactly_once; /* some mapping declares it */
	bool sink_exactly_once; /* some mapping that writes to it does (config/guarantee.h) */
};

struct connector {
	const char *name; /* the value of `type:` */
	const char *help; /* one sentence for the reference page */

	/* Keys (config/schema.h). settings_size and from_size are the structs that their offsets speak of. */
	const struct config_key *connection_keys;
	size_t settings_size;
	const struct config_key *from_keys; /* besides connection, topic, qos; NULL: none */
	size_t from_size;
	/* Under `to`: the name of the key that holds the target ("topic", "path"), and further templated keys, which
	 * reach the sink as params (names, NULL-terminated key table; type CONFIG_TEMPLATE only). NULL: none. */
	const char *target_key;
	const char *target_fallback; /* a mapping's target that names none; NULL: the source's topic */
	const struct config_key *to_keys;
	/* What else the reference page says below the tables of keys, in Markdown. NULL: nothing. */
	void (*write_reference)(FILE *out);

	/* What ends a level of a topic, in `from` filters, in received topics and in targets. 0: '/', as in MQTT. */
	char level_separator;

	bool can_source, can_sink;
	/* A link that is only written to has a session to keep as well: it may offer state changes, and recovers them. */
	bool keeps_session;
	/* As a destination it tells QoS 2 messages apart by 1 + (seq mod 61440): no two undone ones may have the same. */
	bool packet_ids;
	/* In-flight deliveries keep their order on the wire: many may be in flight per key. */
	bool pipelined_order;
	/* As a destination it is quick only with tens of thousands in flight: the courier holds and looks ahead more for it. Not
	 * with stages, of which it must find again what it may have sent. */
	bool deep_window;
	/* What the settings ask for: batches (their sink then is sent everything in the order of seq, whatever the key), and whether
	 * messages of one key may be in flight together, in any order. NULL members: no. */
	struct batching (*batching)(const void *settings);
	bool (*unordered)(const void *settings);
	/* May `next` go in the batch that begins with `first`? With batching only. */
	bool (*same_batch)(const void *settings, const struct message_view *first, const struct message_view *next);
	/* May a delivery there end with a reply (struct outcome)? One of a batch never does. NULL: no. */
	bool (*gives_replies)(const void *settings);
	/* May a message that is received hold a response topic, at which the same connection can write while it reads? NULL: no. */
	bool (*asks_for_replies)(const void *settings);
	bool keeps_values; /* as a destination it keeps the last value of each topic (struct outcome, keep_value) */

	/* Further checks of settings that the tables cannot express; complains through config_complain (config/schema.h).
	 * May read files, must not touch the network. It is called whatever mistakes the tables have found: a key that has
	 * failed holds its fallback, or is NULL or empty, even a required one (see config_failed). The same goes for all
	 * questions below. NULL: none. */
	void (*check)(const void *settings, struct config_scope *scope);
	/* The same for a mapping's `from`: keys of from_keys, and of the core "topic" (filters; item: its index) and "qos".
	 * NULL: none. */
	void (*check_from)(const void *settings, const void *from_settings, const struct config_list *filters,
		struct config_scope *scope);
	/* The group with which these from_settings share their filters, NULL for none: the core then speaks of the filter
	 * as $share/<group>/<filter> everywhere. A NULL member: never. */
	const char *(*share_group)(const void *from_settings);
	/* The peer keeps one subscription per filter: mappings that name the same filter must agree on from_keys. */
	bool one_per_filter;
	/* Can it be told for which filter a message has come when several overlap, so that it is taken once? NULL: yes; else
	 * why not and what would be right, one static sentence. A NULL member: yes. */
	const char *(*check_overlap)(const void *settings);
	/* Does who reads from the destination get the headers of a message? NULL: no. A sink that says yes adds
	 * markers_waited() (message/markers.h) to what it sends of a view with `waits`. */
	bool (*carries_headers)(const void *settings);
	/* What a header becomes at a destination that carries them: one that was received, or that the mapping sets itself. 0
	 * and a header that lives as long as `field` and the arena, or one with an absent name: it is left out; -EINVAL and
	 * one static sentence why it cannot go there; -ENOMEM. A NULL member: unchanged. */
	int (*fit_header)(const void *settings, const struct message_field *field, bool set_by_mapping,
		struct arena *arena, struct message_field *ret_field, const char **ret_reason);
	/* May a mapping set a header of that name at such a destination? NULL: yes; else what is wrong and what would be right,
	 * one static sentence, reported at the header. A NULL member: yes. */
	const char *(*check_header)(const void *settings, struct slice name);
	/* May a message that is received from such a connection have a header of that name, or (absent) a key? NULL: yes; else
	 * why none ever has and what would be right, one static sentence, reported where a template asks for it. A NULL
	 * member: it may. */
	const char *(*check_received)(const void *settings, struct slice header);
	/* Does a null payload differ from an empty one at this destination? */
	bool carries_null;
	/* Does a source with these from_settings never receive what its own link has sent, or kept as a value? NULL: it may. */
	bool (*ignores_own)(const void *settings, const void *from_settings);
	/* Is this target (a rendered topic or path) legal? NULL: yes; else what is wrong. Used at check time for constant
	 * targets and by the router for rendered ones. */
	const char *(*check_target)(const void *settings, struct slice target);
	/* Is this a value of that key of to_keys? Asked at check time of one that is the same for every message; value.data NULL: it
	 * holds something of the message, and the question is whether the key is one of such a connection. NULL: yes; else what is
	 * wrong and what would be right, one static sentence, reported at the key. A NULL member: all are. Asked of a message's own
	 * value, too, by what tells beforehand that the sink would reject it. */
	const char *(*check_param)(const void *settings, const char *name, struct slice value);
	/* What is hardly meant about targets that hold something of a message, one static sentence, reported as a warning at
	 * the target. NULL, also as a member: nothing. */
	const char *(*warn_open_target)(const void *settings);
	/* What a template inserts into a target goes in as this makes it; what stands in the template itself does not. 0 and a
	 * text that lives as long as `text` and the arena, or -ENOMEM. A NULL member: unchanged. */
	int (*insert_in_target)(const void *settings, struct slice text, struct arena *arena, struct slice *ret_text);
	/* The other way: what templates and programs see of a received topic, or of a level of it. Filters are compared with
	 * what was received. *ret_separator (may be NULL): what ends a level of it then. A NULL member: as received. */
	int (*restore_topic)(const void *settings, struct slice topic, struct arena *arena, struct slice *ret_topic,
		char *ret_separator);
	/* May `from` (source) or `to` ask for this qos? NULL: yes; else what is wrong and what would be right, one static
	 * sentence, reported at the qos key. A NULL member: any qos. */
	const char *(*check_qos)(const void *settings, uint8_t qos);
	/* May mappings read from such a connection (source) and write to it (sink)? Answer as above, reported at the
	 * connection. A NULL member: both. */
	const char *(*check_roles)(const void *settings, bool source, bool sink);
	/* May two connections of this type stand beside each other? Answer as above, a sentence about "both". A NULL member:
	 * they may. */
	const char *(*check_pair)(const void *settings, const void *other);
	/* What this leg can keep at that QoS. declared: the link is created with `sink_exactly_once`. */
	enum guarantee (*source_guarantee)(const void *settings, uint8_t qos);
	enum guarantee (*sink_guarantee)(const void *settings, uint8_t qos, bool declared);
	/* Does the sink, when it keeps exactly-once, get its deliveries in the order of seq (struct sink_traits, cursor_valid)?
	 * Then nothing may overtake in its outbox. */
	bool exactly_once_in_order;
	/* Why the leg (source: the first of the two) keeps less than `wished` at that QoS and what would do: all of it, what
	 * follows a "because". Left empty: nothing of these settings could be changed. A NULL member: the same. */
	void (*explain_guarantee)(
		const void *settings, bool source, uint8_t qos, enum guarantee wished, char *ret_why, size_t size);

	/* 0 and a link, or a negative errno (logged). Starts nothing. */
	int (*create)(const struct link_spec *spec, struct link_host *host, struct link **ret_link);
	/* Begins to connect and, as a source, to read; connects again by itself for ever, with back-off. */
	void (*start)(struct link *link, const struct link_recovery *recovery);

	/* Source: offers get OFFER_BUSY until resume(), but for what is said of a session alone (any change without a message
	 * but CHANGE_POSITION), which is always taken as long as the journal goes on. Acknowledgements and keep-alive go on; deliveries as a sink too. */
	void (*pause)(struct link *link);
	void (*resume)(struct link *link); /* may offer from inside */
	/* Source: the receipt of an offer, in order. Not called for offers made before the last link_down. */
	void (*receipt)(struct link *link, uint64_t cookie, enum receipt receipt);
	/* Source: no more receipts in this turn: write the acknowledgements that gathered. */
	void (*receipts_end)(struct link *link);

	/* Sink: takes a delivery that will end with one outcome. Only between link_up and link_down, only within the
	 * window. The message is borrowed until the outcome (or link_down). */
	void (*send)(struct link *link, const struct delivery *delivery);
	/* Sink: no more deliveries in this turn: write what gathered. */
	void (*send_end)(struct link *link);
	void (*stage_durable)(struct link *link, uint64_t seq, uint8_t stage);
	void (*settled)(struct link *link); /* NULL: the sink never asks */
	/* `keeps_values`: the last value of that topic is another one now, or there is none any more; an absent topic: some have
	 * gone for want of room. Also from inside outcome(), or long after it, when the journal could not take the value before.
	 * May not call the host but to ask for values. NULL: nobody waits for them. */
	void (*value_changed)(struct link *link, struct slice topic);

	/* What the link has counted that the host cannot see, since it was created: names of the field for the status line.
	 * NULL: nothing. */
	void (*counters)(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);

	/* Reads again what the settings name by path (certificates, keys, tokens) and uses it from now on; connections that are
	 * there stay. What cannot be read is logged, and what was there goes on. NULL: nothing is read. */
	void (*reload)(struct link *link);

	/* What mappings read from this link or write to it has changed, and its settings have not: from now on the spec's
	 * subscriptions, roles and guarantees hold (its name, settings and loop are as before). Connections that are there stay.
	 * The subscriptions before are borrowed until this returns, and what is offered from now on names those of the spec. A
	 * message that is held is offered by them too. 0, or a negative errno: nothing has happened, and the link is stopped and made
	 * anew, as if its settings had changed; -ENOTSUP where it cannot do otherwise. NULL: always that. May not call the host but
	 * to offer changes of a session. */
	int (*retarget)(struct link *link, const struct link_spec *spec);

	/* Stops taking in (no more messages; changes of a session go on), may still acknowledge and deliver: first half of a
	 * clean stop. */
	void (*stop_intake)(struct link *link);
	/* Ends everything: disconnects cleanly. Deliveries without outcome are forgotten. The peer is given linger_ms to take
	 * in what it has been told, acknowledgements above all. host->stopped() follows. Receipts of what was offered before may
	 * come at any time until destroy: the disk can take longer than the stop. */
	void (*stop)(struct link *link, uint64_t linger_ms);
	void (*destroy)(struct link *link);
};

static inline char connector_separator(const struct connector *connector)
{
	return connector && connector->level_separator ? connector->level_separator : '/';
}

/* NULL, or why the sink rejects the message: what its target's templates have given is no value of their key. */
static inline const char *connector_check_params(
	const struct connector *connector, const void *settings, const struct message_view *view)
{
	const char *wrong = NULL;
	char name[64];
	for (size_t i = 0; connector->check_param && i < view->n_params && !wrong; i++) {
		const struct message_field *param = &view->params[i];
		if (param->name.len == 0 || param->name.len >= sizeof name || param->name.data[0] == '.')
			continue; /* the core's own begin with a dot */
		memcpy(name, param->name.data, param->name.len);
		name[param->name.len] = '\0';
		if (param->value.data)
			wrong = connector->check_param(settings, name, param->value);
	}
	return wrong;
}

/* Not one that a file can name: what a mapping with `aggregate` has between its source and its targets
 * (connectors/aggregate/README.md). Its settings are a struct aggregate_config, its table is aggregate_keys. */
extern const struct connector aggregate_connector;

/* Every connector compiled in, NULL-terminated (connectors/registry.c). */
extern const struct connector *const connectors[];
const struct connector *connector_find(const char *name); /* NULL if none */

#endif
