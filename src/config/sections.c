/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables, nothing else.
 */
#include "config/sections.h"

#include <string.h>

#include "connectors/connector.h"
#include "message/message.h"

#define KIB  INT64_C(1024)
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)
#define MS   INT64_C(1)
#define SEC  (1000 * MS)
#define DAY  (24 * 3600 * SEC)
#define LONG INT64_MAX

#define TOP(member)     offsetof(struct config, member)
#define OUTBOX(member)  offsetof(struct outbox_config, member)
#define CONN(member)    offsetof(struct connection_config, member)
#define MAPPING(member) offsetof(struct mapping_config, member)
#define FROM(member)    offsetof(struct section_from, member)
#define TO(member)      offsetof(struct section_to, member)
#define REPLY(member)   offsetof(struct section_reply, member)

/* # comes last, + and {name} fill a level, whichever of the two ends levels there. */
#define FILTER_PATTERN  "(?!.*[^/.][+#{])(?!.*[+}][^/.])(?:[^{}#]|\\{[A-Za-z0-9_]+\\})+#?|#"
#define ADDRESS_PATTERN "([0-9.]+|\\[[0-9A-Fa-f:.]+\\]|localhost):[0-9]{1,5}"

static const char *const level_choices[] = {"error", "warn", "info", "debug", NULL}; /* enum log_level */
static const char *const delivery_choices[] = {
	"at-most-once", "at-least-once", "exactly-once", NULL}; /* enum guarantee */
static const char *const when_full_choices[] = {
	"block", "drop_oldest", "drop_newest", "dead_letter", NULL}; /* enum when_full */
static const char *const drain_choices[] = {"oldest_first", "live_first", NULL}; /* enum drain */
static const char *const on_error_choices[] = {"dead_letter", "drop", "pass", NULL}; /* enum on_error */
static const char *const tombstones_choices[] = {"received", "cleared", "empty", "empty_or_null", NULL};
static const char *const format_choices[] = {"json", "text", "raw", "base64", "cbor", NULL}; /* enum format */
static const char *const retain_choices[] = {"keep", "clear", "set", "skip", NULL};

static const struct config_key journal_keys[] = {
	{.name = "segment_size",
		.type = CONFIG_SIZE,
		.offset = TOP(journal.segment_bytes) - TOP(journal),
		.fallback = "64MiB",
		.min = MIB,
		.max = GIB,
		.help = "Size of one journal file, a multiple of 4KiB. Files are written in a ring and used again."},
	{.name = "max_size",
		.others = "max_bytes size limit",
		.type = CONFIG_SIZE,
		.offset = TOP(journal.max_bytes) - TOP(journal),
		.fallback = "256MiB",
		.min = MIB,
		.max = LONG,
		.help = "What the journal files take together before what still waits in the oldest is moved to the "
			"overflow "
			"logs of its destinations; 3 files at least. For a while it may be twice that. Files made "
			"ready in "
			"advance come on top, 5 at most."},
	{.name = "linger",
		.type = CONFIG_DURATION,
		.offset = TOP(journal.linger_ms) - TOP(journal),
		.fallback = "0",
		.max = 100 * MS,
		.help = "Wait this long for more messages before a group is written: fewer bytes on flash, later "
			"acknowledgements. 0 writes as soon as the disk is free."},
	{.name = "strict",
		.type = CONFIG_BOOL,
		.offset = TOP(journal.strict) - TOP(journal),
		.fallback = "false",
		.help = "Refuse to start when the journal is damaged, instead of putting the damaged part aside and "
			"reporting the gap."},
	{.name = "min_free",
		.type = CONFIG_SIZE,
		.offset = TOP(journal.min_free_bytes) - TOP(journal),
		.fallback = "64MiB",
		.max = LONG,
		.help = "With less than that free on the disk of data_dir nothing more is taken in, as when the disk "
			"is "
			"full; what waits is still delivered. 0 is off."},
	{.name = "max_sequences",
		.type = CONFIG_INT,
		.offset = TOP(journal.max_sequences) - TOP(journal),
		.fallback = "100000",
		.min = 0,
		.max = 40000000,
		.help = "Streams of messages (see markers) that are numbered at most, 24 bytes each in memory and in "
			"every segment; they may fill an eighth of one. Messages of further ones have no number."},
	{.name = "max_keys",
		.type = CONFIG_INT,
		.offset = TOP(journal.max_keys) - TOP(journal),
		.fallback = "1000000",
		.min = 0,
		.max = 4000000,
		.help = "Keys that are known at a time at most: idempotency keys until their key_ttl is over, and one "
			"for each "
			"key of changes_only, sample and min_interval. A key takes 32 bytes in every segment, twice, "
			"and up to 90 bytes of "
			"memory. "
			"Keys may fill an eighth of a segment: 262,144 of them with a segment_size of 64MiB, 1,048,576 "
			"with "
			"256MiB. None is forgotten before its time: with that many known, requests with a new key are "
			"answered with 503, and changes_only, sample and min_interval leave nothing out of what they "
			"do not know."},
	{0},
};

static const struct config_key log_keys[] = {
	{.name = "level",
		.others = "log_level verbosity",
		.type = CONFIG_ENUM,
		.offset = TOP(log.level) - TOP(log),
		.fallback = "info",
		.choices = level_choices,
		.help = "Least important lines to write. debug writes lines for every message."},
	{0},
};

static const struct config_key admin_keys[] = {
	{.name = "listen",
		.others = "address bind port host",
		.type = CONFIG_LIST,
		.offset = TOP(admin.listen) - TOP(admin),
		.pattern = ADDRESS_PATTERN,
		.example = "127.0.0.1:9464",
		.help = "Address and port to answer HTTP on, 127.0.0.1:9464 or [::1]:9464, or a list of them: /metrics "
			"for "
			"Prometheus, /healthz and /readyz. Left out: nothing listens. Port 0 is any that is free; the "
			"log "
			"says which."},
	{.name = "public",
		.type = CONFIG_BOOL,
		.offset = TOP(admin.public) - TOP(admin),
		.fallback = "false",
		.help = "Allow addresses that other machines can reach. There is no authentication and no TLS: what is "
			"shown "
			"(names of connections, counts, states) is then for everybody on that network."},
	{0},
};

const struct config_key section_top_keys[] = {
	{.name = "data_dir",
		.others = "data datadir storage path state_dir persistence_location persistence dir",
		.type = CONFIG_STRING,
		.offset = TOP(data_dir),
		.required = true,
		.example = "/var/lib/linkspan",
		.help = "Folder of the journal and the dead letters, made when missing. A relative path starts at the "
			"folder of the configuration file. One linkspan at a time uses it."},
	{.name = "journal",
		.type = CONFIG_SECTION,
		.offset = TOP(journal),
		.children = journal_keys,
		.help = "The log on disk that every message passes."},
	{.name = "log",
		.others = "logging logger log_level loglevel",
		.type = CONFIG_SECTION,
		.offset = TOP(log),
		.children = log_keys,
		.help = "Lines on standard error."},
	{.name = "admin",
		.others = "metrics prometheus http_api management monitoring health",
		.type = CONFIG_SECTION,
		.offset = TOP(admin),
		.children = admin_keys,
		.help = "Figures and health over HTTP (see [metrics](#metrics)). Without it there is no listener."},
	{.name = "shutdown_timeout",
		.type = CONFIG_DURATION,
		.offset = TOP(shutdown_timeout_ms),
		.fallback = "10s",
		.max = DAY,
		.help = "How long a clean stop goes on delivering what is on its way, and then waits for MQTT brokers "
			"to read what "
			"they are told. What is not delivered waits in the journal."},
	{.name = "max_transform_bytes",
		.type = CONFIG_SIZE,
		.offset = TOP(max_transform_bytes),
		.fallback = "1MiB",
		.min = 1,
		.max = MESSAGE_MAX_PAYLOAD,
		.help = "Largest payload that jq is given. A larger one is treated as on_error of its mapping says."},
	{.name = "max_message_bytes",
		.type = CONFIG_SIZE,
		.offset = TOP(max_message_bytes),
		.fallback = "32MiB",
		.min = 1,
		.max = MESSAGE_MAX_PAYLOAD,
		.help = "Largest payload that is taken in."},
	{0},
};

const struct config_key section_include_keys[] = {
	{.name = "include",
		.others = "import imports files config_files",
		.type = CONFIG_LIST,
		.offset = offsetof(struct section_include, include),
		.help = "Files whose connections, mappings and tests are added: a name without a slash is a ready-made "
			"file (zigbee2mqtt), anything else a path that starts at the folder of this file."},
	{0},
};

const struct config_key section_included_keys[] = {
	{.name = "needs",
		.type = CONFIG_MAP,
		.offset = offsetof(struct section_included, needs),
		.help = "In an included file: the connections that its mappings refer to and that the file which "
			"includes it "
			"has to define, name: type."},
	{0},
};

static const struct config_key max_rate_keys[] = {
	{.name = "messages",
		.others = "rate count per_second",
		.type = CONFIG_INT,
		.offset = OUTBOX(max_rate.messages) - OUTBOX(max_rate),
		.fallback = "0",
		.min = 0,
		.max = UINT32_MAX,
		.help = "Messages a second; 0 is no limit. At most a tenth of a second's worth goes out at once."},
	{.name = "bytes",
		.type = CONFIG_SIZE,
		.offset = OUTBOX(max_rate.bytes) - OUTBOX(max_rate),
		.fallback = "0",
		.max = INT64_C(1) << 40,
		.help = "Bytes a second, as they count for max_bytes; 0 is no limit. A message that is larger than a "
			"tenth of that goes out whole, and what follows waits for as long as it takes to make up for "
			"it."},
	{0},
};

static const struct config_key outbox_keys[] = {
	{.name = "max_bytes",
		.others = "max_size size limit capacity max_disk queue_size",
		.type = CONFIG_SIZE,
		.offset = OUTBOX(max_bytes),
		.fallback = "1GiB",
		.min = 1,
		.max = LONG,
		.help = "Bytes on disk that may wait for this destination."},
	{.name = "max_messages",
		.others = "max_length max_queue_length max_queued_messages max_items",
		.type = CONFIG_INT,
		.offset = OUTBOX(max_messages),
		.fallback = "0",
		.min = 0,
		.max = LONG,
		.help = "Messages that may wait for this destination; 0 is no limit."},
	{.name = "when_full",
		.others = "policy overflow overflow_policy on_full on_overflow",
		.type = CONFIG_ENUM,
		.offset = OUTBOX(when_full),
		.fallback = "block",
		.choices = when_full_choices,
		.help = "What becomes of a message that finds no room. block: it stays at its source, and nothing more "
			"is "
			"taken from the sources that feed this destination until there is room; linkspan check names "
			"them. drop_oldest: what has waited longest is thrown away; until that is done the limits may "
			"be "
			"passed by an eighth, at least by 1024 messages and 1MiB, and what is on its way or the "
			"destination may have in part is kept. drop_newest: the message is thrown away. dead_letter: "
			"the "
			"message becomes a dead letter, and as with block once those have no room either. What is "
			"thrown "
			"away is counted and logged, and is a mistake where more than at-most-once is declared; dead "
			"letters lose nothing."},
	{.name = "ttl",
		.others = "expiry expire expires max_age message_expiry timeout",
		.type = CONFIG_DURATION,
		.offset = OUTBOX(ttl_ms),
		.fallback = "0",
		.help = "A message that has waited longer here, from when linkspan took it, is thrown away, counted "
			"and logged as expired, unless the "
			"destination may have it in part; 0 is never. A mistake where more than at-most-once is "
			"declared."},
	{.name = "max_attempts",
		.others = "max_retries retries max_tries attempts retry",
		.type = CONFIG_INT,
		.offset = OUTBOX(max_attempts),
		.fallback = "0",
		.min = 0,
		.max = UINT32_MAX,
		.help = "Attempts after which a message becomes a dead letter; 0 is no limit. A link that is down does "
			"not count, and dead letters lose nothing."},
	{.name = "backoff_min",
		.others = "retry_interval retry_delay backoff retry_backoff delay",
		.type = CONFIG_DURATION,
		.offset = OUTBOX(backoff_min_ms),
		.fallback = "100ms",
		.min = 1,
		.max = DAY,
		.help = "Upper bound of the first pause before a message is tried again; it doubles."},
	{.name = "backoff_max",
		.type = CONFIG_DURATION,
		.offset = OUTBOX(backoff_max_ms),
		.fallback = "60s",
		.min = 1,
		.max = DAY,
		.help = "Upper bound of every such pause. The pause itself is random below the bound."},
	{.name = "window",
		.others = "max_inflight max_in_flight inflight parallel concurrency",
		.type = CONFIG_INT,
		.offset = OUTBOX(window),
		.fallback = "0",
		.min = 0,
		.max = 1000000,
		.help = "Most deliveries on their way at once; 0 is as many as the link can hold."},
	{.name = "lookahead",
		.type = CONFIG_INT,
		.offset = OUTBOX(lookahead),
		.fallback = "10000",
		.min = 1,
		.max = 1000000,
		.help = "How many messages past the oldest unfinished one are looked at, so that one message that is "
			"being retried does not hold up the others."},
	{.name = "dead_max_bytes",
		.type = CONFIG_SIZE,
		.offset = OUTBOX(dead_max_bytes),
		.fallback = "256MiB",
		.min = 1,
		.max = LONG,
		.help = "Bytes on disk for dead letters of this destination."},
	{.name = "max_rate",
		.others = "rate_limit rate throttle limit_rate",
		.type = CONFIG_SECTION,
		.offset = OUTBOX(max_rate),
		.children = max_rate_keys,
		.help = "Bounds how fast messages are sent to this destination, new ones, waiting ones and repetitions "
			"alike."},
	{.name = "drain",
		.type = CONFIG_ENUM,
		.offset = OUTBOX(drain),
		.fallback = "oldest_first",
		.choices = drain_choices,
		.help = "What is sent first when messages have been waiting. oldest_first: those that came first. "
			"live_first: new ones go before the waiting ones, but never before an older one of the same "
			"key and priority."},
	{0},
};

static const struct config_key last_values_keys[] = {
	{.name = "max_entries",
		.type = CONFIG_INT,
		.offset = CONN(last_values.max_entries) - CONN(last_values),
		.fallback = "10000",
		.min = 1,
		.max = 1000000,
		.help = "Topics of which the last value is kept at most."},
	{.name = "max_bytes",
		.type = CONFIG_SIZE,
		.offset = CONN(last_values.max_bytes) - CONN(last_values),
		.fallback = "1MiB",
		.min = KIB,
		.max = 64 * MIB,
		.help = "Bytes of them all with their headers. All connections together keep a sixteenth of "
			"journal.segment_size at most, 4MiB if that is 64MiB, since they are in each segment, twice."},
	{0},
};

const struct config_key section_connection_keys[] = {
	{.name = "delivery",
		.others = "guarantee delivery_guarantee semantics",
		.type = CONFIG_ENUM,
		.offset = CONN(delivery),
		.choices = delivery_choices,
		.help = "Guarantee that every mapping from or to this connection must keep, unless the mapping "
			"declares "
			"its own. A mapping that cannot is a mistake."},
	{.name = "outbox",
		.others = "queue buffer spool storage disk_queue",
		.type = CONFIG_SECTION,
		.offset = CONN(outbox),
		.children = outbox_keys,
		.help = "What waits for this connection as a destination."},
	{.name = "last_values",
		.type = CONFIG_SECTION,
		.offset = CONN(last_values),
		.children = last_values_keys,
		.help = "Of what mappings write to a listener (type http) the last message of each target is kept, "
			"over "
			"restarts, for those who ask for it. What is beyond the limits goes, what was set least "
			"recently "
			"first; that is counted and logged. A message that is larger than max_bytes is not kept, and "
			"nothing is then."},
	{0},
};

static const struct config_key changes_only_keys[] = {
	{.name = "enabled",
		.type = CONFIG_BOOL,
		.offset = MAPPING(changes_only.enabled) - MAPPING(changes_only),
		.help = "changes_only: true is this key alone. With others of these keys it is true when left out."},
	{.name = "value",
		.type = CONFIG_JQ,
		.offset = MAPPING(changes_only.value) - MAPPING(changes_only),
		.help = "jq program on the received payload: what is compared, one result at most. Left out: the "
			"payload, byte by byte."},
	{.name = "when",
		.type = CONFIG_JQ,
		.offset = MAPPING(changes_only.when) - MAPPING(changes_only),
		.help = "jq program on the received payload: of the changes those pass for which it gives true; the "
			"others are remembered. So {value: .open, when: .open} passes when a door opens. The mapping's "
			"own when comes before: of what that leaves nothing is remembered."},
	{.name = "dead_band",
		.others = "threshold tolerance delta hysteresis deviation epsilon",
		.type = CONFIG_NUMBER,
		.offset = MAPPING(changes_only.dead_band) - MAPPING(changes_only),
		.fallback = "0",
		.min = 0,
		.max = LONG,
		.help = "A number has changed if it differs by more than that from the last one that passed. What is "
			"no number is compared as it is."},
	{.name = "key",
		.others = "per by group_by",
		.type = CONFIG_TEMPLATE,
		.offset = MAPPING(changes_only.key) - MAPPING(changes_only),
		.help = "Whose value it is, a template of the received message. Left out: its topic."},
	{.name = "refresh",
		.others = "max_age heartbeat force_after every interval",
		.type = CONFIG_DURATION,
		.offset = MAPPING(changes_only.refresh_ms) - MAPPING(changes_only),
		.fallback = "30d",
		.min = 1,
		.max = 365 * DAY,
		.help = "What comes that long after the last one that passed does so, be it the same or not: a sign of "
			"life, and a key of which nothing comes any more is forgotten."},
	{0},
};

static const struct config_key sample_keys[] = {
	{.name = "one_in",
		.others = "rate every n ratio percent count",
		.type = CONFIG_INT,
		.offset = MAPPING(sample.one_in) - MAPPING(sample),
		.min = 1,
		.max = 1000000000,
		.help = "Of so many messages of a key one passes, the first. sample: 10 is this key alone."},
	{.name = "key",
		.others = "per by group_by",
		.type = CONFIG_TEMPLATE,
		.offset = MAPPING(sample.key) - MAPPING(sample),
		.help = "What is counted together, a template of the received message. Left out: its topic."},
	{0},
};

const char *const aggregate_results[] = {"last", "min", "max", "mean", "count", "list", "start", "end", NULL};

const struct config_key aggregate_keys[] = {
	{.name = "window",
		.others = "every interval period size duration",
		.type = CONFIG_DURATION,
		.offset = offsetof(struct aggregate_config, window_ms),
		.required = true,
		.min = 100 * MS,
		.max = 31 * DAY,
		.help = "How long a window is. Windows follow each other without gaps and begin at multiples of this "
			"since "
			"1970 UTC: 1m at each full minute, 1d at midnight UTC. A message belongs to the one in which "
			"it "
			"arrived here."},
	{.name = "as",
		.others = "function functions fn func aggregation aggregate operation op",
		.type = CONFIG_LIST,
		.offset = offsetof(struct aggregate_config, as),
		.required = true,
		.choices = aggregate_results,
		.help = "What becomes of the values: last, min, max, mean, count or list (in the order of arriving), "
			"and start "
			"and end of the window in milliseconds since 1970. One of them is the payload itself; several "
			"are an "
			"object with these names. A payload of the mapping is made of that."},
	{.name = "key",
		.others = "per by group_by",
		.type = CONFIG_TEMPLATE,
		.offset = offsetof(struct aggregate_config, key),
		.help = "What is taken together, a template of the received message. Left out: its topic."},
	{.name = "value",
		.others = "field path expression",
		.type = CONFIG_JQ,
		.offset = offsetof(struct aggregate_config, value),
		.help = "jq program on the received payload, a number for min, max and mean, else any JSON. A message "
			"for which it "
			"gives nothing is left out. Left out itself: the payload, which count alone need not be able "
			"to read."},
	{0},
};

static const struct config_key min_interval_keys[] = {
	{.name = "every",
		.others = "interval period time seconds duration window",
		.type = CONFIG_DURATION,
		.offset = MAPPING(min_interval.every_ms) - MAPPING(min_interval),
		.max = 365 * DAY,
		.help = "What comes of the same key within that time after the last message that passed is left out. "
			"The time "
			"is that of arriving here."},
	{.name = "key",
		.others = "per by group_by",
		.type = CONFIG_TEMPLATE,
		.offset = MAPPING(min_interval.key) - MAPPING(min_interval),
		.help = "What counts as the same, a template of the received message. Left out: its topic."},
	{0},
};

const struct config_key section_mapping_keys[] = {
	{.name = "name",
		.others = "id title",
		.type = CONFIG_STRING,
		.offset = MAPPING(name),
		.required = true,
		.pattern = SECTION_NAME_PATTERN,
		.example = "telemetry",
		.help = "Name in logs and metrics: letters, digits, _ - and ., at most 64."},
	{.name = "when",
		.others = "filter condition if where match predicate",
		.type = CONFIG_JQ,
		.offset = MAPPING(when),
		.example = ".quality == \"good\"",
		.help = "jq program on the payload; the mapping takes only messages for which it gives true. Captures "
			"of "
			"the topic filter are $name; $topic, $qos, $retain, $headers, $key and $received (when "
			"linkspan "
			"did, in milliseconds since 1970; of a Kafka record its timestamp) are there too."},
	{.name = "payload",
		.others = "transform transformation jq script body value output map mapping processor select",
		.type = CONFIG_JQ,
		.offset = MAPPING(payload),
		.example = "{line: $line, value: .v}",
		.help = "jq program that makes the new payload, with the same names; several results become several "
			"messages. Left out: the bytes unchanged, whatever they are. Numbers of jq are doubles: of "
			"integers "
			"above 2^53 it may put out another one, which is logged once for each mapping "
			"(integer_rounded) and "
			"counted; templates, when alone, and formats keep all digits."},
	{.name = "payload_template",
		.others = "template",
		.type = CONFIG_TEMPLATE,
		.offset = MAPPING(payload_template),
		.example = "{line}: {.v}",
		.help = "Template of the new payload, in place of payload: text with {captures} and {.json.paths} of "
			"the message. "
			"With format: json or cbor under to it is JSON text, in which what is inserted is escaped as "
			"within a string."},
	{.name = "on_error",
		.others = "error_policy on_failure errors",
		.type = CONFIG_ENUM,
		.offset = MAPPING(on_error),
		.fallback = "dead_letter",
		.choices = on_error_choices,
		.help = "What becomes of a message on which a jq program or a template fails: a dead letter, nothing, "
			"or "
			"the message as it was received."},
	{.name = "max_outputs",
		.type = CONFIG_INT,
		.offset = MAPPING(max_outputs),
		.fallback = "100",
		.min = 1,
		.max = 65535,
		.help = "Most messages that one message may become."},
	{.name = "max_hops",
		.type = CONFIG_INT,
		.offset = MAPPING(max_hops),
		.fallback = "16",
		.min = 0,
		.max = 1000,
		.help = "How often linkspans may pass a message on, counted in its header linkspan-hops where it could "
			"come back: a loop ends there. 0 neither counts nor heeds it."},
	{.name = "delivery",
		.others = "guarantee qos_guarantee",
		.type = CONFIG_ENUM,
		.offset = MAPPING(delivery),
		.choices = delivery_choices,
		.help = "Guarantee that this mapping must keep. More than its connections can give is a mistake."},
	{.name = "changes_only",
		.others = "deduplicate dedup dedupe on_change only_changes report_on_change rbe unique distinct",
		.type = CONFIG_SECTION,
		.offset = MAPPING(changes_only),
		.children = changes_only_keys,
		.bare = "enabled",
		.help = "Only what differs from the last message of its key that passed. That is one which went on to "
			"the "
			"targets, by sample and min_interval too: so what these leave out of a change is not lost, the "
			"next message brings it. Remembered, counted and acknowledged as with min_interval, which "
			"comes "
			"last; a value that cannot be had is treated as on_error says."},
	{.name = "sample",
		.others = "sampling",
		.type = CONFIG_SECTION,
		.offset = MAPPING(sample),
		.children = sample_keys,
		.bare = "one_in",
		.help = "Of each so many messages of a key that changes_only lets pass the first passes. The count is "
			"written down with every message, so it goes on over restarts; a key of which nothing comes "
			"for 30 days begins anew. For a bound by time see min_interval."},
	{.name = "min_interval",
		.others = "throttle debounce rate_limit cooldown throttling",
		.type = CONFIG_SECTION,
		.offset = MAPPING(min_interval),
		.children = min_interval_keys,
		.bare = "every",
		.help = "At most one message in that time passes, the first, for all targets together and with all "
			"that payload "
			"makes of it. The others are acknowledged like any that when does not take, and counted "
			"(left_out); a delivery that is declared holds for what passes. What has passed is "
			"remembered over restarts, as a key of the journal (journal.max_keys; with no room for one "
			"more nothing "
			"is left out). Dead letters are not bounded by it. A message that passes and then finds no "
			"room "
			"(when_full: drop_newest) has passed all the same: the next of its key waits for its time."},
	{.name = "aggregate",
		.others = "aggregation window group_by reduce",
		.type = CONFIG_SECTION,
		.offset = MAPPING(aggregate),
		.children = aggregate_keys,
		.help = "Instead of each message one result of each window and key goes to the targets, once the "
			"window is over; "
			"nothing where nothing came. The mapping is then a destination of its own, with its name: what "
			"it has "
			"taken waits in the journal (linkspan queue) and is done with the result, in one set, so that "
			"a restart "
			"changes nothing and a guarantee stays what it is. when and the rules above come before it, "
			"payload and "
			"the targets after it: they see the window's last message with the result as its payload, and "
			"of the "
			"QoS the highest. Up to 10,000 keys and 8 MiB of values are in a window; beyond that it is "
			"given early, in "
			"parts, which is logged."},
	{.name = "markers",
		.type = CONFIG_BOOL,
		.offset = MAPPING(markers),
		.fallback = "false",
		.help = "Adds headers by which a consumer sees delays and missing messages: linkspan-origin-time, "
			"linkspan-waited-ms, linkspan-source, and linkspan-stream with linkspan-sequence, which counts "
			"without gaps per stream: per mapping, target and key."},
	{.name = "priority",
		.type = CONFIG_INT,
		.offset = MAPPING(priority),
		.fallback = "4",
		.min = 0,
		.max = MESSAGE_MAX_PRIORITY,
		.help = "Of what is to be sent to a destination the highest priority goes first. Messages of one key "
			"keep their order only among those of the same priority."},
	{0},
};

const struct config_key section_from_keys[] = {
	{.name = "connection",
		.others = "broker source input client server name",
		.type = CONFIG_STRING,
		.offset = FROM(connection),
		.required = true,
		.help = "Name of the connection to read from."},
	{.name = "topic",
		.others = "filters topic_filter topic_filters subscribe subscription path paths channel pattern "
			  "topic_pattern",
		.type = CONFIG_LIST,
		.offset = FROM(topic),
		.required = true,
		.pattern = FILTER_PATTERN,
		.example = "plant/{line}/#",
		.help = "Topic filter, or a list of them: + is one level, # all below, {name} one level that templates "
			"and "
			"jq can use. $share/group/filter shares the work with others of that group. Levels end with a "
			"slash, in Kafka "
			"with a dot."},
	{.name = "qos",
		.others = "max_qos subscribe_qos",
		.type = CONFIG_INT,
		.offset = FROM(qos),
		.fallback = "1",
		.min = 0,
		.max = 2,
		.help = "Highest quality of service to receive at."},
	{.name = "format",
		.others = "codec encoding content_format decoder",
		.type = CONFIG_ENUM,
		.offset = FROM(format),
		.fallback = "json",
		.choices = format_choices,
		.help = "How jq programs, templates and another format under to read the payload. json: as JSON. text: "
			"as a string. raw: any "
			"bytes, as a string in base64. base64: the payload is base64 itself, as a string. cbor: as the "
			"JSON that CBOR stands "
			"for (RFC 8949, section 6.1: byte strings become base64url). Nothing is read, and any payload "
			"passes, where none of "
			"them asks for it."},
	{0},
};

static const struct config_key reply_keys[] = {
	{.name = "topic",
		.type = CONFIG_TEMPLATE,
		.offset = REPLY(topic),
		.help = "Template of the topic to write replies to. Left out: the response topic that the message asks "
			"for, "
			"if it has one."},
	{.name = "connection",
		.type = CONFIG_STRING,
		.offset = REPLY(connection),
		.help = "Name of the connection to write to the topic at. Left out: the one that the mapping reads "
			"from."},
	{.name = "key",
		.type = CONFIG_TEMPLATE,
		.offset = REPLY(key),
		.help = "Key of the reply. Left out: its topic orders."},
	{.name = "qos",
		.type = CONFIG_INT,
		.offset = REPLY(qos),
		.min = 0,
		.max = 2,
		.help = "Quality of service to send replies with. Left out: that of the message."},
	{.name = "retain",
		.type = CONFIG_BOOL,
		.offset = REPLY(retain),
		.fallback = "false",
		.help = "Retain flag to send replies with."},
	{.name = "heed_response_topic",
		.type = CONFIG_BOOL,
		.offset = REPLY(heed_response_topic),
		.fallback = "true",
		.help = "Is the response topic (MQTT 5) of a message answered, at the connection that it came from, "
			"when there "
			"is no topic here?"},
	{.name = "response_topics",
		.type = CONFIG_LIST,
		.offset = REPLY(response_topics),
		.fallback = "#",
		.help = "Topic filter, or a list of them: which response topics are answered. Who sends the message "
			"chooses "
			"one, so this is where linkspan lets others have it write. Topics that begin with $ never are, "
			"unless a filter names them."},
	{0},
};

const struct config_key section_to_keys[] = {
	{.name = "connection",
		.others = "broker sink destination output client server name",
		.type = CONFIG_STRING,
		.offset = TO(connection),
		.required = true,
		.help = "Name of the connection to write to."},
	{.name = "key",
		.others = "message_key partition_key record_key kafka_key order_key",
		.type = CONFIG_TEMPLATE,
		.offset = TO(key),
		.example = "{line}",
		.help = "Key of the message; messages of one key keep their order. Left out: the source topic orders."},
	{.name = "content_type",
		.others = "contenttype mime mime_type",
		.type = CONFIG_TEMPLATE,
		.offset = TO(content_type),
		.example = "application/json",
		.help = "Content type of the message. Left out: as received."},
	{.name = "headers",
		.others = "user_properties properties user_property attributes",
		.type = CONFIG_MAP,
		.offset = TO(headers),
		.help = "Headers (in MQTT user properties) to add, name: template. One of the same name is replaced."},
	{.name = "qos",
		.type = CONFIG_INT,
		.offset = TO(qos),
		.min = 0,
		.max = 2,
		.help = "Quality of service to send with. Left out: as received."},
	{.name = "retain",
		.others = "retained retain_flag",
		.type = CONFIG_ENUM,
		.offset = TO(retain),
		.fallback = "keep",
		.choices = retain_choices,
		.help = "Retain flag to send with: as received, never, or always. skip: what is received with the flag "
			"is not sent to this destination. From MQTT 5 a live message has the flag as well if it was "
			"published with it; to skip only what the broker had stored, set retain_as_published: false "
			"under from, or retain_handling: never there instead of skip. A null payload (a tombstone of "
			"Kafka) is sent empty, and with the flag unless it is never to be set: it clears the retained "
			"message."},
	{.name = "tombstones",
		.type = CONFIG_ENUM,
		.offset = TO(tombstones),
		.fallback = "received",
		.choices = tombstones_choices,
		.help = "For destinations that know null payloads (Kafka): what becomes one, a tombstone. received: "
			"nothing but a null payload. cleared: also an empty payload with the retain flag, by which "
			"MQTT "
			"clears a retained message (MQTT 3.1.1 shows the flag on stored messages alone: write empty). "
			"empty: also every empty payload. empty_or_null: also the JSON text null, received or made by "
			"jq. jq programs see null in place of those that are empty, and null that they make of it "
			"stays a null payload."},
	{.name = "format",
		.others = "codec encoding encoder",
		.type = CONFIG_ENUM,
		.offset = TO(format),
		.choices = format_choices,
		.help = "How the payload is written; the content type says so unless content_type is given. json, text "
			"(a string, number or "
			"boolean, without quotes), raw (the bytes of a string in base64), base64 (that string), cbor. "
			"Left out: json for what "
			"payload makes, text for payload_template, and otherwise the bytes unchanged, whatever they "
			"are."},
	{.name = "reply",
		.type = CONFIG_SECTION,
		.offset = TO(reply),
		.children = reply_keys,
		.help = "What becomes of replies, at destinations that give them (HTTP responses). They are on disk "
			"together "
			"with the word that the message is delivered, and carry its correlation data."},
	{0},
};

const char *const section_top_elsewhere[] = {"connections", "mappings", "tests", NULL};
const char *const section_connection_elsewhere[] = {"type", NULL};
const char *const section_mapping_elsewhere[] = {"from", "to", NULL};

const char *section_elsewhere_help(const char *name)
{
	static const char *const help[][2] = {
		{"connections",
			"Brokers and other peers, name: section. Names are letters, digits, _ - and ., at most 64."},
		{"mappings", "Rules, in order: what is read from where, what becomes of it, and where it goes."},
		{"tests", "Examples of what mappings do, to be run against them."},
		{"type", "Kind of connection; the other keys depend on it."},
		{"from", "Where the messages come from."},
		{"to", "Where they go: one destination, or a list of them."},
		{"answer",
			"Destination: how it answers the next attempts, one word or a list of them: delivered; retry "
			"(not now; again after back-off); rejected (never: a dead letter); unanswered (it has arrived, "
			"and nobody says so). After these everything is delivered."},
		{"given", "Message that comes in, or a list of them, one after the other."},
		{"expected", "A message at its destination. Keys that are not written are not compared."},
		{"expect", "Message, or list of the messages, that have become something at a destination since the "
			   "last expect, "
			   "all of "
			   "them, in "
			   "order per destination; [] for none. Keys that are not written are not compared."},
		{"steps",
			"Instead of link, answer, given and expect: a list of these, and of wait and restart, done one "
			"after the other. Time passes in wait alone."},
	};
	for (size_t i = 0; i < sizeof help / sizeof help[0]; i++)
		if (strcmp(help[i][0], name) == 0)
			return help[i][1];
	return "";
}

const char *section_target_help(const struct connector *connector)
{
	if (strcmp(connector->target_key, "topic") == 0)
		return "Template of the topic to write to. Left out: the source topic.";
	return connector->target_fallback
		       ? "Template of the path to write to, behind that of the url. Left out: that of the url alone."
		       : "Template of the path to write to. Left out: the source topic.";
}
